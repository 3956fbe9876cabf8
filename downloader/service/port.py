"""The interface of the service for HTTP: its reports, its orders, and how a part is added to it.

Reports are frozen figures and texts of one moment, never live objects.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from downloader.model import Event, SeriesTally
from downloader.pacing import BreakerState
from downloader.service.archive_watch import ArchiveFailure as ArchiveFailure  # noqa: PLC0414 - part of what is reported
from downloader.service.archive_watch import ArchiveStatus as ArchiveStatus  # noqa: PLC0414
from downloader.store.records import FailureGroup, StoredSeries
from downloader.store.records import SeriesFilter as SeriesFilter  # noqa: PLC0414 - told here to those who ask by it

MOST_ROWS: Final = 1000
"""Series or records in one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """One part of the service: it lives as long as the service does, or its death ends the service."""

    name: str
    alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryStatus:
    """One library with its store. `problem` is why it cannot be used; empty if it can.

    `short_of_room`: claiming waits until there is room again, and `room_problem` says for which series and how much. `free_bytes`
    and `capacity_bytes`, of the file system, are None where they cannot be told. `queued_since_at` is when the oldest pending
    series joined the queue.
    """

    directory: str
    store: str
    problem: str
    paused: bool
    short_of_room: bool
    free_bytes: int | None
    min_free_bytes: int
    tally: SeriesTally
    queued_since_at: datetime | None
    room_problem: str = ""
    capacity_bytes: int | None = None

    @property
    def usable(self) -> bool:
        """Whether library and store are usable."""
        return not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryOrder:
    """An order as one library took it. It holds at once; `problem` says why the library does not keep it over a restart yet."""

    directory: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """The service as a whole at `told_at`. `beat_at` is when its loop last turned."""

    version: str
    told_at: datetime
    started_at: datetime
    beat_at: datetime
    paused: bool
    draining: bool
    folder: str
    folder_problem: str
    parts: tuple[PartStatus, ...]
    libraries: tuple[LibraryStatus, ...]
    archives: tuple[ArchiveStatus, ...]

    @property
    def ready(self) -> bool:
        """Whether every library can be used, and the service does not drain. Archives do not matter."""
        return all(library.usable for library in self.libraries) and not self.draining


