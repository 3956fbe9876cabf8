"""Types of the API's replies, beyond those of the service itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from downloader.service.port import (
    LibraryOrder,
    LiveKind,
    ManifestStatus,
    RecordPage,
    RunProgress,
    SeriesPage,
    ServedFailureGroup,
    ServedSeries,
    ServiceStatus,
)
from downloader.service.summary import ServiceSummary
from downloader.ui.library_series import LibrarySeries, flatten


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReply:
    """The service as a whole; `ready` as in /readyz; `summary` is a sentence for people."""

    ready: bool
    summary: ServiceSummary
    status: ServiceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestsReply:
    """Every manifest, by name."""

    manifests: tuple[ManifestStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """One series, its library, and the end of its back-off after a failure."""

    library: str
    series: LibrarySeries
    failed_rounds: int
    rests_until_at: datetime | None
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReply:
    """Some series. `next_after` is the `after` of the following ones; null when these are the last."""

    series: tuple[SeriesRow, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroupRow:
    """Failed series of one error and collection in one library; `message` is that of one of them.

    Their back-offs end between `first_retry_at` and `last_retry_at`: the first cycle after that retries them.
    """

    library: str
    error: str
    collection: str
    series: int
    message: str
    first_retry_at: datetime | None
    last_retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroupsReply:
    """All failed series, counted; the largest groups first."""

    series: int
    groups: tuple[FailureGroupRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsReply:
    """Records as the libraries store them, newest first. `next_before` is the `before` of older ones."""

    records: tuple[dict[str, Any], ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRow:
    """One past cycle: its change report without the lists of series. `name` is that of the report."""

    name: str
    library: str
    manifest: str
    began_at: datetime | None
    ended_at: datetime | None
    outcome: str
    error: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclesReply:
    """Past cycles, newest first. `next_before` is the `before` of older ones."""

    cycles: tuple[CycleRow, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputSample:
    """Received bytes per second of all manifests in the period before `at`."""

    at: datetime
    bytes_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputReply:
    """The last hour, oldest first."""

    seconds_between: float
    samples: tuple[ThroughputSample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One live event."""

    number: int
    at: datetime
    kind: LiveKind
    manifest: str
    series_instance_uid: str
    figures: dict[str, int | float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReply:
    """An order was accepted."""

    done: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrariesOrderReply:
    """An order to all libraries was accepted; `libraries` shows for each whether the order will survive a restart."""

    done: str
    libraries: tuple[LibraryOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryReply:
    """How many failed series are back in the queue."""

    retried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalReply:
    """Why a request was refused, and what to do next."""

    error: str
    message: str
    next_step: str


def cycles_reply(page: RecordPage) -> CyclesReply:
    """Change reports in short. Invalid values, as of edited files, are left out of a row."""
    return CyclesReply(cycles=tuple(map(_cycle_row, page.records)), next_before=page.next_before)


def _cycle_row(record: Mapping[str, Any]) -> CycleRow:
    counts = record.get("counts")
    return CycleRow(
        name=str(record["name"]),
        library=str(record["library"]),
        manifest=str(record.get("manifest", "")),
        began_at=_moment(record.get("began_at")),
        ended_at=_moment(record.get("ended_at")),
        outcome=str(record.get("outcome", "")),
        error=str(record.get("error", "")),
        counts={str(key): count for key, count in counts.items() if isinstance(count, int)} if isinstance(counts, dict) else {},
    )


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def group_reply(groups: Sequence[ServedFailureGroup]) -> FailureGroupsReply:
    """Groups of failures as rows."""
    rows = tuple(FailureGroupRow(library=served.library, **asdict(served.group)) for served in groups)
    return FailureGroupsReply(series=sum(row.series for row in rows), groups=rows)


Progress = Mapping[str, RunProgress]


def series_reply(page: SeriesPage) -> SeriesReply:
    """A page of series as rows."""
    return SeriesReply(series=tuple(map(_series_row, page.series)), next_after=page.next_after)


def _series_row(served: ServedSeries) -> SeriesRow:
    stored = served.stored
    return SeriesRow(
        library=served.library,
        series=flatten(stored),
        failed_rounds=stored.failed_rounds,
        rests_until_at=stored.rests_until_at,
        withdrawn_at=stored.withdrawn_at,
    )
