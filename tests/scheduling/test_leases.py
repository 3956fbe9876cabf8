"""A claim is kept alive while its series runs, and a worker that lost it drops its work without a word to the store."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from downloader.errors import (
    CredentialsRejectedError,
    CutTransferError,
    LeaseLostError,
    LibraryError,
    NoSpaceError,
    TciadError,
    UnsafeMemberError,
)
from downloader.library.local.library import LocalLibrary
from downloader.model import Claim, FetchOrder, SeriesCompleted, SeriesFailed, SeriesState
from downloader.scheduling.leases import AHEAD_SECONDS, LEASE_SECONDS, SESSION_SECONDS, Leases
from tests.fakes.clock import START_AT as FAKE_START_AT
from tests.fakes.clock import FakeClock, turning_clock
from tests.fakes.memory_archive import MemoryBody
from tests.fakes.memory_store import MemoryStore
from tests.scheduling.test_pressure import UnleasedClock
from tests.scheduling.test_scheduler import ME, Scene, listed, zip_of

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowBody(MemoryBody):
    """A body whose second half comes when the test says so; or else the error that ends it."""

    begun: anyio.Event
    released: anyio.Event
    error: TciadError | None = None

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        first, second = (piece for piece in self.pieces if isinstance(piece, bytes))
        yield [first]
        self.begun.set()
        await self.released.wait()
        if self.error is not None:
            raise self.error
        yield [second]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with turning_clock() as clock:
        yield Scene(clock=clock, library=LocalLibrary(tmp_path))


def offer_slowly(scene: Scene, error: TciadError | None = None) -> SlowBody:
    series = listed(1)
    whole = zip_of(series)
    body = SlowBody(pieces=[whole[:200], whole[200:]], begun=anyio.Event(), released=anyio.Event(), error=error)
    scene.archive.rows.append(series)
    scene.archive.answers[series.series_instance_uid] = [body]
    return body


async def test_a_series_that_takes_longer_than_its_lease_keeps_it(scene: Scene) -> None:
    """No other worker can claim it meanwhile, and it completes in its first attempt."""
    body = offer_slowly(scene)
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        await scene.clock.sleep(3 * LEASE_SECONDS)
        assert await scene.store.claim("m", session_id="other", lease_seconds=3600) == []
        body.released.set()
    (row,) = [row async for row in scene.store.find("m")]
    assert (row.state, row.attempts) == (SeriesState.COMPLETE, 1)


async def test_a_worker_that_lost_its_lease_drops_its_work_quietly(scene: Scene) -> None:
    """The store says what the other worker did; this one neither completes nor fails the series."""
    body = offer_slowly(scene)
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        await steal(scene)
        body.released.set()
    (failure,) = await scene.store.failures("m")
    assert failure.message == "by the other"
    assert scene.seen(SeriesCompleted) == []
    assert scene.seen(SeriesFailed) == []


async def claim_later(store: MemoryStore, session_id: str, limit: int = 1) -> Sequence[Claim]:
    """Claim as another worker whose store has come to the end of every lease: what a machine that slept finds when it wakes."""
    clock, store.clock = store.clock, FakeClock()
    store.clock.elapsed_seconds = (clock.steady_now() - FAKE_START_AT).total_seconds() + 86_400
    try:
        return await store.claim("m", session_id=session_id, lease_seconds=86_400, limit=limit)
    finally:
        store.clock = clock


async def steal(scene: Scene) -> None:
    """Another worker claims what is under way, as after a machine slept past a lease, and is done with it."""
    (stolen,) = await claim_later(scene.store, "other")
    await scene.store.fail(stolen, error="CutTransferError", message="by the other")


@pytest.mark.parametrize(
    "error",
    [CutTransferError("the line broke"), UnsafeMemberError("a bomb"), NoSpaceError("full")],
    ids=["to be tried again", "to be given up", "to be waited out"],
)
async def test_an_attempt_that_fails_after_its_lease_was_lost_is_dropped_and_the_run_goes_on(
    scene: Scene, error: TciadError
) -> None:
    """The sleep that cost the lease has cut the line, too: the result of the attempt does not count any more."""
    scene.waits_for_room = True
    body = offer_slowly(scene, error)
    scene.offer(listed(2))
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        await steal(scene)
        body.released.set()
    (failure,) = await scene.store.failures("m")
    assert failure.message == "by the other"
    assert scene.seen(SeriesFailed) == []
    assert (await scene.states())["2"] is SeriesState.COMPLETE


async def test_what_stops_a_run_stops_it_also_after_a_lease_was_lost(scene: Scene) -> None:
    """The error that concerns every series is the one that is raised."""
    body = offer_slowly(scene, CredentialsRejectedError("the archive refused the token"))

    async def meanwhile() -> None:
        await body.begun.wait()
        await steal(scene)
        body.released.set()

    async with anyio.create_task_group() as group:
        group.start_soon(meanwhile)
        with pytest.raises(CredentialsRejectedError):
            await scene.drain()


async def test_an_interruption_is_one_also_after_a_lease_was_lost(scene: Scene) -> None:
    """Only the interruption is reported, and the other series is given back."""
    body = offer_slowly(scene)
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        await steal(scene)
        group.cancel_scope.cancel()
    assert group.cancel_scope.cancelled_caught
    (failure,) = await scene.store.failures("m")
    assert failure.message == "by the other"


async def test_a_machine_that_slept_past_a_lease_goes_on_with_one_attempt_at_a_time(tmp_path: Path) -> None:
    """It was not extended while the machine slept. The series can be claimed again at once, and is still under way here."""
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
        self.store.clock = self.clock
        self.leases = Leases(self.store, self.clock, ME)

    async def enqueue(self, count: int) -> None:
        resolve = await self.store.begin_resolve("m", self.clock.now())
        await self.store.enqueue("m", resolve, "a", [listed(number) for number in range(count)])

    async def work(self, count: int, order: FetchOrder = FetchOrder.ARCHIVE) -> None:
        for _ in range(count):
            claim = await self.leases.claim("m", order)
            assert claim is not None
            with self.leases.held(claim):
                self.clock.elapsed_seconds += self.seconds
            await self.store.set_back(claim, delay_seconds=7 * 86_400, error="", message="", count_attempt=True)

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
    """The next worker finds it as it was, without a counted attempt."""
    pace = Pace(seconds=0.005)
    await pace.enqueue(150)
    await pace.work(120)
    assert await pace.claimed() > 0
    await pace.leases.give_back()
    assert await pace.claimed() == 0
    assert sorted([row.attempts async for row in pace.store.find("m")]) == [0] * 30 + [1] * 120


async def test_a_claim_ahead_that_was_lost_does_not_keep_the_others_from_being_given_back() -> None:
    """The one that another worker has stays with that one."""
    pace = Pace(seconds=0.005)
    await pace.enqueue(150)
    await pace.work(120)
    assert await claim_later(pace.store, "other")
    await pace.leases.give_back()
    assert await pace.claimed() == 1


async def test_leases_are_kept_while_claims_are_made_in_another_order_for_the_first_time() -> None:
    """A run that may have more series at once begins to take some from the queue's other end."""

    class Obliging(MemoryStore):
        leases: Leases

        async def extend(self, claims: Collection[Claim], lease_seconds: float) -> Sequence[Claim]:
            await self.leases.claim("m", FetchOrder.SMALLEST_FIRST)
            return await super().extend(claims, lease_seconds)

    async with turning_clock() as clock:
        store = Obliging()
        pace = Pace(seconds=0.005, clock=clock, store=store)
        store.leases = pace.leases
        await pace.enqueue(150)
        await pace.work(120, FetchOrder.LARGEST_FIRST)
        async with anyio.create_task_group() as group:
            group.start_soon(pace.leases.keep)
            await clock.sleep(LEASE_SECONDS)
            group.cancel_scope.cancel()


