"""Traps of HTTP: statuses, pauses that the archive asks for, outages, slowness; what costs an attempt and what does not."""

from pathlib import Path

import anyio
import pytest

from downloader.config.options import RunOptions
from downloader.errors import CredentialsRejectedError, TciadError
from downloader.manifest import ApiGeneration
from downloader.model import SeriesState
from downloader.sandbox import DOWNLOADS, EVERY, Fault, FaultKind
from downloader.store.sqlite.store import open_store
from tests.faults.scene import ATTEMPTS, NO_SINGLE_IMAGES, OWN_FOLDER, Scene, open_scene
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
V1, V4 = ApiGeneration.V1, ApiGeneration.V4
GENERATIONS = [V4, V1]
BRIEFLY = 3


async def attempts_in_store(scene: Scene) -> dict[str, tuple[SeriesState, int]]:
    """Where the store says that each series stands, and how many attempts it has had."""
    async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
        return {row.series.series_instance_uid: (row.state, row.attempts) async for row in store.find("m")}


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_refusal_that_passes(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 12: the same 400 for a private series and for a database that failed for a moment."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.DENIED, times=2)) as scene:
        scene.assert_complete(await scene.run(api))


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_refusal_that_stays(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 12: after a few attempts it is believed, however many the user allows; the message says what it may mean."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.DENIED)) as scene:
        report = await scene.run(api, options=RunOptions(attempts=10))
        message = scene.assert_failed(report, "AccessDeniedError", attempts=BRIEFLY)
        assert "private, withdrawn, or on another of the archive's hosts" in message


@pytest.mark.parametrize(
    ("status", "error", "attempts"),
    [
        (204, "ArchiveFaultError", ATTEMPTS),
        (400, "UnexpectedReplyError", BRIEFLY),
        (403, "AccessDeniedError", BRIEFLY),
        (404, "ArchiveFaultError", ATTEMPTS),
        (406, "UnexpectedReplyError", BRIEFLY),
        (422, "UnexpectedReplyError", BRIEFLY),
        (462, "AccessDeniedError", BRIEFLY),
        (500, "ArchiveFaultError", ATTEMPTS),
        (502, "ArchiveFaultError", ATTEMPTS),
        (504, "ArchiveFaultError", ATTEMPTS),
    ],
)
async def test_a_status_that_stays(tmp_path: Path, status: int, error: str, attempts: int) -> None:
    """Trap 13: each has its meaning, from a table; none is parsed as JSON."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.STATUS, status=status), NO_SINGLE_IMAGES) as scene:
        await scene.complete_neighbour()
        scene.assert_failed(await scene.run(), error, attempts=attempts)


@pytest.mark.parametrize("status", [401, 460, 461])
async def test_refused_credentials_stop_the_run(tmp_path: Path, status: int) -> None:
    """Trap 13: no other series would fare better, and none loses an attempt."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.STATUS, status=status)) as scene:
        with pytest.raises(CredentialsRejectedError) as caught:
            await scene.run(options=RunOptions(attempts=ATTEMPTS, concurrency=1))
        assert caught.value.exit_code == 4
        assert set((await attempts_in_store(scene)).values()) == {(SeriesState.PENDING, 0)}
        scene.sandbox.faults.clear()
        scene.assert_complete(await scene.run())


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_obeyed(tmp_path: Path, status: int) -> None:
    """Trap 28: the pause is never shorter than the archive asks for."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.STATUS, status=status, retry_after_seconds=777, times=1)) as scene:
        scene.assert_complete(await scene.run())
        assert max(scene.clock.slept) >= 776


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_burst_of_one_status(tmp_path: Path, status: int) -> None:
    """Trap 28: growing pauses, and then all is well."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.STATUS, status=status, times=2)) as scene:
        scene.assert_complete(await scene.run())


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_storm_over_everything_burns_no_attempts(tmp_path: Path, status: int) -> None:
    """Trap 28: the archive as a whole is out for a while; the queue is paused, probed, and goes on where it was."""
    # behind the collections, the list and its count: a storm over these is asked through, and then told
    storm = Fault(kind=FaultKind.STATUS, status=status, endpoints=(EVERY,), after=3, times=30)
    async with open_scene(tmp_path, storm) as scene:
        scene.assert_complete(await scene.run(options=RunOptions(attempts=4)))
        assert scene.sandbox.faults.struck(FaultKind.STATUS) == 30
        probes = scene.sandbox.count("getCollectionValues")
        assert probes > 20
        assert all(attempts <= 3 for _, attempts in (await attempts_in_store(scene)).values())


async def test_an_archive_that_is_gone_ends_the_run_after_a_day(tmp_path: Path) -> None:
    """Trap 28: everything is kept as it was, and the next run goes on."""
    storm = Fault(kind=FaultKind.STATUS, status=502, endpoints=(EVERY,), after=2)
    async with open_scene(tmp_path, storm) as scene:
        with pytest.raises(TciadError, match="502"):
            await scene.run(options=RunOptions(attempts=10))
        assert scene.clock.elapsed_seconds > 86_400
        scene.sandbox.faults.clear()
        scene.assert_complete(await scene.run())


async def test_a_drip_is_no_stall(tmp_path: Path) -> None:
    """Trap 27: however long a body takes, it may, as long as it comes: there is no total time-out."""
    drip = Fault(kind=FaultKind.DRIP, size_bytes=400, delay_seconds=0.002)
    async with open_scene(tmp_path, drip) as scene:
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            scene.assert_complete(await scene.run(options=RunOptions(attempts=1, idle_seconds=5)))


@pytest.mark.parametrize("at_bytes", [100, 20_000])
async def test_silence_in_a_body(tmp_path: Path, at_bytes: int) -> None:
    """Trap 27: after the idle time it is over, and asked again."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.STALL, at_bytes=at_bytes, times=1)) as scene:
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            scene.assert_complete(await scene.run(options=RunOptions(attempts=ATTEMPTS, idle_seconds=0.2)))


async def test_silence_that_stays(tmp_path: Path) -> None:
    """Trap 27: no stall lasts; the series fails and says so."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.STALL, at_bytes=100), NO_SINGLE_IMAGES) as scene:
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            report = await scene.run(options=RunOptions(attempts=2, idle_seconds=0.2))
        assert "stopped sending" in scene.assert_failed(report, "StalledTransferError", attempts=2)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_nothing_is_ever_asked_with_head(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 29: the archive would zip the whole series and throw it away."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.CUT, at_bytes=9_000, times=1)) as scene:
        scene.assert_complete(await scene.run(api))
        assert {request.method for request in scene.sandbox.requests} <= {"GET", "POST"}
        assert scene.sandbox.count(method="HEAD") == 0


async def test_each_series_is_downloaded_once(tmp_path: Path) -> None:
    """Trap 29: each download is counted in the archive's statistics, so a second run asks for none."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        scene.assert_complete(await scene.run())
        assert sum(scene.sandbox.count(endpoint) for endpoint in DOWNLOADS) == 2
