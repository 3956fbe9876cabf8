"""The machine's clock is set while a run lives: waits and leases go by the time that passes."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from downloader.errors import ArchiveBusyError, CutTransferError, NoSpaceError, TciadError
from downloader.library.local.library import LocalLibrary
from downloader.model import AttemptStarted, Event, SeriesSetBack, SeriesState
from downloader.scheduling.leases import LEASE_SECONDS
from tests.fakes.clock import turning_clock
from tests.scheduling.test_leases import offer_slowly
from tests.scheduling.test_scheduler import Scene, listed

pytestmark = pytest.mark.anyio
HOUR_SECONDS = 3600.0
STEPS = [-HOUR_SECONDS, HOUR_SECONDS, -1000 * HOUR_SECONDS, 1000 * HOUR_SECONDS]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with turning_clock() as clock:
        scene = Scene(clock=clock, library=LocalLibrary(tmp_path))
        clock.threads = scene.threads
        yield scene


class Stepping(list[Event]):
    """Events of a scene whose wall clock is set once a series has been set back."""

    def __init__(self, scene: Scene, step_seconds: float) -> None:
        super().__init__()
        self._scene = scene
        self._step_seconds = step_seconds

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, SeriesSetBack):
            self._scene.clock.wall_step_seconds = self._step_seconds


@pytest.mark.parametrize("step_seconds", STEPS)
@pytest.mark.parametrize(
    ("error", "least_seconds"), [(CutTransferError("cut"), 1), (ArchiveBusyError("429", retry_after_seconds=120), 120)]
)
async def test_a_pause_lasts_as_long_as_it_was_to(
    scene: Scene, error: TciadError, least_seconds: float, step_seconds: float
) -> None:
    """Seconds, or what the archive asked for: neither an hour more nor less."""
    scene.events = Stepping(scene, step_seconds)
    scene.offer(listed(1), error)
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    assert least_seconds <= scene.clock.elapsed_seconds <= least_seconds + 10


@pytest.mark.parametrize("step_seconds", STEPS)
async def test_a_wait_for_room_lasts_as_long_as_it_was_to(scene: Scene, step_seconds: float) -> None:
    """Ten minutes or so."""
    scene.waits_for_room = True
    scene.offer(listed(1), NoSpaceError("full"))

    async def step() -> None:
        if scene.archive.opened:
            scene.clock.wall_step_seconds = step_seconds

    scene.admit = step
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    assert 600 <= scene.clock.elapsed_seconds <= 700


@pytest.mark.parametrize("step_seconds", STEPS)
async def test_a_live_lease_does_not_seem_to_have_run_out(scene: Scene, step_seconds: float) -> None:
    """The series under way is not claimed a second time by a claim that follows the step."""
    body = offer_slowly(scene)
    for number in (2, 3):
        scene.offer(listed(number), CutTransferError("cut"))
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await body.begun.wait()
        scene.clock.wall_step_seconds = step_seconds
        await scene.clock.sleep(LEASE_SECONDS / 2)
        body.released.set()
    assert set((await scene.states()).values()) == {SeriesState.COMPLETE}
    begun = [event.series.series_instance_uid for event in scene.seen(AttemptStarted)]
    assert begun.count(listed(1).series_instance_uid) == 1