async def test_a_claim_ahead_whose_lease_was_lost_is_not_begun() -> None:
    """Another worker has it; the rest is kept alive."""
    async with turning_clock() as clock:
        pace = Pace(seconds=0.005, clock=clock)
        await pace.enqueue(150)
        await pace.work(120)
        ahead = await pace.claimed()
        (first_ahead, *_) = [row.series async for row in pace.store.find("m", SeriesState.CLAIMED)]
        (stolen,) = await claim_later(pace.store, "other")
        async with anyio.create_task_group() as group:
            group.start_soon(pace.leases.keep)
            await clock.sleep(3 * LEASE_SECONDS)
            group.cancel_scope.cancel()
        claims = [await pace.leases.claim("m", FetchOrder.ARCHIVE) for _ in range(ahead)]
    assert stolen.series == first_ahead, "the first of those that were claimed ahead"
    assert stolen.series.series_instance_uid not in {claim.series.series_instance_uid for claim in claims if claim}
    assert None not in claims


async def test_what_was_claimed_ahead_goes_back_when_its_archive_rests() -> None:
    """No work on it began, so it costs no attempt; what is of others stays claimed."""
    pace = Pace(seconds=0.005)
    await pace.enqueue(300)
    await pace.work(120)
    assert await pace.claimed() > 0
    assert await pace.leases.claim("m", FetchOrder.ARCHIVE, ["a"]) is not None
    assert await pace.claimed() > 1
    assert await pace.leases.claim("m", FetchOrder.ARCHIVE, ["b"]) is None
    (under_way,) = [row.attempts async for row in pace.store.find("m", SeriesState.CLAIMED)]
    assert under_way == 1
    pace.clock.elapsed_seconds += 1
    await pace.work(179)
    assert {row.attempts async for row in pace.store.find("m")} == {1}