class RunPhase(StrEnum):
    """What a cycle is doing."""

    RESOLVING = "resolving"
    FETCHING = "fetching"
    WAITING = "waiting for the archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSeries:
    """A series that is being fetched; its sizes are None if the catalogue has none."""

    series_instance_uid: str
    collection: str
    patient_id: str
    modality: str
    attempt: int
    began_at: datetime
    images: int
    image_count: int | None
    received_bytes: int
    file_size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far the running cycle of a manifest is. Counts are of this cycle; `bytes_per_second` is over the last seconds.

    `concurrency` is how many series may be under way at once now, `concurrency_ceiling` the most that the manifest allows.
    `archives_out` names the archives that do not answer, and `waiting_since_at` is when the first of them stopped; None when all
    answer. `phase` is WAITING while nothing else can be done.
    """

    started_at: datetime
    phase: RunPhase
    completed: int = 0
    set_back: int = 0
    failed: int = 0
    images: int = 0
    received_bytes: int = 0
    stored_bytes: int = 0
    bytes_per_second: float = 0.0
    concurrency: int = 0
    concurrency_ceiling: int = 0
    breaker: BreakerState = BreakerState.CLOSED
    archives_out: tuple[str, ...] = ()
    waiting_since_at: datetime | None = None
    active: tuple[ActiveSeries, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleSummary:
    """How the last cycle of a manifest ended. `outcome` and `exit_code` are those of a run (results/run.py)."""

    began_at: datetime
    ended_at: datetime
    outcome: str
    exit_code: int
    error: str


class ManifestState(StrEnum):
    """What a manifest is doing: waits for its time, for its turn at a library or for `resume`, runs, or cannot be read."""

    IDLE = "idle"
    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestStatus:
    """One manifest. `problem` says what is wrong with its file as it is now.

    `in_force`: a good one is being worked by, if need be an older one than the file holds now. `archive` names the archives, by
    commas; `schedule` is text for people. `last_success_at` is when a cycle last ended with everything complete; it outlives the
    service, as `last_cycle` does. `failed_cycles` have failed in a row: until one ends well, `next_run_at` is when it is tried
    again. `needs_attention` is what a person has to do first; empty where time may help.
    `bandwidth_bytes_per_second` is the limit in force now; None is no limit.
    """

    name: str
    file: str
    problem: str
    in_force: bool
    state: ManifestState
    archive: str
    library: str
    schedule: str
    next_run_at: datetime | None
    last_cycle: CycleSummary | None
    last_success_at: datetime | None
    tally: SeriesTally
    progress: RunProgress | None
    failed_cycles: int = 0
    needs_attention: str = ""
    concurrency_ceiling: int = 0
    bandwidth_bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSeries:
    """A series and the library that it is in."""

    library: str
    stored: StoredSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFailureGroup:
    """Failed series of one error and collection, and the library that they are in."""

    library: str
    group: FailureGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPage:
    """Some series in the archive's order. `next_after` asks for the following ones; None when these are the last."""

    series: tuple[ServedSeries, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """Records of runs or of changes, newest first, as they lie in the library, each with its `name`.

    `next_before` asks for older ones; None when these are the oldest.
    """

    records: tuple[Mapping[str, Any], ...]
    next_before: str | None


# Live events.


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleBegan:
    """A cycle of the manifest begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleEnded:
    """A cycle of the manifest is over."""

    summary: CycleSummary
    completed: int
    failed: int
    received_bytes: int


ServiceEvent = Event | CycleBegan | CycleEnded


class Observer(Protocol):
    """Receives each event once, such as metrics that count. It must not block."""

    def take(self, manifest: str, event: ServiceEvent) -> None:
        """Something happened in a cycle of the manifest."""
        ...


class LiveKind(StrEnum):
    """The kind of a live event."""

    CYCLE_BEGAN = "cycle began"
    CATALOGUE_RESOLVED = "catalogue resolved"
    CYCLE_ENDED = "cycle ended"
    ATTEMPT_STARTED = "attempt started"
    SERIES_COMPLETED = "series completed"
    SERIES_SET_BACK = "series set back"
    SERIES_FAILED = "series failed"
    PAUSED = "paused"
    RESUMED = "resumed"
    MANIFESTS_CHANGED = "manifests changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEvent:
    """Something that happened, in figures and short texts. `number` rises by one, so that a gap shows dropped events.

    Received bytes are not events: RunProgress has them.
    """

    number: int
    at: datetime
    kind: LiveKind
    manifest: str = ""
    series_instance_uid: str = ""
    figures: Mapping[str, int | float | str] = field(default_factory=dict)


class Subscription(Protocol):
    """Live events from the moment of subscribing. A slow subscriber misses some; memory does not grow."""

    def __aiter__(self) -> AsyncIterator[LiveEvent]: ...

    async def __anext__(self) -> LiveEvent: ...


class ServiceReports(Protocol):
    """The reports of the running service. Raises OrderError for what does not exist, and StoreError."""

    def beat_at(self) -> datetime:
        """When the loop last turned; costs nothing."""
        ...

    def progress(self) -> Mapping[str, RunProgress]:
        """The running cycles by manifest; costs nothing, so that it can be asked every second."""
        ...

    async def problems(self) -> Sequence[str]:
        """Why the service is not ready: libraries that cannot be used or do not answer, and a drain. Empty if it is.

        Takes a few seconds at most, whatever the disks do, and asks neither stores nor archives.
        """
        ...

    async def status(self) -> ServiceStatus:
        """The service as a whole."""
        ...

    async def manifests(self) -> Sequence[ManifestStatus]:
        """Every manifest, broken ones too, by name."""
        ...

    async def series(self, wanted: SeriesFilter, *, after: str | None = None, limit: int = 100) -> SeriesPage:
        """Up to `limit` series (at most MOST_ROWS) after those of an earlier page."""
        ...

    async def failure_groups(self, manifest: str | None = None) -> Sequence[ServedFailureGroup]:
        """Failed series counted by error and collection, the largest groups first."""
        ...

    async def runs(self, manifest: str | None = None, *, before: str | None = None, limit: int = 20) -> RecordPage:
        """Reports of runs, newest first."""
        ...

    async def changes(self, manifest: str | None = None, *, before: str | None = None, limit: int = 20) -> RecordPage:
        """The change reports of cycles, newest first: series that were new, changed, returned, withdrawn, removed or failed."""
        ...

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Live events for as long as the context lasts."""
        ...


class ServiceOrders(Protocol):
    """The orders to the running service. Raises OrderError for what does not exist, and StoreError."""

    async def start(self, manifest: str) -> None:
        """Begin a cycle of the manifest as soon as its library is free; one that is waiting or running is left alone."""
        ...

    async def pause(self) -> Sequence[LibraryOrder]:
        """Stop claiming series in all libraries; series in flight finish. Survives restarts, until `resume`.

        A library that cannot be used is paused all the same, and marked as such when it can be.
        """
        ...

    async def resume(self) -> Sequence[LibraryOrder]:
        """End the pause; a library that cannot be used continues when it can be."""
        ...

    async def retry(
        self,
        *,
        manifest: str | None = None,
        series_instance_uid: str | None = None,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        """Put failed series back into the queue at once: those that fit every one of these, or all; returns how many.

        A cycle of each manifest concerned is started.
        """
        ...


class Service(ServiceReports, ServiceOrders, Protocol):
    """The running service."""


class ServicePart(Protocol):
    """Something that runs beside the cycles for as long as the service does, such as the HTTP server."""

    @property
    def name(self) -> str:
        """How log and status call it."""
        ...

    async def run(self, service: Service) -> None:
        """Work until cancelled, which comes after the drain. Returning or raising before ends the service with the reason."""
        ...
