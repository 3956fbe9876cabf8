"""`--deadline`: a run ends in time, loses nothing, and says that it is not complete."""

from pathlib import Path

import anyio
import pytest

from downloader.config.options import RunOptions
from downloader.config.settings import Settings, parse_flags, resolve_options
from downloader.engine.mirror import open_mirror
from downloader.errors import CredentialsRejectedError, SettingsError
from downloader.model import SeriesState
from downloader.results.run import RunReport
from downloader.sandbox import Fault, FaultKind
from downloader.store.sqlite.store import open_store
from downloader.ui.progress import SilentProgress
from tests.fakes.clock import FakeClock
from tests.faults.scene import OWN_FOLDER, Scene, open_scene

pytestmark = pytest.mark.anyio
DEADLINE_SECONDS = 8 * 3600.0


async def run_into_deadline(scene: Scene, stalls: int = 1) -> RunReport:
    """Run until this many replies stall, then let the time pass."""
    clock = FakeClock()
    options = RunOptions(
        output=scene.library, min_free_bytes=0, minimum_bytes_per_second=0, attempts=1, deadline_seconds=DEADLINE_SECONDS
    )
    reports: list[RunReport] = []

    async def run() -> None:
        async with open_mirror(scene.manifest(), options, SilentProgress(), clock) as mirror:
            reports.append(await mirror.run())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await scene.sandbox.wait_for_stall(stalls)
        while not reports:
            clock.advance()
            await anyio.wait_all_tasks_blocked()
    (report,) = reports
    assert clock.elapsed_seconds == DEADLINE_SECONDS
    return report


async def test_work_in_flight_is_set_back_uncounted(tmp_path: Path) -> None:
    """The series keeps its only attempt, the report says why it is not complete, and the next run completes it."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.STALL, at_bytes=9_000, times=1)) as scene:
        report = await run_into_deadline(scene)
        assert (report.outcome, report.exit_code, report.error) == ("incomplete", 3, "")
        assert report.warnings == ("the deadline of 8 h 0 min has passed; run again to continue",)
        assert report.tally.pending == 2 - report.completed
        scene.assert_nothing_wrong()
        async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
            rows = {row.series.series_instance_uid: row async for row in store.find("m")}
        assert (rows[scene.victim].state, rows[scene.victim].attempts) == (SeriesState.PENDING, 0)
        scene.assert_complete(await scene.run(options=RunOptions(attempts=1)))


async def test_a_catalogue_that_never_comes_is_no_proof(tmp_path: Path) -> None:
    """A run over a complete library that could not resolve in time is not complete, and withdraws nothing."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        scene.sandbox.faults.add(Fault(kind=FaultKind.STALL, at_bytes=10, endpoints=("getSeries",), times=1))
        report = await run_into_deadline(scene)
        assert (report.outcome, report.exit_code) == ("incomplete", 3)
        assert (report.tally.complete, report.tally.withdrawn) == (2, 0)
        scene.assert_complete(await scene.run())

    """Also an error comes out bare."""
    async with open_scene(tmp_path) as scene:
        clock = FakeClock()  # its time does not pass
        options = RunOptions(output=scene.library, min_free_bytes=0, deadline_seconds=DEADLINE_SECONDS)
        async with open_mirror(scene.manifest(), options, SilentProgress(), clock) as mirror:
            report = await mirror.run()
        scene.assert_complete(report)
        assert report.warnings == ()
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=401, endpoints=("getSeries", "getCollectionValues")))
        with pytest.raises(CredentialsRejectedError, match="401"):
            async with open_mirror(scene.manifest(), options, SilentProgress(), clock) as mirror:
                await mirror.run()


def test_the_deadline_is_a_flag() -> None:
    """A duration; neither the environment nor a manifest knows it."""
    options = resolve_options(parse_flags({"deadline": "8h"}), Settings(), {})
    assert options.deadline_seconds == DEADLINE_SECONDS
    assert "deadline" not in Settings.model_fields
    with pytest.raises(SettingsError, match=r"--deadline: .* is not a duration"):
        parse_flags({"deadline": "soon"})
