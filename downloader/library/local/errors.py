"""The one place where the operating system's errors become ours."""

import errno
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final

from downloader.errors import NO_SPACE, LibraryError, NoSpaceError

_NEXT_STEPS: Final = MappingProxyType(
    {
        errno.EROFS: "mount the file system so that it can be written, or choose another directory",
        errno.EACCES: "give this user the right to read and write there",
        errno.EPERM: "give this user the right to read and write there",
        errno.EMFILE: "raise the limit of open files (ulimit -n) or lower the concurrency",
        errno.ENFILE: "raise the system's limit of open files",
        errno.EIO: "check the disk, and the system's log for what it says about it",
        errno.ESTALE: "mount the network file system again",
        errno.ENAMETOOLONG: "choose a directory with a shorter path, or the flat layout",
        errno.EXDEV: "keep the whole library on one file system: series are renamed into place, which cannot cross to another",
    }
)
_OTHERWISE = "check the directory and run again"


class LibraryFaults:
    """A context that lets OSError leave only as LibraryError or NoSpaceError. May be entered again and again, in any thread.

    Args:
        root: the library; paths in messages are relative to it.
        place: what the message names when the system does not say which path it was.
        series_instance_uid: the series that is worked on, where there is one.
    """

    __slots__ = ("_place", "_root", "_series_instance_uid")

    def __init__(self, root: Path, *, place: str = ".", series_instance_uid: str | None = None) -> None:
        self._root = root
        self._place = place
        self._series_instance_uid = series_instance_uid

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise self.translated(error) from error

    def translated(self, error: OSError) -> LibraryError:
        """The error of ours that says the same."""
        where = self._relative(error.filename)
        reason = error.strerror or str(error)
        if error.errno in NO_SPACE:
            return NoSpaceError(
                f"the library in {self._root} has no room left, at {where}: {reason}",
                series_instance_uid=self._series_instance_uid,
                next_step="free some room, or choose a directory on another disk, and run again",
            )
        return LibraryError(
            f"the library in {self._root} cannot be used, at {where}: {reason}",
            series_instance_uid=self._series_instance_uid,
            next_step=_NEXT_STEPS.get(error.errno or 0, _OTHERWISE),
        )

    def _relative(self, filename: object) -> str:
        if not isinstance(filename, str) or not filename.startswith("/"):
            return self._place
        path = Path(filename)
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else filename
