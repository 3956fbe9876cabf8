"""A claim is kept alive while its series runs, and a worker that lost it drops its work without a word to the store."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from downloader.errors import CutTransferError
from downloader.library.local import LocalLibrary
from downloader.model import SeriesCompleted, SeriesFailed, SeriesState
from downloader.scheduler import LEASE_SECONDS
from tests.fakes.clock import turning_clock
from tests.fakes.memory_archive import MemoryBody
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
