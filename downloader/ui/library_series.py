"""A library's series as flat rows: what files of them, data frames and notebooks show."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import attrgetter
from typing import Final

from downloader.model import Series, SeriesState
from downloader.store.records import StoredSeries

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
_of_catalogue: Final = attrgetter(*_OF_SERIES)
_of_stored: Final = attrgetter(*COLUMNS[len(_OF_SERIES) :])


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


def cells_of(stored: StoredSeries) -> tuple[Cell, ...]:
    """The values of the same row in the order of COLUMNS."""
    own: tuple[Cell, ...] = _of_stored(stored)
    return (*_of_catalogue(stored.series), *own)
