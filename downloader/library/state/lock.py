"""One run per library, and per store: an exclusive lock that says who holds it and that dies with its process."""

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
    """Hold the library at this path, and say in `.tciad/lock` who does and since when.

    The file stays when the lock goes: removing it would let two runs hold two files of one name. What a dead holder left in it is
    written over. Where the file system has no flock(2), the word in the file and the life of its process decide; that cannot tell
    two runs apart that start in the same instant.

    Raises:
        StoreLockedError: another run holds the library; the message names it.
        LibraryError: the library cannot be written.
    """
    with _held(_Lock(path=library / OWN_FOLDER / LOCK_NAME, of=f"the library {library}"), _open_in_library, started_at, flock):
        yield


@contextmanager
def lock_store(store: Path, started_at: datetime, *, flock: Callable[[int, int], None] = fcntl.flock) -> Iterator[None]:
    """Hold the store at this path, which lies outside of its library, by the file `<store>.lock` beside it; see `lock_library`.

    Raises:
        StoreLockedError: another run holds the store, over this library or another; the message names it.
        LibraryError: the file cannot be written.
    """
    path = store.with_name(f"{store.name}.{LOCK_NAME}")
    with _held(_Lock(path=path, of=f"the state store {store}"), _open_beside_store, started_at, flock):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """A file, and what the process that locks it holds."""

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
            with suppress(OSError):  # a word left behind is written over by the next run
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _open_locked(lock: _Lock, open_lock: Callable[[Path], int], flock: Callable[[int, int], None]) -> tuple[int, bool]:
    """The descriptor of the lock's file, and whether flock(2) holds it.

    A process that fails to make a library removes its own folder, the lock's file too. One that opened that file before holds
    nothing by it, and opens the new one.
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
    """Whether the open file has lost its name. Inodes alone do not decide: some file systems number each opening anew."""
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
    """Take the lock; False where the file system knows none."""
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
    """Raise if the word in the file is that of a process that lives, or that may live on another host."""
    if holder is None:
        return
    if holder.host != us.host:
        raise _locked(lock, holder, next_step=f"if that process is dead, remove {lock.path}")
    # in a container the run before this one had the same number
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
    """Who the file says holds the lock; None when it says nothing, or nothing that can be read."""
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
