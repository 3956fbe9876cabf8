"""Opens a store read-only. Nothing is created, migrated or written, whatever its version."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        with _closed_on_error(_connect(path, busy_seconds)) as database:
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


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Connect without creating the file.

    Not `mode=ro`: such a connection cannot remove the write-ahead log when it closes, and the next start would take the log for
    the sign of a crash. If the user may not write, SQLite opens the file for reading by itself.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_seconds, isolation_level=None)


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
