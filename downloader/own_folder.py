"""`.tciad`, the library's own folder, and what is in it: opened relative to a descriptor, and no link is ever followed there.

Other programs write into libraries too, and some libraries are in folders that everybody may write to. A link in place of
`.tciad`, or of anything in it, would lead tciad to empty or to overwrite what is not its own. The folder has to belong to a user
who is trusted anyway (see `_is_trusted`), so that no other user can exchange what is in it between a look and the next step.

One race remains. A series is staged by path, so that a person who may rename entries of the library's own directory could put
another folder in the place of the whole `.tciad` while a run goes on. That takes write access to the library itself; the next
opening refuses what such a person put there.

Blocks. Raises OSError for what the system refuses (see library/faults.py), and LibraryError for links and foreign folders.
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
# what open(2) answers where O_NOFOLLOW meets a link: the second with O_DIRECTORY
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR})
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})
_GROUP_MAY_WRITE = stat.S_IRGRP | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """`.tciad` or a folder in it. Names are those of direct entries; `path` is for messages."""

    path: Path
    descriptor: int

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError where there is none."""
        descriptor = self.open_file(name, _READ)
        # a descriptor of a directory makes no file object, so that none would close it
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LibraryError(f"{self.path / name} is no file", next_step="remove it, and run again")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Replace the file in one step. Without `durable` it may be gone after a power cut."""
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
        """A descriptor of the file; O_NOFOLLOW and O_CLOEXEC are added.

        A file that is made gets the rights that the umask leaves, and those of its group where the folder is a group's (setgid).
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
        """Whether there is anything of that name."""
        try:
            os.lstat(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> bool:
        """Remove a file, or a link itself; False where there was none."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return True

    def remove_tree(self, name: str) -> bool:
        """Remove whatever has the name, with all that is in it; whether it was a folder."""
        if not stat.S_ISDIR(os.lstat(name, dir_fd=self.descriptor).st_mode):
            self.remove(name)
            return False
        shutil.rmtree(name, dir_fd=self.descriptor)
        return True

    def names(self) -> list[str]:
        """What the folder holds, in no order."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - of a descriptor

    def refuse_link(self, name: str) -> None:
        """Raise LibraryError where the name is that of a link: for what has to be opened by path afterwards."""
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(os.lstat(name, dir_fd=self.descriptor).st_mode):
                raise _link(self.path / name)

    @contextmanager
    def folder(self, name: str, *, make: bool = False) -> Iterator["OwnFolder"]:
        """A folder in this one, made if need be where `make` says so."""
        if make:
            _make(name, self.descriptor)
        with _opened(self.path / name, name, self.descriptor) as inner:
            yield inner

    def sync(self) -> None:
        """Return once the names in the folder are on the disk."""
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
    """The own folder of the library `root`, which may itself be reached through a link. Raises FileNotFoundError for none.

    Args:
        root: the library.
        make: whether library and folder are made if need be.
        to_read: whether nothing is to be changed. A folder that belongs to the owner of the library is then good enough, as it
            always is for root.

    Raises:
        LibraryError: it is a link, or it belongs to somebody else.
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
    """Whether the library has a folder of ours.

    Raises:
        LibraryError: it is a link, or it belongs to somebody else.
    """
    try:
        with open_own_folder(root, to_read=True):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False


def remove_own_folder(root: Path, *, last: str) -> None:
    """Remove the own folder and its content: for a library that came to nothing, whose lock this process holds.

    Args:
        root: the library.
        last: the name of the lock. It goes last, because another process may enter as soon as it is gone; what that process
            puts into the folder stays.
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
    """The content of a file in the own folder; None where library, folder or file is not there.

    Raises:
        LibraryError: a link is in the way, or the folder belongs to somebody else.
    """
    try:
        with open_own_folder(root, to_read=True) as own:
            return own.read(name)
    except (FileNotFoundError, NotADirectoryError):
        return None


def share_with_group(descriptor: int, folder: os.stat_result) -> None:
    """Let the group write the new file too where the folder is a group's (setgid), whatever the umask."""
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
            raise LibraryError(f"{path} is no folder", next_step="move it elsewhere, and run again") from error
        raise
    try:
        yield OwnFolder(path, descriptor)
    finally:
        os.close(descriptor)


def _refuse_foreign(own: OwnFolder, library: os.stat_result, *, to_read: bool) -> None:
    status = os.fstat(own.descriptor)
    # root may write into every library, so that the owner of the library is the one whose folder it may have
    may_be_of_owner = to_read or os.geteuid() == 0
    if _is_trusted(status) or (may_be_of_owner and status.st_uid == library.st_uid) or _is_ours_there(own, status):
        return
    raise LibraryError(
        f"{own.path} belongs to user {status.st_uid}, and tciad runs as user {os.geteuid()}",
        next_step=f"run tciad as the owner of the library, or make this user its owner: chown -R {os.geteuid()} {own.path}",
    )


def _is_trusted(status: os.stat_result) -> bool:
    """Whether the folder is this user's, root's, or that of a group of this user's which nobody outside of it may change."""
    if status.st_uid in {os.geteuid(), 0}:
        return True
    is_open_to_all = bool(status.st_mode & stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    return not is_open_to_all and status.st_gid in {os.getegid(), *os.getgroups()}


def _is_ours_there(own: OwnFolder, status: os.stat_result) -> bool:
    """Whether a file that we make there gets the owner of the folder.

    Some file systems give every file an owner of their own: NFS that maps users to one, CIFS, shares of virtual machines.
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
        f"{path} is a link, and tciad follows none there",
        next_step="look where it leads and remove it; --state keeps the store elsewhere",
    )
