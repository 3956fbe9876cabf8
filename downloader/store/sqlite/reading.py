"""Opens a store read-only. Nothing is created, migrated or written, whatever its version."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from downloader.errors import StoreLockedError
from downloader.store.sqlite.connection import BUSY_SECONDS, Connection, check_file, is_suspect, migrate
from downloader.store.sqlite.errors import translated_errors
from downloader.store.sqlite.statements import load_migrations, load_queries


def open_to_read(path: Path, busy_seconds: float = BUSY_SECONDS) -> Connection:
    """Open the store at `path` as it is. An older version is copied and the copy is migrated.

    The copy is a temporary file of SQLite's: this takes seconds for a million series, until the next run migrates the store.

    Raises:
        DamagedStoreError: it is damaged, or not a database.
        StoreError: it does not exist, cannot be read, is not a state store, or was written by a newer tciad.
        StoreLockedError: another process locked it for longer than `busy_seconds`.
    """
    with translated_errors(path):
        suspect = is_suspect(path)
        with _closed_on_error(connect_to_read(path, busy_seconds)) as database:
            migrations = load_migrations()
            version = check_file(database, path, newest_version=max(migrations), suspect=suspect)
            if version == max(migrations):
                database.execute("PRAGMA query_only = ON")
                return Connection(database, load_queries())
            copy = _copy(database)
        database.close()
        with _closed_on_error(copy):
            migrate(copy, migrations)
        return Connection(copy, load_queries())


def open_empty() -> Connection:
    """An empty store, for queries about a library that has none yet."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    migrate(database, load_migrations())
    return Connection(database, load_queries())


def connect_to_read(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Connect without creating the file: to the store itself, or to a copy of it if its folder cannot be written.

    SQLite needs a file for shared memory beside a store with a write-ahead log. On a read-only file system, or in a folder of
    another user, it can create none, and refuses a store that no process has open. Such a store is read from a temporary copy.

    Not `mode=ro`: such a connection cannot remove the write-ahead log when it closes, and the next start would take the log for
    the sign of a crash. If the user may not write, SQLite opens the file for reading by itself.
    """
    uri = path.absolute().as_uri()
    database = sqlite3.connect(f"{uri}?mode=rw", uri=True, timeout=busy_seconds, isolation_level=None)
    with _closed_on_error(database):
        try:
            database.execute("PRAGMA schema_version").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or _log_of(path).exists():
                raise
        else:
            return database
    database.close()
    return _copy_unused(path)


def _copy_unused(path: Path) -> sqlite3.Connection:
    """Copy a store that no process has open, without locks: a process that opens it creates a log before it changes it.

    Raises:
        StoreLockedError: a process has opened it meanwhile.
    """
    before = path.stat()
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)) as database:
        copy = _copy(database)
    after = path.stat()
    if _log_of(path).exists() or (before.st_ino, before.st_size, before.st_mtime_ns) != (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
    ):
        copy.close()
        raise StoreLockedError(f"another process has just opened the state store {path}", next_step="try again")
    return copy


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _copy(database: sqlite3.Connection) -> sqlite3.Connection:
    # a database without a name is a temporary file that SQLite removes when it is closed
    copy = sqlite3.connect("", isolation_level=None)
    with _closed_on_error(copy):
        database.backup(copy)
        # the copy needs no write-ahead log
        copy.execute("PRAGMA journal_mode = MEMORY")
    return copy


@contextmanager
def _closed_on_error(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield database
    except BaseException:
        database.close()
        raise
