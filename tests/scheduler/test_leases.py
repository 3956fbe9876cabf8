"""A claim is kept alive while its series runs, and a worker that lost it drops its work without a word to the store."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from downloader.errors import CutTransferError
from downloader.leases import AHEAD_SECONDS, LEASE_SECONDS, Leases
from downloader.library.local import LocalLibrary
from downloader.model import FetchOrder, SeriesCompleted, SeriesFailed, SeriesState
from tests.fakes.clock import FakeClock, turning_clock
from tests.fakes.memory_archive import MemoryBody
from tests.fakes.memory_store import MemoryStore
from tests.scheduler.test_pressure import UnleasedClock
from tests.scheduler.test_scheduler import Scene, listed, zip_of

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowBody(MemoryBody):
    """A body whose second half comes when the test says so."""

    begun: anyio.Event
    released: anyio.Event

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        (whole,) = (piece for piece in self.pieces if isinstance(piece, bytes))
        yield [whole[:200]]
        self.begun.set()
        await self.released.wait()
        yield [whole[200:]]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with turning_clock() as clock:
        yield Scene(clock=clock, library=LocalLibrary(tmp_path))


def offer_slowly(scene: Scene) -> SlowBody:
    series = listed(1)
    body = SlowBody(pieces=[zip_of(series)], begun=anyio.Event(), released=anyio.Event())
    scene.archive.rows.append(series)
    scene.archive.answers[series.series_instance_uid] = [body]
    return body


async def test_a_series_that_takes_longer_than_its_lease_keeps_it(scene: Scene) -> None:
    """Nobody else can claim it meanwhile, and it completes in its first attempt."""
    body = offer_slowly(scene)
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        await scene.clock.sleep(3 * LEASE_SECONDS)
        at = scene.clock.now()
        assert await scene.store.claim("m", owner="other", at=at, lease_until_at=at + timedelta(hours=1)) == []
        body.released.set()
    (row,) = [row async for row in scene.store.find("m")]
    assert (row.state, row.attempts) == (SeriesState.COMPLETE, 1)


async def test_a_worker_that_lost_its_lease_drops_its_work_quietly(scene: Scene) -> None:
    """The store says what the other worker did; this one neither completes nor fails the series."""
    body = offer_slowly(scene)
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        # what a machine that slept past its lease would find when it wakes
        later = scene.clock.now() + timedelta(days=1)
        (stolen,) = await scene.store.claim("m", owner="other", at=later, lease_until_at=later + timedelta(days=1))
        await scene.store.fail(stolen, error="CutTransferError", message="by the other")
        body.released.set()
    (failure,) = await scene.store.failures("m")
    assert failure.message == "by the other"
    assert scene.seen(SeriesCompleted) == []
    assert scene.seen(SeriesFailed) == []


async def test_a_machine_that_slept_past_a_lease_goes_on_with_one_attempt_at_a_time(tmp_path: Path) -> None:
    """Nobody renewed it while the machine slept. The series can be claimed again at once, and is still under way here."""
    async with turning_clock(UnleasedClock()) as clock:
        scene = Scene(clock=clock, library=LocalLibrary(tmp_path))
        body = offer_slowly(scene)
        for number in (2, 3, 4):
            scene.offer(listed(number), CutTransferError("the line broke"))
        async with anyio.create_task_group() as group:
            group.start_soon(scene.drain)
            await body.begun.wait()
            clock.elapsed_seconds += 2 * LEASE_SECONDS
            while [row.attempts async for row in scene.store.find("m", state=SeriesState.CLAIMED)] != [2]:
                await anyio.lowlevel.checkpoint()
            body.released.set()
    assert set((await scene.states()).values()) == {SeriesState.COMPLETE}
    asked = [series_instance_uid for series_instance_uid, _ in scene.archive.opened]
    assert asked.count(listed(1).series_instance_uid) == 1, "the second attempt finds what the first one stored"


@dataclass
class Pace:
    """A scheduler's claims, each of which is worked at for `seconds`."""

    seconds: float
    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        self.leases = Leases(self.store, self.clock, "me")

    async def enqueue(self, count: int) -> None:
        resolve = await self.store.begin_resolve("m", self.clock.now())
        await self.store.enqueue("m", resolve, "a", [listed(number) for number in range(count)])

    async def work(self, count: int, order: FetchOrder = FetchOrder.ARCHIVE) -> None:
        for _ in range(count):
            claim = await self.leases.claim("m", order)
            assert claim is not None
            with self.leases.held(claim):
                self.clock.elapsed_seconds += self.seconds
            await self.store.set_back(
                claim, due_at=self.clock.now() + timedelta(days=30), error="", message="", count_attempt=True
            )

    async def claimed(self) -> int:
        return len([row async for row in self.store.find("m", SeriesState.CLAIMED)])


