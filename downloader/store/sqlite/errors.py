"""Translates sqlite3's errors into ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from downloader.errors import DamagedStoreError, StoreError, StoreLockedError

_PRIMARY_CODE = 0xFF  # the primary result code is the low byte of an extended one (SQLite, Result and Error Codes)
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NOT_WRITABLE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})

REBUILD = "rebuild it from the receipts with `tciad store rebuild`; the damaged file is kept"


FOREIGN_ERRORS: Final = (sqlite3.Error, OSError)
"""What sqlite3 and the file system raise."""


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raise errors of sqlite3 and of the file system as StoreError about the store at `path`."""
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """The StoreError for one of FOREIGN_ERRORS about the store at `path`. Raise it `from` the foreign one."""
    if isinstance(error, OSError):
        return StoreError(
            f"the state store {path} cannot be opened: {error.strerror or error}",
            next_step="make its folder writable, or name another file with --state",
        )
    # errors that the Python module raises itself have no code
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
    if code in _BUSY:
        return StoreLockedError(
            f"the state store {path} is locked by another process",
            next_step="wait until the other run has ended, or stop it",
        )
    if code in _DAMAGED:
        return DamagedStoreError(f"the state store {path} is damaged, or not a state store: {error}", next_step=REBUILD)
    if code in _NOT_WRITABLE:
        return StoreError(
            f"the state store {path} cannot be opened for writing: {error}",
            next_step="make file and folder writable, or name another file with --state",
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"not enough space for the state store {path}", next_step="free some space, then run again")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"the state store {path} cannot be read or written: {error}",
            next_step="check the disk; on a network file system put the store on a local disk with --state",
        )
    return StoreError(f"the state store {path} failed: {error}", next_step="report this with the log")
