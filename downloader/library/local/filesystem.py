"""What the library asks of the file system so that nothing half-made is ever seen, and its errors as ours.

Functions raise OSError; `FileSystemErrors` translates it. `FreeSpace` keeps room free.
"""

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final

from downloader.errors import NO_SPACE, LibraryError, NoSpaceError

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a file of ours is opened that must not be there yet."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})
# some network file systems cannot sync a folder, and need not
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})


def sync_files(folder: Path, names: Iterable[str]) -> None:
    """Return once the content of the named files is on the disk.

    All at the end rather than each as it is written: by then the kernel has written most of it (see `begin_write_back`), and an
    attempt that fails waits for nothing.
    """
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as folder_descriptor:
        for name in names:
            file_descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_descriptor)
            try:
                os.fsync(file_descriptor)
            finally:
                os.close(file_descriptor)


def sync_folder(folder: Path) -> None:
    """Return once the names in the folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync_names(descriptor)
    finally:
        os.close(descriptor)


def begin_write_back(descriptor: int) -> None:
    """Ask the system to write what the file holds, and do not wait for it (posix_fadvise(2)).

    Once all files of a series are being written, the first that is synced takes the others' blocks and names along: on a disk
    that has to seek, that halves the time (docs/decisions/0021). What is on the disk then need not stay in memory either.
    """
    advise(descriptor, "POSIX_FADV_DONTNEED")


def advise(descriptor: int, advice: str) -> None:
    """posix_fadvise(2), where there is such a call (not on macOS) and it is allowed: advice that is not taken is no fault."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, getattr(os, advice))


def rename_within(folder: Path, names: Iterable[tuple[str, str]]) -> None:
    """Rename files of one folder, each from its old name to its new one."""
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        for old, new in names:
            os.rename(old, new, src_dir_fd=descriptor, dst_dir_fd=descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; the system may take a part of it at a time."""
    written = os.write(descriptor, data)
    if written < len(data):
        rest = memoryview(data)
        while written < len(rest):
            written += os.write(descriptor, rest[written:])


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet. It is not synced."""
    with _opened(path, NEW_FILE) as descriptor:
        write_all(descriptor, content)


def write_synced(folder: Path, files: Mapping[str, Iterable[bytes]]) -> None:
    """Write files into a folder that has none of them; all, and their names, are on the disk when this returns.

    Each stays open until it is synced: to open it once more takes as long as to write a small one.
    """
    with contextlib.ExitStack() as opened:
        folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, folder_descriptor)
        descriptors = []
        for name, chunks in files.items():
            descriptor = os.open(name, NEW_FILE, 0o666, dir_fd=folder_descriptor)
            opened.callback(os.close, descriptor)
            descriptors.append(descriptor)
            for chunk in chunks:
                write_all(descriptor, chunk)
            begin_write_back(descriptor)
        for descriptor in descriptors:
            os.fsync(descriptor)
        _sync_names(folder_descriptor)


def make_new_folder(folder: Path) -> None:
    """Make the folder, empty: whatever was there is gone."""
    try:
        os.mkdir(folder)  # noqa: PTH102 - for each series
    except FileExistsError:
        remove_folder(folder)
        folder.mkdir()


@contextlib.contextmanager
def made_folders(folder: Path, above: Collection[Path] = ()) -> Iterator[None]:
    """Make the folder and those above it; once this is left, the names in it and in all that got a new folder are on the disk.

    So are those in the folders `above` it that are named. All are synced at the end, the lowest first: on most file systems that
    takes the others along, which then cost little.
    """
    missing: list[Path] = []
    while not os.path.isdir(folder):  # noqa: PTH112 - for each series
        missing.append(folder)
        folder = folder.parent
    changed = [*(path for path in above if path != folder and path not in missing), folder]
    changed.sort(key=lambda path: len(path.parts))
    try:
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            changed.append(new)
        yield
    finally:
        for folder in reversed(changed):
            sync_folder(folder)


def put_file(temporary: Path, target: Path) -> None:
    """Give a written file its final name, whatever had that name before."""
    sync_files(temporary.parent, [temporary.name])
    temporary.replace(target)
    sync_folder(target.parent)


def exchange_folder(folder: Path, target: Path) -> bool:
    """Let `folder` and `target` change places in one step, so that `target` is never absent (renameat2(2)).

    False where kernel or file system cannot; then nothing was done.
    """
    try:
        _exchange(folder, target)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        return False
    return True


def swap_folder(folder: Path, target: Path, replaced: Path) -> None:
    """What takes the place of `exchange_folder`: two renames, `target` absent between them; what was there goes to `replaced`.

    Where the second fails, the first is undone.
    """
    target.rename(replaced)
    try:
        folder.rename(target)
    except OSError:
        replaced.rename(target)
        raise


def _exchange(one: Path, other: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(other))
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def remove_folder(folder: Path) -> None:
    """Remove the folder and all in it, if it is there. A link is removed, not what it leads to."""
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove the folder if it is empty, then the one above it, and so on, but never `root`."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return  # not empty, or a link: it stays
        folder = folder.parent


def _sync_names(folder_descriptor: int) -> None:
    try:
        os.fsync(folder_descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


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


class FileSystemErrors:
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
                f"the library in {self._root} has no space left, at {where}: {reason}",
                series_instance_uid=self._series_instance_uid,
                next_step="free some space, or choose a directory on another disk, and run again",
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


class FreeSpace:
    """Keeps `min_free_bytes` of the file system that `root` is on free of tciad."""

    __slots__ = ("_min_free_bytes", "_root")

    def __init__(self, root: Path, min_free_bytes: int) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes

    def free_bytes(self) -> int:
        """What this user may still write, which can be less than what the disk has left. Raises OSError."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    def require(self, series_instance_uid: str, expected_bytes: int = 0) -> None:
        """Refuse to go on where `expected_bytes` more would leave too little. Raises OSError.

        Raises:
            NoSpaceError: they would.
        """
        if self._min_free_bytes:
            self.require_at_least(series_instance_uid, expected_bytes)

    def require_at_least(self, series_instance_uid: str, expected_bytes: int) -> None:
        """The same for what is known to need so much, also where nothing is to stay free."""
        free_bytes = self.free_bytes()
        if free_bytes - expected_bytes < self._min_free_bytes:
            what = f"{expected_bytes:,} bytes are needed, and {free_bytes:,} are free in {self._root}"
            if self._min_free_bytes:
                left = f"{self._min_free_bytes:,} of the {free_bytes:,} bytes that are free in {self._root}"
                what = f"{expected_bytes:,} bytes more would not leave {left}"
            raise NoSpaceError(
                what,
                series_instance_uid=series_instance_uid,
                next_step="free some space, choose a directory on another disk, or lower download.min_free_space",
            )
