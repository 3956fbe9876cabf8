"""Opens a store to be asked. Nothing is made, migrated or written, whatever its version."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from downloader.store.sqlite.connection import BUSY_SECONDS, Connection, check_file, is_suspect, migrate
from downloader.store.sqlite.errors import translated_errors
from downloader.store.sqlite.statements import load_migrations, load_queries


def open_to_read(path: Path, busy_seconds: float = BUSY_SECONDS) -> Connection:
    """Open the store at `path` as it is. One of an older version is read from a copy of this moment that is brought up to date.

    The copy is a temporary file of SQLite's own: seconds for a store of a million series, until the next run migrates it.

    Raises:
        DamagedStoreError: damaged, or no database at all.
        StoreError: it is not there, cannot be read, is not a state store, or was made by a newer tciad.
        StoreLockedError: another process would not let go of it for `busy_seconds`.
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
    """A store without anything in it, for questions about a library that has none yet."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    migrate(database, load_migrations())
    return Connection(database, load_queries())


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Never makes the file.

    Not `mode=ro`: such a connection cannot remove the write-ahead log when it closes, and the next start would take the log for
    the sign of a crash. Where the user may not write, SQLite opens the file for reading by itself.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_seconds, isolation_level=None)


def _copy(database: sqlite3.Connection) -> sqlite3.Connection:
    # a database without a name is a temporary file that SQLite removes when it is closed
    copy = sqlite3.connect("", isolation_level=None)
    with _closed_on_error(copy):
        database.backup(copy)
        # the copy is no place for a write-ahead log
        copy.execute("PRAGMA journal_mode = MEMORY")
    return copy


@contextmanager
def _closed_on_error(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield database
    except BaseException:
        database.close()
        raise
