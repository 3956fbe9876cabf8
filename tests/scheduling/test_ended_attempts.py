"""A series is given up for what happened to it: an error that was recorded, or a process that died in every attempt."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from downloader.errors import CutTransferError, TciadError
from downloader.library.local.library import LocalLibrary
from downloader.model import SeriesState
from tests.fakes.clock import turning_clock
from tests.scheduling.test_scheduler import ME, Scene, listed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with turning_clock() as clock:
        yield Scene(clock=clock, library=LocalLibrary(tmp_path))


async def enqueue(scene: Scene, *answers: TciadError) -> None:
    """The store knows the series, and the archive gives these answers before its images."""
    scene.offer(listed(1), *answers)
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "memory", scene.archive.rows)


async def end_attempts(scene: Scene, *errors: str) -> None:
    """Attempts of other processes: each ended with an error, or, where that is empty, with its process."""
    for error in errors:
        (held,) = await scene.store.claim("m", session_id="w", lease_seconds=600)
        if error:
            await scene.store.set_back(held, delay_seconds=0, error=error, message="m", count_attempt=True)
        else:
            await scene.store.recover_claims(ME)


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_fewer_attempts_fail_no_series_whose_attempts_ended_with_an_error(scene: Scene, attempts: int) -> None:
    """Three attempts had their errors; the policy now allows as many or fewer. The series gets one more, and completes."""
    await enqueue(scene)
    await end_attempts(scene, *["CutTransferError"] * 3)
    scene.attempts = attempts
    await scene.scheduler().drain("m")
    assert await scene.states() == {"1": SeriesState.COMPLETE}


async def test_where_no_attempt_is_left_the_error_of_the_last_is_told(scene: Scene) -> None:
    """And nothing of a process that died."""
    await enqueue(scene, *[CutTransferError("the line broke")] * 9)
    await end_attempts(scene, *["CutTransferError"] * 3)
    scene.attempts = 2
    await scene.scheduler().drain("m")
    (failure,) = await scene.store.failures("m")
    assert (failure.error, failure.attempts) == ("CutTransferError", 4)


@pytest.mark.parametrize("ends", [[""] * 3, ["CutTransferError", "", "", ""], ["", "CutTransferError", "", ""]])
async def test_a_series_that_kills_the_process_each_time_is_given_up(scene: Scene, ends: list[str]) -> None:
    """Without another attempt, whatever happened in between; the message says how many ended so."""
    await enqueue(scene)
    await end_attempts(scene, *ends)
    scene.attempts = 3
    await scene.scheduler().drain("m")
    (failure,) = await scene.store.failures("m")
    assert failure.error == "AttemptsExhaustedError"
    assert "3 attempts ended because the process died" in failure.message
    assert scene.archive.opened == []


async def test_attempts_that_ended_with_the_process_count_until_the_series_begins_anew(scene: Scene) -> None:
    """`tciad retry` gives it all its attempts."""
    await enqueue(scene)
    await end_attempts(scene, *[""] * 3)
    scene.attempts = 3
    await scene.scheduler().drain("m")
    await scene.store.retry("m")
    await end_attempts(scene, *[""] * 2)
    await scene.scheduler().drain("m")
    assert await scene.states() == {"1": SeriesState.COMPLETE}
