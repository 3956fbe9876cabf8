"""A service at the port that is in whatever state a test wants, with a real HTTP server before it."""

import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
from anyio.from_thread import start_blocking_portal

from downloader.model import Series, SeriesState
from downloader.service.port import (
    LibraryOrder,
    LiveEvent,
    ManifestState,
    ManifestStatus,
    RecordPage,
    RunProgress,
    SeriesFilter,
    SeriesPage,
    ServedFailureGroup,
    ServedSeries,
    ServiceStatus,
    Subscription,
)
from downloader.store.records import FailureGroup, StoredSeries
from downloader.web.address import ListenAddress
from downloader.web.auth import Guard
from downloader.web.connections import limits_for
from downloader.web.metrics import Metrics
from downloader.web.server import HttpServer
from downloader.web.throughput import KEPT_SECONDS, SAMPLE_SECONDS
from downloader.web.wrong_tokens import WrongTokens

LIBRARY = "/srv/mirror/library"
SERIES_IN_A_MILLION = 1_000_000


class HourClock:
    """The samples of an hour are taken at once, and end now; everything else sleeps until the end."""

    def __init__(self) -> None:
        self.began_at = datetime.now(UTC) - timedelta(seconds=KEPT_SECONDS)
        self.elapsed_seconds = 0.0

    def now(self) -> datetime:
        """An hour ago, and what has elapsed."""
        return self.began_at + timedelta(seconds=self.elapsed_seconds)

    def steady_now(self) -> datetime:
        """The same."""
        return self.now()

    def monotonic(self) -> float:
        """What has elapsed."""
        return self.elapsed_seconds

    async def sleep(self, seconds: float) -> None:
        """Only samples are taken sooner."""
        if seconds != SAMPLE_SECONDS or self.elapsed_seconds >= KEPT_SECONDS:
            await anyio.sleep_forever()
        self.elapsed_seconds += seconds
        await anyio.lowlevel.checkpoint()


class SilentSubscription:
    """Nothing happens."""

    def __aiter__(self) -> AsyncIterator[LiveEvent]:
        return self

    async def __anext__(self) -> LiveEvent:
        await anyio.sleep_forever()
        raise StopAsyncIteration


@dataclass(slots=True, kw_only=True)
class ToldService:
    """Implements `Service`. `orders` are those that were given, `limits` the page sizes that were asked for."""

    status_now: ServiceStatus
    manifests_now: Sequence[ManifestStatus]
    running: Mapping[str, RunProgress] = field(default_factory=dict)
    groups: Sequence[FailureGroup] = ()
    series_count: int = 0
    cycles: Sequence[Mapping[str, Any]] = ()
    clock: HourClock = field(default_factory=HourClock)
    orders: list[str] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    def beat_at(self) -> datetime:
        """Now."""
        return self.clock.now()

    def progress(self) -> Mapping[str, RunProgress]:
        """The running cycles, whose rate goes up and down over the hour."""
        part = self.clock.elapsed_seconds / KEPT_SECONDS
        wave = 0.75 + 0.2 * math.sin(9 * part) + 0.05 * math.sin(71 * part)
        return {
            name: replace(run, bytes_per_second=run.bytes_per_second * wave, stored_bytes=int(run.stored_bytes * part))
            for name, run in self.running.items()
        }

    async def problems(self) -> Sequence[str]:
        """None."""
        return []

    async def status(self) -> ServiceStatus:
        """As the test wants it."""
        return self.status_now

    async def manifests(self) -> Sequence[ManifestStatus]:
        """As the test wants them."""
        return [replace(each, progress=self.progress().get(each.name)) for each in self.manifests_now]

    async def series(self, wanted: SeriesFilter, *, after: str | None = None, limit: int = 100) -> SeriesPage:
        """Some of as many series as the test wants, made when they are asked for."""
        self.limits.append(limit)
        first = int(after or 0)
        last = min(first + limit, self.series_count)
        rows = tuple(ServedSeries(library=LIBRARY, stored=stored_series(place, wanted)) for place in range(first, last))
        return SeriesPage(series=rows, next_after=str(last) if last < self.series_count else None)

    async def failure_groups(self, manifest: str | None = None) -> Sequence[ServedFailureGroup]:
        """As the test wants them."""
        return [ServedFailureGroup(library=LIBRARY, group=group) for group in self.groups]

    async def runs(self, manifest: str | None = None, *, before: str | None = None, limit: int = 20) -> RecordPage:
        """The page does not ask for them."""
        raise NotImplementedError

    async def changes(self, manifest: str | None = None, *, before: str | None = None, limit: int = 20) -> RecordPage:
        """The newest of those that the test wants."""
        older = [cycle for cycle in self.cycles if before is None or cycle["name"] < before]
        return RecordPage(records=tuple(older[:limit]), next_before=older[limit - 1]["name"] if len(older) > limit else None)

    @contextmanager
    def _subscribe(self) -> Iterator[Subscription]:
        yield SilentSubscription()

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """To nothing."""
        return self._subscribe()

    async def start(self, manifest: str) -> None:
        """Taken."""
        self.orders.append(f"start {manifest}")

    async def pause(self) -> Sequence[LibraryOrder]:
        """Taken, and shown."""
        self.orders.append("pause")
        self.status_now = replace(self.status_now, paused=True)
        self.manifests_now = [replace(each, state=ManifestState.PAUSED) for each in self.manifests_now]
        return [LibraryOrder(directory=LIBRARY)]

    async def resume(self) -> Sequence[LibraryOrder]:
        """Taken, and shown."""
        self.orders.append("resume")
        self.status_now = replace(self.status_now, paused=False)
        return [LibraryOrder(directory=LIBRARY)]

    async def retry(
        self,
        *,
        manifest: str | None = None,
        series_instance_uid: str | None = None,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        """The failures are gone."""
        self.orders.append(f"retry {series_instance_uid} {collection} {error}")
        gone = [group for group in self.groups if error in {None, group.error} and collection in {None, group.collection}]
        self.groups = [group for group in self.groups if group not in gone]
        return 1 if series_instance_uid else sum(group.series for group in gone)


def stored_series(place: int, wanted: SeriesFilter) -> StoredSeries:
    """A series that fits what is asked for, one of very many."""
    state = wanted.state or SeriesState.COMPLETE
    has_failed = state is SeriesState.FAILED
    return StoredSeries(
        series=Series(
            series_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{298806137288633453246975630178 + place}",
            collection=wanted.collection or "LIDC-IDRI",
            patient_id=f"LIDC-IDRI-{place:04}",
            modality="CT",
            series_description="Thorax 1.0 B40f",
        ),
        archive="tcia",
        state=state,
        attempts=6 if has_failed else 1,
        error=(wanted.error or "CutTransferError") if has_failed else "",
        message="the reply ended after 18,874,368 of 68,263,912 bytes" if has_failed else "",
        folder="",
        stored_bytes=0,
        completed_at=None,
    )


@contextmanager
def serve_told(service: ToldService, token: str = "") -> Iterator[str]:
    """The address of a server on its own loop in its own thread."""

    @asynccontextmanager
    async def listening() -> AsyncIterator[str]:
        guard = Guard(address=ListenAddress(host="127.0.0.1", port=0), token=token, wrong_tokens=WrongTokens(service.clock))
        async with anyio.create_task_group() as group:
            address = await group.start(HttpServer(guard, Metrics(), service.clock, limits_for(1024)).run, service)
            yield f"http://{address}"
            group.cancel_scope.cancel()

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(listening()) as address:
        yield address
