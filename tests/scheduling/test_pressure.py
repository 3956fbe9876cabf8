"""How many series at once, and when none: an archive that pushes back, slows down or fails is never asked for more."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

from downloader.archive.port import SeriesTransfer
from downloader.errors import ArchiveBusyError, ArchiveFaultError, TciadError
from downloader.fetching.attempt import AttemptContext
from downloader.library.local.library import LocalLibrary
from downloader.model import AttemptStarted, Event, FetchOrder, Md5Mode, Series, SeriesCompleted, SeriesState
from downloader.pacing import GENTLE_START, Backoff
from downloader.scheduling.leases import HEARTBEAT_SECONDS
from downloader.scheduling.scheduler import Scheduler, SchedulerPolicy
from downloader.store.records import Session
from tests.fakes.clock import FakeClock, turning_clock
from tests.fakes.memory_archive import MemoryArchive, MemoryBody
from tests.fakes.memory_store import MemoryStore
from tests.library.series_streams import SERIES
from tests.scheduling.test_scheduler import zip_of

pytestmark = pytest.mark.anyio
CEILING = 16


class UnleasedClock(FakeClock):
    """Leases are not renewed, so that time moves by what the archive takes and by pauses alone."""

    async def sleep(self, seconds: float) -> None:
        """Wait until the test's time has come so far."""
        if seconds == HEARTBEAT_SECONDS:
            await anyio.sleep_forever()
        await super().sleep(seconds)


ME = Session(session_id="me", host="host", pid=1, tool_version="1.0")


@dataclass(slots=True, kw_only=True)
class TimedArchive(MemoryArchive):
    """Takes its time until the first byte, by the number of the download, and notes when it was asked and by how many at once."""

    clock: FakeClock
    first_byte_seconds: Callable[[int], float] = lambda _number: 0.1
    opened_at: list[float] = field(default_factory=list)
    running: int = 0
    peaks: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def open_series(self, series: Series, md5: Md5Mode) -> AsyncIterator[SeriesTransfer]:
        """Wait, then give the next answer of the series."""
        self.opened_at.append(self.clock.monotonic())
        self.running += 1
        self.peaks.append(self.running)
        try:
            await self.clock.sleep(self.first_byte_seconds(len(self.opened_at)))
            async with MemoryArchive.open_series(self, series, md5) as body:
                yield body
        finally:
            self.running -= 1


@dataclass
class Scene:
    """A scheduler of one archive. `limits` are how many series at once it allowed at each event."""

    clock: FakeClock
    library: LocalLibrary
    archive: TimedArchive
    store: MemoryStore = field(init=False)
    events: list[Event] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)

    def offer(self, count: int, *errors: TciadError) -> None:
        """The archive lists this many more series, each of which fails with these errors first."""
        for number in range(len(self.archive.rows), len(self.archive.rows) + count):
            series = replace(SERIES, series_instance_uid=f"{SERIES.series_instance_uid}.{number}", image_count=3)
            self.archive.rows.append(series)
            self.archive.answers[series.series_instance_uid] = [*errors, MemoryBody(pieces=[zip_of(series)])]

    async def drain(self) -> Scheduler:
        """Fetch everything."""
        self.clock.threads = anyio.CapacityLimiter(2)
        context = AttemptContext(
            archive=self.archive,
            library=self.library,
            clock=self.clock,
            threads=self.clock.threads,
            md5=Md5Mode.AUTO,
            listener=lambda _event: None,
        )
        policy = SchedulerPolicy(concurrency=CEILING, attempts=4, order=FetchOrder.ARCHIVE, retry=Backoff())
        scheduler = Scheduler(
            store=self.store,
            session=ME,
            contexts={"memory": context},
            policy=policy,
            clock=self.clock,
            draw=lambda: 0.0,
            listener=lambda event: self._note(event, scheduler),
        )
        resolve = await self.store.begin_resolve("m", self.clock.now())
        await self.store.enqueue("m", resolve, "memory", self.archive.rows)
        await scheduler.drain("m")
        assert {row.state async for row in self.store.find("m")} == {SeriesState.COMPLETE}
        return scheduler

    def _note(self, event: Event, scheduler: Scheduler) -> None:
        self.events.append(event)
        self.limits.append(scheduler.pressure.concurrency)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with turning_clock(UnleasedClock()) as clock:
        yield Scene(clock=clock, library=LocalLibrary(tmp_path), archive=TimedArchive(clock=clock))


async def test_an_archive_that_is_well_is_asked_for_more(scene: Scene) -> None:
    """Twice as much after each round, from four on; the ceiling is the user's."""
    scene.offer(24)
    await scene.drain()
    assert scene.limits[0] == GENTLE_START
    assert max(scene.limits) > GENTLE_START + 2
    assert max(scene.archive.peaks) <= CEILING


async def test_retry_after_rests_the_whole_archive(scene: Scene) -> None:
    """It is the archive that asks, not the series: no request is sent meanwhile, and no attempt is lost to that."""
    scene.offer(1, ArchiveBusyError("429", retry_after_seconds=777))
    scene.offer(12)
    await scene.drain()
    (first, *_) = scene.archive.opened_at
    asked_at = first + 0.1
    # what is opened in the same moment did not know yet
    assert not [at for at in scene.archive.opened_at if asked_at + 0.01 < at < asked_at + 777]
    assert sum(isinstance(event, SeriesCompleted) and event.attempt == 1 for event in scene.events) == 12


async def test_push_back_halves_what_is_asked_at_once(scene: Scene) -> None:
    """However many hear it at the same time, it is halved once; later it grows again."""
    scene.archive.first_byte_seconds = lambda _number: 2.0
    scene.offer(GENTLE_START, ArchiveBusyError("429"))
    scene.offer(20)
    await scene.drain()
    halved = GENTLE_START // 2
    assert min(scene.limits) == halved
    assert max(scene.limits[scene.limits.index(halved) :]) > halved


async def test_errors_never_make_it_faster(scene: Scene) -> None:
    """Error pages are fast: the limit does not rise before something has really come."""
    scene.offer(12, ArchiveFaultError("500"), ArchiveFaultError("500"))
    await scene.drain()
    third = next(index for index, event in enumerate(scene.events) if isinstance(event, AttemptStarted) and event.attempt == 3)
    assert set(scene.limits[: third + 1]) == {GENTLE_START}


async def test_later_and_later_first_bytes_make_it_slower(scene: Scene) -> None:
    """Without a 429, fewer series are still requested at once when the archive needs ten seconds for what took a tenth of one."""
    scene.archive.first_byte_seconds = lambda number: 0.1 if number <= 16 else 10.0
    scene.offer(80)
    await scene.drain()
    highest = max(scene.limits)
    assert scene.limits[-1] <= highest / 2