async def test_series_that_take_their_time_are_claimed_one_by_one() -> None:
    """An attempt is counted at its claim: none is counted that may not begin for long."""
    pace = Pace(seconds=0.5)
    await pace.enqueue(10)
    for _ in range(5):
        await pace.work(1)
        assert await pace.claimed() == 0


async def test_two_series_that_end_together_are_no_haste() -> None:
    """Only what lasts for a while is a pace."""
    pace = Pace(seconds=0.0)
    await pace.enqueue(10)
    await pace.work(3)
    pace.clock.elapsed_seconds += 0.01
    await pace.work(3)
    assert await pace.claimed() == 0


async def test_series_that_end_in_no_time_are_claimed_in_portions() -> None:
    """As many as begin within a moment, never more than a few, and each is handed out once."""
    pace = Pace(seconds=0.005)
    await pace.enqueue(300)
    await pace.work(120)
    assert 0 < await pace.claimed() <= AHEAD_SECONDS / 0.005
    await pace.work(180)
    assert await pace.claimed() == 0
    assert await pace.leases.claim("m", FetchOrder.ARCHIVE) is None


async def test_what_was_claimed_ahead_is_handed_out_in_whatever_order_it_is_asked_for() -> None:
    """Nothing is left behind when the store has no more."""
    pace = Pace(seconds=0.005)
    await pace.enqueue(130)
    await pace.work(120, FetchOrder.SMALLEST_FIRST)
    assert await pace.claimed() > 0
    await pace.work(10, FetchOrder.LARGEST_FIRST)
    assert await pace.claimed() == 0


async def test_what_was_claimed_and_not_begun_is_given_back() -> None:
    """Whoever comes next finds it as it was, without an attempt on its account."""
    pace = Pace(seconds=0.005)
    await pace.enqueue(150)
    await pace.work(120)
    assert await pace.claimed() > 0
    await pace.leases.give_back()
    assert await pace.claimed() == 0
    assert sorted([row.attempts async for row in pace.store.find("m")]) == [0] * 30 + [1] * 120


async def test_a_claim_ahead_whose_lease_was_lost_is_not_begun() -> None:
    """Another worker has it; the rest is kept alive."""
    async with turning_clock() as clock:
        pace = Pace(seconds=0.005, clock=clock)
        await pace.enqueue(150)
        await pace.work(120)
        ahead = await pace.claimed()
        (first_ahead, *_) = [row.series async for row in pace.store.find("m", SeriesState.CLAIMED)]
        later = clock.now() + timedelta(days=1)
        (stolen,) = await pace.store.claim("m", owner="other", at=later, lease_until_at=later + timedelta(days=1))
        async with anyio.create_task_group() as group:
            group.start_soon(pace.leases.keep)
            await clock.sleep(3 * LEASE_SECONDS)
            group.cancel_scope.cancel()
        claims = [await pace.leases.claim("m", FetchOrder.ARCHIVE) for _ in range(ahead)]
    assert stolen.series == first_ahead, "the first of those that were claimed ahead"
    assert stolen.series.series_instance_uid not in {claim.series.series_instance_uid for claim in claims if claim}
    assert None not in claims
