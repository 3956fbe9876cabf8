"""One run per library: an exclusive lock that says who holds it and that dies with its process."""

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
from downloader.own_folder import OWN_FOLDER, open_own_folder

_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_NOT_SUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_MAX_HOLDER_BYTES = 4096
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
    path = library / OWN_FOLDER / LOCK_NAME
    us = _Holder(
        pid=os.getpid(),
        host=socket.gethostname(),
        started_at=started_at.astimezone(UTC).isoformat(timespec="seconds"),
    )
    with _opened(path) as descriptor:
        if not _lock(descriptor, path, flock):
            _refuse_living_holder(_read_holder(descriptor), path, us)
        _write_holder(descriptor, path, us)
        try:
            yield
        finally:
            with suppress(OSError):  # a word left behind is written over by the next run
                os.ftruncate(descriptor, 0)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        with open_own_folder(path.parent.parent, make=True) as own:
            descriptor = own.open_file(LOCK_NAME, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, flock: Callable[[int, int], None]) -> bool:
    """Take the lock; False where the file system knows none."""
    try:
        flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise _locked(path, _read_holder(descriptor)) from error
        if error.errno in _NOT_SUPPORTED:
            return False
        raise _not_writable(path, error) from error
    return True


def _refuse_living_holder(holder: _Holder | None, path: Path, us: _Holder) -> None:
    """Raise if the word in the file is that of a process that lives, or that may live on another host."""
    if holder is None:
        return
    if holder.host != us.host:
        raise _locked(path, holder, next_step=f"if that process is dead, remove {path}")
    # in a container the run before this one had the same number
    if holder.pid != us.pid and _lives(holder.pid):
        raise _locked(path, holder)


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


def _write_holder(descriptor: int, path: Path, holder: _Holder) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (json.dumps(asdict(holder)) + "\n").encode(), 0)
    except OSError as error:
        raise _not_writable(path, error) from error


def _locked(path: Path, holder: _Holder | None, next_step: str = "wait until it has ended, or stop it") -> StoreLockedError:
    library = path.parent.parent
    who = f"another run ({holder})" if holder else "another run"
    return StoreLockedError(f"{who} holds the library {library}", next_step=next_step)


def _not_writable(path: Path, error: OSError) -> LibraryError:
    what = f"the library {path.parent.parent} cannot be locked: {path}: {error.strerror}"
    if error.errno in NO_SPACE:
        return NoSpaceError(what, next_step="free some space, or name another one with --output")
    return LibraryError(what, next_step="make it writable, or name another one with --output")
