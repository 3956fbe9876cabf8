"""An exclusive lock per library, and per store, that names its holder and is released when the process dies."""

import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from downloader.errors import NO_SPACE, LibraryError, NoSpaceError, StoreLockedError
from downloader.own_folder import OWN_FOLDER, open_own_folder, share_with_group

_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_NOT_SUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_MAX_HOLDER_BYTES = 4096
_MOST_OPENINGS = 100
LOCK_NAME: Final = "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    pid: int
    host: str
    started_at: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, started at {self.started_at}"


@contextmanager
def lock_library(library: Path, started_at: datetime, *, flock: Callable[[int, int], None] = fcntl.flock) -> Iterator[None]:
    """Lock the library at this path, and record holder and time in `.tciad/lock`.

    The file stays after the lock is released: without it, two runs could lock two files of the same name. The content of a dead
    holder is overwritten. If the file system has no flock(2), the content of the file and the liveness of its process decide;
    this cannot distinguish two runs that start at the same instant.

    Raises:
        StoreLockedError: another run has the lock; the message names it.
        LibraryError: the library cannot be written.
    """
    with _held(_Lock(path=library / OWN_FOLDER / LOCK_NAME, of=f"the library {library}"), _open_in_library, started_at, flock):
        yield


@contextmanager
def lock_store(store: Path, started_at: datetime, *, flock: Callable[[int, int], None] = fcntl.flock) -> Iterator[None]:
    """Lock the store at this path, outside of its library, by the file `<store>.lock` next to it; see `lock_library`.

    Raises:
        StoreLockedError: another run has the lock of the store, for this library or another; the message names it.
        LibraryError: the file cannot be written.
    """
    path = store.with_name(f"{store.name}.{LOCK_NAME}")
    with _held(_Lock(path=path, of=f"the state store {store}"), _open_beside_store, started_at, flock):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """The file of a lock, and the name of what it protects."""

    path: Path
    of: str


@contextmanager
def _held(
    lock: _Lock, open_lock: Callable[[Path], int], started_at: datetime, flock: Callable[[int, int], None]
) -> Iterator[None]:
    us = _Holder(
        pid=os.getpid(),
        host=socket.gethostname(),
        started_at=started_at.astimezone(UTC).isoformat(timespec="seconds"),
    )
    descriptor, is_locked = _open_locked(lock, open_lock, flock)
    try:
        if not is_locked:
            _refuse_living_holder(_read_holder(descriptor), lock, us)
        _write_holder(descriptor, lock, us)
        try:
            yield
        finally:
            with suppress(OSError):  # the next run overwrites content that stays behind
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _open_locked(lock: _Lock, open_lock: Callable[[Path], int], flock: Callable[[int, int], None]) -> tuple[int, bool]:
    """The descriptor of the lock's file, and whether flock(2) holds it.

    A process that fails to create a library removes its own folder with the lock's file. A process that had opened that file
    holds no lock, and opens the new file.
    """
    for openings_left in reversed(range(_MOST_OPENINGS)):
        try:
            descriptor = open_lock(lock.path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and openings_left:
                continue  # the folder was removed between two calls
            raise _not_writable(lock, error) from error
        try:
            is_locked = _lock(descriptor, lock, flock)
            is_removed = _is_removed(descriptor, lock.path)
        except BaseException:
            os.close(descriptor)
            raise
        if not is_removed:
            return descriptor, is_locked
        os.close(descriptor)
    raise _locked(lock, None)


def _is_removed(descriptor: int, path: Path) -> bool:
    """Whether the open file was removed. Inodes alone do not decide: some file systems number each opening anew."""
    status = os.fstat(descriptor)
    try:
        named = path.lstat()
    except FileNotFoundError:
        return True
    return not status.st_nlink and not os.path.samestat(status, named)


def _open_in_library(path: Path) -> int:
    with open_own_folder(path.parent.parent, make=True) as own:
        return own.open_file(LOCK_NAME, os.O_RDWR | os.O_CREAT)


def _open_beside_store(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    share_with_group(descriptor, path.parent.stat())
    return descriptor


def _lock(descriptor: int, lock: _Lock, flock: Callable[[int, int], None]) -> bool:
    """Take the lock; False if the file system has no locks."""
    try:
        flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise _locked(lock, _read_holder(descriptor)) from error
        if error.errno in _NOT_SUPPORTED:
            return False
        raise _not_writable(lock, error) from error
    return True


def _refuse_living_holder(holder: _Holder | None, lock: _Lock, us: _Holder) -> None:
    """Raise an error if the process in the file is alive, or may be alive on another host."""
    if holder is None:
        return
    if holder.host != us.host:
        raise _locked(lock, holder, next_step=f"if that process is dead, remove {lock.path}")
    # in a container, the previous run had the same process id
    if holder.pid != us.pid and _lives(holder.pid):
        raise _locked(lock, holder)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read_holder(descriptor: int) -> _Holder | None:
    """The holder in the file; None if the file is empty or unreadable."""
    try:
        word = json.loads(os.pread(descriptor, _MAX_HOLDER_BYTES, 0))
        return _Holder(pid=int(word["pid"]), host=str(word["host"]), started_at=str(word["started_at"]))
    except (ValueError, KeyError, TypeError):
        return None


def _write_holder(descriptor: int, lock: _Lock, holder: _Holder) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (json.dumps(asdict(holder)) + "\n").encode(), 0)
    except OSError as error:
        raise _not_writable(lock, error) from error


def _locked(lock: _Lock, holder: _Holder | None, next_step: str = "wait until it has ended, or stop it") -> StoreLockedError:
    who = f"another run ({holder})" if holder else "another run"
    return StoreLockedError(f"{who} holds {lock.of}", next_step=next_step)


def _not_writable(lock: _Lock, error: OSError) -> LibraryError:
    what = f"{lock.of} cannot be locked: {lock.path}: {error.strerror}"
    if error.errno in NO_SPACE:
        return NoSpaceError(what, next_step="free some space, or name another one with --output or --state")
    if error.errno == errno.EROFS:
        return LibraryError(what, next_step="mount the file system so that it can be written, or name another one with --output")
    return LibraryError(what, next_step="make it writable, or name another one with --output or --state")
