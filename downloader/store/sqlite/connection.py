"""The single connection to the store's file: opens, checks and migrates it; then runs named statements in transactions."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from downloader.errors import DamagedStoreError, StoreError, StoreLockedError
from downloader.own_folder import share_with_group
from downloader.store.sqlite.errors import REBUILD, translated_errors
from downloader.store.sqlite.statements import load_migrations, load_queries, split_statements

APPLICATION_ID = 0x74636961
"""`tcia` in ASCII: identifies our files among SQLite files."""

BUSY_SECONDS = 10.0
PAGE_SIZE = 1000
"""The number of rows that are read at once when many are processed."""

_SWITCH_TRIES = 100
_CACHE_KIB = 64 * 1024
_QUICKLY_CHECKED_BYTES = 64 * 1024 * 1024  # read and compared in 0.1 s

Value = str | int | float | None
Row = dict[str, Any]
Item = TypeVar("Item")


class Connection:
    """Runs statements by name. Belongs to the thread that opened it."""

    def __init__(self, database: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self._database = database
        self._queries = queries

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """A transaction. A `durable` one survives a power failure when this returns; any other survives only the process' death.

        The write lock is taken at the start: otherwise a transaction that reads before it writes could fail because the file
        changed.
        """
        # the pragma has no effect inside a transaction
        if durable:
            self._database.execute("PRAGMA synchronous = FULL")
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        finally:
            # after some errors, such as a full disk, SQLite has already rolled back
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if durable:
                self._database.execute("PRAGMA synchronous = NORMAL")

    def rows(self, name: str, **values: Value) -> list[Row]:
        """Every row of the query."""
        cursor = self._database.execute(self._queries[name], values)
        # sqlite3.Row finds a name by a linear search, which takes longer for the 38 columns of a series than reading them
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def page(self, name: str, convert: Callable[[Row], Item], *, after: int, **values: Value) -> tuple[int, list[Item]]:
        """The next PAGE_SIZE rows after the key `after`, converted, with the key of the last one; empty if there are no more."""
        rows = self.rows(name, after=after, page_size=PAGE_SIZE, **values)
        return (rows[-1]["series_key"] if rows else after), [convert(row) for row in rows]

    def each(self, name: str, **values: Value) -> Iterator[tuple[Any, ...]]:
        """The rows of the query, one by one, of one snapshot. Iterate completely before any other statement."""
        yield from self._database.execute(self._queries[name], values)

    def number(self, name: str, **values: Value) -> int:
        """The number that the query returns in one row of one column."""
        (row,) = self.rows(name, **values)
        (figure,) = row.values()
        return int(figure)

    def change(self, name: str, **values: Value) -> int:
        """Run the statement; returns how many rows it changed."""
        return self._database.execute(self._queries[name], values).rowcount

    def change_each(self, name: str, sets: Iterable[Mapping[str, Value] | Sequence[Value]]) -> None:
        """Run the statement once per set of values."""
        self._database.executemany(self._queries[name], sets)

    def close(self) -> None:
        """Close the file. Uncommitted changes are rolled back."""
        self._database.close()


def open_connection(path: Path, busy_seconds: float = BUSY_SECONDS) -> Connection:
    """Open the store at `path`, or create it, check it, and migrate it.

    Raises:
        DamagedStoreError: it is damaged, or not a database.
        StoreError: it is not writable, is not a state store, or was written by a newer tciad.
        StoreLockedError: another process locked it for longer than `busy_seconds`.
    """
    with translated_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_file(path)
        suspect = is_suspect(path)
        database = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
        try:
            _prepare(database, path, suspect=suspect)
        except BaseException:
            database.close()
            raise
        queries = load_queries()
        database.execute(queries["create_incoming"])
        return Connection(database, queries)


def _make_file(path: Path) -> None:
    """Create the file if there is none, with the permissions of umask and folder: SQLite would not add those of the group.

    Its log and its shared memory get the permissions of the database.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return
    try:
        share_with_group(descriptor, path.parent.stat())
    finally:
        os.close(descriptor)


def _prepare(database: sqlite3.Connection, path: Path, *, suspect: bool) -> None:
    migrations = load_migrations()
    # nothing may be written before the file is known to be ours
    check_file(database, path, newest_version=max(migrations), suspect=suspect)
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if _switch_to_wal(database) != "wal":
        raise StoreError(
            f"the file system of the state store {path} does not support write-ahead logging",
            next_step="put the store on a local disk with --state",
        )
    migrate(database, migrations)


def check_file(database: sqlite3.Connection, path: Path, *, newest_version: int, suspect: bool) -> int:
    """The version of the file, after checking that this tciad can read it. Writes nothing.

    Raises:
        StoreError: it is not a state store, or was written by a newer tciad.
        DamagedStoreError: it is `suspect`, and damaged.
    """
    version = _refuse_foreign(database, path, newest_version)
    if suspect:
        _check_pages(database, path)
    return version


def _switch_to_wal(database: sqlite3.Connection) -> str:
    """Switch to WAL; returns the journal mode. SQLite does not wait for other processes here, so a transaction of ours waits."""
    for _ in range(_SWITCH_TRIES):
        try:
            (journal_mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            database.execute("BEGIN IMMEDIATE")
            database.execute("COMMIT")
        else:
            return str(journal_mode)
    raise StoreLockedError("the state store is locked by other processes", next_step="wait until they have ended, or stop them")


def _refuse_foreign(database: sqlite3.Connection, path: Path, newest_version: int) -> int:
    # one transaction, so that another process that creates the store now is seen before or after, not in between
    database.execute("BEGIN")
    (objects,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    database.execute("COMMIT")
    if objects and application_id != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program", next_step="name another file with --state")
    if version > newest_version:
        raise StoreError(
            f"the state store {path} was made by a newer tciad (version {version}, this one supports {newest_version})",
            next_step="use that tciad, or name another file with --state",
        )
    return int(version)


def migrate(database: sqlite3.Connection, migrations: Mapping[int, str]) -> None:
    """Apply the missing migrations, each in one transaction with its number.

    The number is read under the write lock, so that two processes that open an old store at once do not migrate it twice.
    """
    for number, script in migrations.items():
        database.execute("BEGIN IMMEDIATE")
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version < number:
                for statement in split_statements(script):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {number:d}")
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")


def is_suspect(path: Path) -> bool:
    """Whether to check all pages: always if that is fast, otherwise after an end without a proper close."""
    left_behind = path.with_name(path.name + "-wal")
    return left_behind.exists() or (path.exists() and path.stat().st_size <= _QUICKLY_CHECKED_BYTES)


def _check_pages(database: sqlite3.Connection, path: Path) -> None:
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedStoreError(f"the state store {path} is damaged: {verdict}", next_step=REBUILD)
