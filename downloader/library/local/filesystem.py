"""File system calls that make changes atomic and durable, and the translation of their errors.

Functions raise OSError; `FileSystemErrors` translates it. `FreeSpace` keeps the reserved space free.
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
"""Flags to open a new file that must not exist yet."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})
# some network file systems cannot sync a folder, and need not
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})


def sync_files(folder: Path, names: Iterable[str]) -> None:
    """Sync the named files.

    All at the end instead of each after writing: by then the kernel has written most of it (see `begin_write_back`), and a failed
    attempt does not wait for any sync.
    """
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as folder_descriptor:
        for name in names:
            file_descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_descriptor)
            try:
                os.fsync(file_descriptor)
            finally:
                os.close(file_descriptor)


def sync_folder(folder: Path) -> None:
    """Sync the names in the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync_names(descriptor)
    finally:
        os.close(descriptor)


def begin_write_back(descriptor: int) -> None:
    """Ask the system to start writing the file, without waiting for it (posix_fadvise(2)).

    When all files of a series are being written, the first sync also writes blocks and names of the others: on a disk that seeks,
    this halves the time (docs/decisions/0021). Written data can also leave the page cache.
    """
    advise(descriptor, "POSIX_FADV_DONTNEED")


def advise(descriptor: int, advice: str) -> None:
    """posix_fadvise(2), where it exists (not on macOS) and is allowed: errors are ignored, because it is only advice."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, getattr(os, advice))


def rename_within(folder: Path, names: Iterable[tuple[str, str]]) -> None:
    """Rename files of one folder, each from its old name to its new one."""
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        for old, new in names:
            os.rename(old, new, src_dir_fd=descriptor, dst_dir_fd=descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; the system may write a part of it per call."""
    written = os.write(descriptor, data)
    if written < len(data):
        rest = memoryview(data)
        while written < len(rest):
            written += os.write(descriptor, rest[written:])


def write_new(path: Path, content: bytes) -> None:
    """Write a new file, without a sync."""
    with _opened(path, NEW_FILE) as descriptor:
        write_all(descriptor, content)


def write_synced(folder: Path, files: Mapping[str, Iterable[bytes]]) -> None:
    """Write new files into a folder; files and names are synced when this returns.

    Each file stays open until it is synced, because reopening takes as long as writing a small file.
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
    """Create the folder, empty: existing content is removed."""
    try:
        os.mkdir(folder)  # noqa: PTH102 - for each series
    except FileExistsError:
        remove_folder(folder)
        folder.mkdir()


@contextlib.contextmanager
def made_folders(folder: Path, above: Collection[Path] = ()) -> Iterator[None]:
    """Create the folder and its parents; at the end, sync the names in it and in all parents that got a new folder.

    The folders in `above` are synced too. All syncs are at the end, the deepest folder first: on most file systems this also
    writes the others, which then cost little.
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
    """Rename a written file to its final name, replacing an existing file."""
    sync_files(temporary.parent, [temporary.name])
    temporary.replace(target)
    sync_folder(target.parent)


def exchange_folder(folder: Path, target: Path) -> bool:
    """Exchange `folder` and `target` atomically, so that `target` always exists (renameat2(2)).

    False if kernel or file system cannot; then nothing was changed.
    """
    try:
        _exchange(folder, target)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        return False
    return True


def swap_folder(folder: Path, target: Path, replaced: Path) -> None:
    """The fallback for `exchange_folder`: two renames, between which `target` is missing; the old folder goes to `replaced`.

    If the second rename fails, the first is undone.
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
    """Remove the folder with its content, if it exists. A link itself is removed, not its target."""
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove the folder if it is empty, then its parent, and so on, but never `root`."""
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
    """A context that translates OSError to LibraryError or NoSpaceError. Reusable and thread-safe.

    Args:
        root: the library; paths in messages are relative to it.
        place: the path for messages if the system does not give one.
        series_instance_uid: the current series, if there is one.
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
        """The translated error."""
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
    """Keeps `min_free_bytes` free on the file system of `root`."""

    __slots__ = ("_min_free_bytes", "_root")

    def __init__(self, root: Path, min_free_bytes: int) -> None:
        self._root = root
        self._min_free_bytes = min_free_bytes

    def free_bytes(self) -> int:
        """The bytes that this user may still write, which can be less than the free space. Raises OSError."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    def require(self, series_instance_uid: str, expected_bytes: int = 0) -> None:
        """Raise an error if `expected_bytes` more would leave too little free space. Raises OSError.

        Raises:
            NoSpaceError: there is too little free space.
        """
        if self._min_free_bytes:
            self.require_at_least(series_instance_uid, expected_bytes)

    def require_at_least(self, series_instance_uid: str, expected_bytes: int) -> None:
        """The same for a known need, even if no space is reserved."""
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
