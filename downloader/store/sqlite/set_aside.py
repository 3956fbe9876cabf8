"""Keeps an unusable store under another name, because its data may still be recoverable."""

from datetime import UTC, datetime
from pathlib import Path

from downloader.store.sqlite.errors import translated_errors

# SQLite's own files next to the database: write-ahead log, shared memory, rollback journal
_COMPANIONS = ("", "-wal", "-shm", "-journal")


def keep_aside(path: Path, at: datetime) -> Path | None:
    """Rename the store at `path`, with all its files, to a name with the time. Returns the new path; None if there was no store.

    Raises:
        StoreError: it cannot be renamed.
    """
    time = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.{time}.old")
    number = 1
    found = False
    with translated_errors(path):
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.name}.{time}-{number}.old")
        for companion in _COMPANIONS:
            part = path.with_name(path.name + companion)
            if part.exists():
                part.rename(aside.with_name(aside.name + companion))
                found = True
    return aside if found else None
