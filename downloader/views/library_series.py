"""A library's series as flat rows: what files of them, data frames and notebooks show."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Final

from downloader.model import Series, SeriesState
from downloader.store.port import StoredSeries

Cell = str | int | date | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySeries(Series):
    """One series of a library: its row of the catalogue, and where it stands.

    `archive` names where it comes from. `error` and `message` tell why the last attempt failed. `folder` is relative to the
    library, empty until complete; `stored_bytes` is what lies there.
    """

    archive: str
    state: SeriesState
    attempts: int
    error: str
    message: str
    folder: str
    stored_bytes: int
    completed_at: datetime | None


_OF_SERIES: Final = tuple(field.name for field in fields(Series))
COLUMNS: Final = tuple(field.name for field in fields(LibrarySeries))


def flatten(stored: StoredSeries) -> LibrarySeries:
    """The row of the store as one flat row."""
    return LibrarySeries(
        **{name: getattr(stored.series, name) for name in _OF_SERIES},
        archive=stored.archive,
        state=stored.state,
        attempts=stored.attempts,
        error=stored.error,
        message=stored.message,
        folder=stored.folder,
        stored_bytes=stored.stored_bytes,
        completed_at=stored.completed_at,
    )


def cells_of(series: LibrarySeries) -> tuple[Cell, ...]:
    """The values in the order of COLUMNS."""
    return tuple(getattr(series, name) for name in COLUMNS)