async def test_a_claim_ahead_that_another_worker_took_is_not_given_back() -> None:
    """Its lease ran out while the machine slept: the series is the other's."""
    pace = Pace(seconds=0.005)
    await pace.enqueue(300)
    await pace.work(120)
    stolen = await claim_later(pace.store, "other", limit=1000)
    assert stolen
    await pace.leases.give_back()
    assert await pace.claimed() == len(stolen)


async def test_a_library_error_of_a_lost_claim_ends_the_attempt_and_not_the_run(scene: Scene) -> None:
    """The worker that has the series now moved its staging away."""
    body = offer_slowly(scene, LibraryError("the folder is gone"))
    scene.offer(listed(2))
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        await steal(scene)
        body.released.set()
    (failure,) = await scene.store.failures("m")
    assert failure.message == "by the other"
    assert (await scene.states())["2"] is SeriesState.COMPLETE


async def test_the_session_stays_alive_while_the_queue_is_worked_at(scene: Scene) -> None:
    """Another session that starts meanwhile sets back nothing, however long a series takes."""
    body = offer_slowly(scene)
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        await scene.clock.sleep(10 * SESSION_SECONDS)
        assert await scene.store.recover_claims(replace(ME, session_id="other")) == 0
        body.released.set()
    assert await scene.states() == {"1": SeriesState.COMPLETE}


async def test_a_worker_whose_clock_is_wrong_keeps_its_claims(tmp_path: Path) -> None:
    """Leases are durations: only the store's clock counts."""
    async with turning_clock() as clock:
        scene = Scene(clock=clock, library=LocalLibrary(tmp_path))
        scene.store.clock = FakeClock()
        scene.store.clock.elapsed_seconds = 3 * 86_400
        scene.offer(listed(1), CutTransferError("the line broke"))
        resolve = await scene.store.begin_resolve("m", clock.now())
        await scene.store.enqueue("m", resolve, "memory", scene.archive.rows)
        claim = await Leases(scene.store, clock, ME).claim("m", FetchOrder.ARCHIVE)
        assert claim is not None
        assert await Leases(scene.store, FakeClock(), replace(ME, session_id="other")).claim("m", FetchOrder.ARCHIVE) is None
        assert await scene.store.extend([claim], LEASE_SECONDS) == []


async def test_a_claim_is_looked_at_again_before_a_series_is_published_late() -> None:
    """Where the lease ran out unnoticed, as in a process that was stopped, the store says whose the series is."""
    pace = Pace(seconds=0.0)
    await pace.enqueue(2)
    kept, lost = [await pace.leases.claim("m", FetchOrder.ARCHIVE) for _ in range(2)]
    assert kept is not None
    assert lost is not None
    pace.clock.elapsed_seconds += LEASE_SECONDS
    await anyio.to_thread.run_sync(pace.leases.expect_held, kept)
    (stolen, *_) = await claim_later(pace.store, "other", limit=2)
    assert stolen.series in {kept.series, lost.series}
    pace.clock.elapsed_seconds += LEASE_SECONDS
    with pytest.raises(LeaseLostError):
        await anyio.to_thread.run_sync(pace.leases.expect_held, lost)
