"""A manifest of several archives: each holds back its own series only, by a rest that it asks for or by being out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

from downloader.archive.port import Source
from downloader.errors import ArchiveBusyError, ArchiveUnreachableError, TciadError
from downloader.fetching.attempt import AttemptContext
from downloader.library.local.library import LocalLibrary
from downloader.model import AttemptStarted, SeriesCompleted, SeriesState
from downloader.pacing import BreakerState
from downloader.scheduling.scheduler import Scheduler
from tests.fakes.clock import turning_clock
from tests.fakes.memory_archive import MemoryArchive, MemoryBody
from tests.scheduling.test_pressure import TimedArchive, UnleasedClock
from tests.scheduling.test_scheduler import Scene, listed, zip_of

pytestmark = pytest.mark.anyio
OUTAGE_SECONDS = 3_600.0


@dataclass
class TwoArchives(Scene):
    """A scheduler of two archives; series of `troubled` come first in the queue."""

    troubled: TimedArchive = field(init=False)
    well: TimedArchive = field(init=False)
    running: Scheduler = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock.threads = anyio.CapacityLimiter(2)
        self.troubled = TimedArchive(name="troubled", clock=self.clock)
        self.well = TimedArchive(name="well", clock=self.clock)
        self.running = self.scheduler({"troubled": self.context(self.troubled), "well": self.context(self.well)})

    def context(self, archive: Source) -> AttemptContext:
        """Time stands still while its threads work."""
        assert self.clock.threads is not None
        return replace(super().context(archive), threads=self.clock.threads)

    def give(self, archive: MemoryArchive, numbers: range, *errors: TciadError) -> None:
        """Each of these series fails with the errors first."""
        for number in numbers:
            series = listed(number)
            archive.rows.append(series)
            archive.answers[series.series_instance_uid] = [*errors, MemoryBody(pieces=[zip_of(series)])]

    async def drain(self) -> None:
        resolve = await self.store.begin_resolve("m", self.clock.now())
        for archive in (self.troubled, self.well):
            await self.store.enqueue("m", resolve, archive.name, archive.rows)
        await self.running.drain("m")

    async def settled(self) -> set[SeriesState]:
        return set((await self.states()).values())


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[TwoArchives]:
    async with turning_clock(UnleasedClock()) as clock:
        yield TwoArchives(clock=clock, library=LocalLibrary(tmp_path), outage_seconds=OUTAGE_SECONDS)


async def test_retry_after_of_one_archive_holds_back_no_other(scene: TwoArchives) -> None:
    """Everything of the other comes meanwhile, although it stands later in the queue."""
    scene.give(scene.troubled, range(1), ArchiveBusyError("429", retry_after_seconds=777))
    scene.give(scene.troubled, range(1, 6))
    scene.give(scene.well, range(6, 12))
    await scene.drain()
    assert await scene.settled() == {SeriesState.COMPLETE}
    first, *_ = scene.troubled.opened_at
    asked_at = first + 0.1
    assert not [at for at in scene.troubled.opened_at if asked_at + 0.01 < at < asked_at + 777]
    assert max(scene.well.opened_at) < asked_at + 777
    assert sum(isinstance(event, SeriesCompleted) and event.attempt == 1 for event in scene.events) == 11


async def test_an_archive_that_is_out_holds_back_no_other(scene: TwoArchives) -> None:
    """It is probed while the other's series come; its own cost no attempts and come when it is back."""
    scene.give(scene.troubled, range(8), ArchiveUnreachableError("refused"))
    scene.give(scene.well, range(8, 16))
    scene.troubled.failures = [ArchiveUnreachableError("refused")] * 6
    await scene.drain()
    assert await scene.settled() == {SeriesState.COMPLETE}
    assert max(scene.well.opened_at) < 100 < max(scene.troubled.opened_at)
    assert max(event.attempt for event in scene.events if isinstance(event, AttemptStarted)) == 2


async def test_who_is_out_is_told(scene: TwoArchives) -> None:
    """The pressure names the archive that was probed in vain, and no other."""
    scene.give(scene.troubled, range(4), ArchiveUnreachableError("refused"))
    scene.give(scene.well, range(4, 6))
    scene.troubled.failures = [ArchiveUnreachableError("refused")] * 10
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await scene.clock.sleep(300)
        assert scene.running.pressure.archives_out == {"troubled"}
        assert scene.running.pressure.breaker is BreakerState.OPEN
    assert scene.running.pressure.archives_out == frozenset()


async def test_a_run_ends_for_an_outage_only_when_nothing_else_is_left(scene: TwoArchives) -> None:
    """What the other archive still has to give is fetched first, however long that takes."""
    scene.well.first_byte_seconds = lambda _number: 2 * OUTAGE_SECONDS
    scene.give(scene.troubled, range(4), *[ArchiveUnreachableError("refused")] * 1_000)
    scene.give(scene.well, range(4, 10))
    scene.troubled.failures = [ArchiveUnreachableError("refused")] * 10_000
    with pytest.raises(ArchiveUnreachableError):
        await scene.drain()
    states = await scene.states()
    assert {states[str(number)] for number in range(4, 10)} == {SeriesState.COMPLETE}
    assert {states[str(number)] for number in range(4)} == {SeriesState.PENDING}


async def test_a_rest_is_waited_for_although_another_archive_stays_out(scene: TwoArchives) -> None:
    """It is known when it ends."""
    scene.give(scene.troubled, range(4), *[ArchiveUnreachableError("refused")] * 1_000)
    scene.give(scene.well, range(4, 5), ArchiveBusyError("429", retry_after_seconds=3 * OUTAGE_SECONDS))
    scene.troubled.failures = [ArchiveUnreachableError("refused")] * 10_000
    with pytest.raises(ArchiveUnreachableError):
        await scene.drain()
    assert (await scene.states())["4"] is SeriesState.COMPLETE


async def test_an_archive_that_rests_is_not_probed(scene: TwoArchives) -> None:
    """A probe is a question like any other."""
    asked_at: list[float] = []

    class Noting(TimedArchive):
        async def find_collections(self) -> list[str]:
            asked_at.append(self.clock.monotonic())
            return []

    archive = Noting(name="troubled", clock=scene.clock)
    scene.concurrency = 4
    scene.running = scene.scheduler({"troubled": scene.context(archive), "well": scene.context(scene.well)})
    scene.troubled = archive
    scene.give(archive, range(6), ArchiveBusyError("503", retry_after_seconds=500))
    await scene.drain()
    assert asked_at
    assert min(asked_at) >= 500
    assert await scene.settled() == {SeriesState.COMPLETE}
