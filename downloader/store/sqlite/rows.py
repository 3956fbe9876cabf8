"""Converts values to rows and rows to values."""

from dataclasses import fields
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import attrgetter

from downloader.model import Claim, Digests, Failure, Series, SeriesState, SeriesVersion
from downloader.store.records import CycleNote, FailureGroup, StoredSeries
from downloader.store.sqlite.connection import Row, Value

_SERIES_ATTRIBUTES = tuple(attribute.name for attribute in fields(Series))
_DATES = ("series_date", "study_date", "date_released")
_TIMES = ("submitted_at",)
_NUMBERS = ("image_count", "file_size_bytes")
_TEXTS = tuple(name for name in _SERIES_ATTRIBUTES if name not in {*_DATES, *_TIMES, *_NUMBERS})
STAGED_COLUMNS = (*_TEXTS, *_NUMBERS, *_DATES, *_TIMES)

_texts_and_numbers_of = attrgetter(*_TEXTS, *_NUMBERS)
_dates_of = attrgetter(*_DATES)


def to_text(at: datetime) -> str:
    """A time in the store's form: UTC, always with microseconds, so that it sorts as text."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def date_value(on: date | None) -> Value:
    """A date in the store's form."""
    return None if on is None else on.isoformat()


def time_value(at: datetime | None) -> Value:
    """A time in the store's form, or None."""
    return None if at is None else to_text(at)


def staged_values(series: Series) -> tuple[Value, ...]:
    """The values of STAGED_COLUMNS, in order; empty text means that the archive gave none, and becomes NULL."""
    submitted_at = None if series.submitted_at is None else _stored_time(series.submitted_at)
    return (*_texts_and_numbers_of(series), *map(_stored_date, _dates_of(series)), submitted_at)


@lru_cache(maxsize=4096)  # a catalogue repeats a few thousand dates a million times
def _stored_date(on: date | None) -> Value:
    return date_value(on)


@lru_cache(maxsize=4096)
def _stored_time(at: datetime) -> str:
    return to_text(at)


def version_values(version: SeriesVersion) -> Row:
    """The values of the columns of a series' version."""
    return {
        "image_count": version.image_count,
        "file_size_bytes": version.file_size_bytes,
        "date_released": date_value(version.date_released),
        "submitted_at": time_value(version.submitted_at),
    }


def to_version(row: Row) -> SeriesVersion:
    """The version in those columns."""
    return SeriesVersion(
        image_count=row["image_count"],
        file_size_bytes=row["file_size_bytes"],
        date_released=row["date_released"] and date.fromisoformat(row["date_released"]),
        submitted_at=_time_of(row["submitted_at"]),
    )


def to_series(row: Row) -> Series:
    """The catalogue's attributes in a series row."""
    attributes: Row = {name: row[name] or "" for name in _TEXTS}
    for name in _NUMBERS:
        attributes[name] = row[name]
    for name in _DATES:
        attributes[name] = _read_date(row[name])
    for name in _TIMES:
        attributes[name] = _read_time(row[name])
    return Series(**attributes)


@lru_cache(maxsize=4096)
def _read_date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


@lru_cache(maxsize=4096)
def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def to_claim(row: Row) -> Claim:
    """The claim in a row that was just claimed."""
    return Claim(
        series=to_series(row),
        archive=row["archive"],
        attempt=row["attempts"],
        claim_id=row["claim_id"],
        failed_rounds=row["failed_rounds"],
        folder=row["folder"] or "",
        unended_attempts=row["unended_attempts"] - 1,
        needed_bytes=row["needed_bytes"],
        rounds_without_room=row["rounds_without_room"],
    )


def to_stored_series(row: Row) -> StoredSeries:
    """A whole row, for queries."""
    return StoredSeries(
        series=to_series(row),
        archive=row["archive"],
        state=SeriesState(row["state"]),
        attempts=row["attempts"],
        error=row["error"] or "",
        message=row["message"] or "",
        folder=row["folder"] or "",
        stored_bytes=row["stored_bytes"],
        completed_at=_time_of(row["completed_at"]),
        failed_rounds=row["failed_rounds"],
        rests_until_at=_time_of(row["rests_until_at"]),
        withdrawn_at=_time_of(row["withdrawn_at"]),
        sop_class_uid=row["sop_class_uid"] or "",
        digests=to_digests(row["digests"]),
        came_with_list=bool(row["md5_list"]),
        needed_bytes=row["needed_bytes"],
    )


def to_digests(text: str | None) -> Digests | None:
    """The strength of a proof; None if it is unknown."""
    return Digests(text) if text else None


def to_cycle_note(row: Row) -> CycleNote:
    """The end of a manifest's last cycle."""
    return CycleNote(
        began_at=datetime.fromisoformat(row["cycle_began_at"]),
        ended_at=datetime.fromisoformat(row["cycle_ended_at"]),
        outcome=row["outcome"],
        exit_code=row["exit_code"],
        error=row["error"],
        succeeded_at=_time_of(row["succeeded_at"]),
    )


def _time_of(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def to_failure(row: Row) -> Failure:
    """A failed series."""
    return Failure(
        series_instance_uid=row["series_instance_uid"],
        error=row["error"] or "",
        message=row["message"] or "",
        attempts=row["attempts"],
    )


def to_failure_group(row: Row) -> FailureGroup:
    """The failed series of one error and collection."""
    return FailureGroup(
        error=row["error"],
        collection=row["collection"],
        series=row["series_count"],
        message=row["message"] or "",
        first_retry_at=_time_of(row["first_retry_at"]),
        last_retry_at=_time_of(row["last_retry_at"]),
    )
