"""Access to `.tciad`, the library's own folder, relative to a descriptor and without following links.

Other programs write into libraries, and some libraries are in world-writable folders. A link in place of `.tciad` or of an entry
in it could make tciad delete or overwrite foreign files. The folder must belong to a trusted user (see `_is_trusted`), so that no
other user can replace its entries between a check and the next step.

One race remains. A series is staged by path, so that a user with write access to the library's own directory could replace the
whole `.tciad` during a run. The next opening refuses such a replacement.

All functions block. They raise OSError for errors of the system (`library/local/filesystem.py` translates them), and LibraryError
for links and foreign folders.
"""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from downloader.errors import LibraryError

OWN_FOLDER: Final = ".tciad"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# errno of open(2) with O_NOFOLLOW on a link; ENOTDIR if O_DIRECTORY is set as well
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR})
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})
_GROUP_MAY_WRITE = stat.S_IRGRP | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """`.tciad` or a folder in it. Methods take names of direct entries; `path` is for messages."""

    path: Path
    descriptor: int

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError if there is none."""
        descriptor = self.open_file(name, _READ)
        # os.fdopen refuses the descriptor of a directory and does not close it
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LibraryError(f"{self.path / name} is not a file", next_step="remove it, and run again")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Replace the file by an atomic rename. Without `durable`, the file may be lost after a power failure."""
        temporary = f"{name}.new"
        self.remove(temporary)
        descriptor = self.open_file(temporary, _NEW)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        os.replace(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        if durable:
            self.sync()

    def open_file(self, name: str, flags: int) -> int:
        """Open the file and return its descriptor; O_NOFOLLOW and O_CLOEXEC are added to the flags.

        A new file has the permissions of the umask, and group permissions if the folder has the setgid bit.
        """
        try:
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=self.descriptor)
        except OSError as error:
            self._refuse_link(name, error)
            raise
        if flags & os.O_CREAT:
            share_with_group(descriptor, os.fstat(self.descriptor))
        return descriptor

    def has(self, name: str) -> bool:
        """Whether an entry of that name exists."""
        try:
            os.lstat(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> bool:
        """Remove a file, or a link itself; False if there was none."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return True

    def remove_tree(self, name: str) -> bool:
        """Remove a file, a link, or a folder with its content; whether it was a folder."""
        if not stat.S_ISDIR(os.lstat(name, dir_fd=self.descriptor).st_mode):
            self.remove(name)
            return False
        shutil.rmtree(name, dir_fd=self.descriptor)
        return True

    def names(self) -> list[str]:
        """The names of the entries, in no order."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - of a descriptor

    def refuse_link(self, name: str) -> None:
        """Raise LibraryError if the entry is a link. Call it before a path is opened by code that follows links."""
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(os.lstat(name, dir_fd=self.descriptor).st_mode):
                raise _link(self.path / name)

    @contextmanager
    def folder(self, name: str, *, make: bool = False) -> Iterator["OwnFolder"]:
        """Open a folder in this one; `make` creates it if it does not exist."""
        if make:
            _make(name, self.descriptor)
        with _opened(self.path / name, name, self.descriptor) as inner:
            yield inner

    def sync(self) -> None:
        """Sync the folder to disk, where the file system can."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise

    def _refuse_link(self, name: str, error: OSError) -> None:
        if error.errno in _LINK_ERRORS:
            self.refuse_link(name)


@contextmanager
def open_own_folder(root: Path, *, make: bool = False, to_read: bool = False) -> Iterator[OwnFolder]:
    """Open the own folder of the library `root`, which may be a link itself. Raises FileNotFoundError if there is none.

    Args:
        root: the library.
        make: create library and folder if they do not exist.
        to_read: the caller changes nothing. Then the folder may also belong to the owner of the library, as is always allowed for
            root.

    Raises:
        LibraryError: it is a link, or it belongs to another user.
    """
    if make:
        root.mkdir(parents=True, exist_ok=True)
    above = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if make:
            _make(OWN_FOLDER, above)
        with _opened(root / OWN_FOLDER, OWN_FOLDER, above) as own:
            _refuse_foreign(own, os.fstat(above), to_read=to_read)
            yield own
    finally:
        os.close(above)


def has_own_folder(root: Path) -> bool:
    """Whether the library has a `.tciad` folder.

    Raises:
        LibraryError: it is a link, or it belongs to another user.
    """
    try:
        with open_own_folder(root, to_read=True):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False


def remove_own_folder(root: Path, *, last: str) -> None:
    """Remove the own folder of a library that has no series. The caller must hold its lock.

    Args:
        root: the library.
        last: the name of the lock, which is removed last: another process may lock the library right after. Files that this
            process creates are kept.
    """
    with suppress(FileNotFoundError):
        with open_own_folder(root) as own:
            for name in sorted(own.names(), key=last.__eq__):
                own.remove_tree(name)
        try:
            (root / OWN_FOLDER).rmdir()
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise


def read_own_file(root: Path, name: str) -> bytes | None:
    """The content of a file in the own folder; None if library, folder or file does not exist.

    Raises:
        LibraryError: a link is in the way, or the folder belongs to another user.
    """
    try:
        with open_own_folder(root, to_read=True) as own:
            return own.read(name)
    except (FileNotFoundError, NotADirectoryError):
        return None


def share_with_group(descriptor: int, folder: os.stat_result) -> None:
    """Give the group write permission for a new file if the folder has the setgid bit, regardless of the umask."""
    status = os.fstat(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    if folder.st_mode & stat.S_ISGID and status.st_uid == os.geteuid() and mode & _GROUP_MAY_WRITE != _GROUP_MAY_WRITE:
        with suppress(OSError):  # file systems without such rights
            os.fchmod(descriptor, mode | _GROUP_MAY_WRITE)


def _make(name: str, above: int) -> None:
    try:
        os.mkdir(name, dir_fd=above)
    except FileExistsError:
        return
    mode = stat.S_IMODE(os.lstat(name, dir_fd=above).st_mode)
    if mode & stat.S_ISGID:
        with suppress(OSError):
            os.chmod(name, mode | stat.S_IRWXG, dir_fd=above)  # noqa: S103 - the group's own folder


@contextmanager
def _opened(path: Path, name: str, above: int) -> Iterator[OwnFolder]:
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=above)
    except OSError as error:
        if error.errno in _LINK_ERRORS and stat.S_ISLNK(os.lstat(name, dir_fd=above).st_mode):
            raise _link(path) from error
        if error.errno == errno.ENOTDIR:
            raise LibraryError(f"{path} is not a folder", next_step="move it elsewhere, and run again") from error
        raise
    try:
        yield OwnFolder(path, descriptor)
    finally:
        os.close(descriptor)


def _refuse_foreign(own: OwnFolder, library: os.stat_result, *, to_read: bool) -> None:
    status = os.fstat(own.descriptor)
    # root may write into every library, so for root the folder may belong to the owner of the library
    may_be_of_owner = to_read or os.geteuid() == 0
    if _is_trusted(status) or (may_be_of_owner and status.st_uid == library.st_uid) or _is_ours_there(own, status):
        return
    raise LibraryError(
        f"{own.path} belongs to user {status.st_uid}, and tciad runs as user {os.geteuid()}",
        next_step=f"run tciad as the owner of the library, or make this user its owner: chown -R {os.geteuid()} {own.path}",
    )


def _is_trusted(status: os.stat_result) -> bool:
    """Whether the folder belongs to this user, to root, or to a group of this user and is not writable for others."""
    if status.st_uid in {os.geteuid(), 0}:
        return True
    is_open_to_all = bool(status.st_mode & stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    return not is_open_to_all and status.st_gid in {os.getegid(), *os.getgroups()}


def _is_ours_there(own: OwnFolder, status: os.stat_result) -> bool:
    """Whether a file that this process creates there gets the owner of the folder.

    Some file systems assign every file an owner of their own: NFS that maps all users to one, CIFS, shares of virtual machines.
    """
    name = f"owner.{secrets.token_hex(8)}"
    try:
        descriptor = os.open(name, _NEW, 0o600, dir_fd=own.descriptor)
    except OSError:
        return False
    try:
        return os.fstat(descriptor).st_uid == status.st_uid
    finally:
        os.close(descriptor)
        os.unlink(name, dir_fd=own.descriptor)


def _link(path: Path) -> LibraryError:
    return LibraryError(
        f"{path} is a link, which tciad does not follow",
        next_step="check its target and remove it; use --state for a store elsewhere",
    )
