"""A backup of a store in use: a consistent snapshot, created by an atomic rename. Blocks."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from downloader.errors import DamagedStoreError, StoreError
from downloader.store.sqlite.connection import APPLICATION_ID, BUSY_SECONDS
from downloader.store.sqlite.errors import translated_errors
from downloader.store.sqlite.reading import connect_to_read

_MAGIC = b"SQLite format 3\x00"


def back_up_store(source: Path, target: Path) -> int:
    """Copy the store at `source` to the file `target`, which is replaced if it is a database; returns the bytes of the copy.

    Other users of the store are not blocked: the copy is made in one read transaction.

    Raises:
        StoreError: there is no such store, or the copy cannot be written.
        DamagedStoreError: the copy is inconsistent, because the store is.
    """
    with translated_errors(target):
        _refuse_what_is_no_copy(target, source)
    with translated_errors(source), closing(_open(source)) as origin, _written(target) as new:
        with translated_errors(target), closing(sqlite3.connect(new)) as copy:
            origin.backup(copy)
            # a copy is a single file; the next reader creates its own log
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedStoreError(f"the copy of {source} is damaged: {verdict}", next_step="rebuild the store first")
    return target.stat().st_size


def _refuse_what_is_no_copy(target: Path, source: Path) -> None:
    """Refuse to overwrite a file that is not a copy of a store."""
    if not target.exists():
        return
    if target.is_dir() or target.samefile(source):
        raise StoreError(f"{target} is {'a folder' if target.is_dir() else 'the store itself'}", next_step="name another file")
    with target.open("rb") as file:
        if file.read(len(_MAGIC)) not in (_MAGIC, b""):
            raise StoreError(f"{target} is not a copy of a state store, and is not overwritten", next_step="name another file")


def _open(source: Path) -> sqlite3.Connection:
    database = connect_to_read(source, BUSY_SECONDS)
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        database.close()
        raise StoreError(f"{source} is not a state store", next_step="name the library with -o, or its store with --state")
    return database


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A new file next to the target, which replaces it after a sync."""
    new = target.with_name(f".{target.name}.new")
    with translated_errors(target):
        new.unlink(missing_ok=True)
        try:
            yield new
            with new.open("rb") as file:
                os.fsync(file.fileno())
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
