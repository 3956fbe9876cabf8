"""Archives that do not answer: cycles wait for them, fail after an hour, and are tried again soon."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from downloader.pacing import BreakerState
from downloader.sandbox import EVERY, Fault, FaultKind, serve_sandbox
from downloader.service.port import ManifestState, RunPhase
from downloader.service.setback import IN_DOUBT
from downloader.service.summary import summarize
from tests.service.scene import (
    HOUR_SECONDS,
    PROBE_PAUSES,
    ServiceScene,
    TurnedClock,
    open_scene,
    running_service,
    small_catalogue,
    write_manifest,
)
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
OUT = Fault(kind=FaultKind.STATUS, status=500, endpoints=(EVERY,))
NOT_NBIA = Fault(kind=FaultKind.STATUS, status=404, endpoints=(EVERY,))
"""No wait helps against it, so that a cycle fails at once."""
MINUTE_SECONDS = 60.0


async def until_waiting(scene: ServiceScene, manifest: str = "m") -> None:
    """The cycle of the manifest waits for the archive."""
    with anyio.fail_after(LONGEST_WAIT_SECONDS):
        while scene.service.progress().get(manifest) is None or scene.service.progress()[manifest].waiting_since_at is None:
            await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


async def test_an_archive_that_is_out_when_a_cycle_begins_is_waited_for(tmp_path: Path) -> None:
    """The cycle is the same one when it is back; meanwhile status and progress tell of the wait, and since when."""
    async with serve_sandbox(small_catalogue(1, 2), faults=[OUT]) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m")
        async with running_service(tmp_path, sandbox, held=PROBE_PAUSES) as scene:
            await until_waiting(scene)
            began_at = scene.clock.now()
            told = (await scene.manifest("m")).progress
            assert told
            assert (told.phase, told.waiting_since_at, told.breaker) == (RunPhase.WAITING, began_at, BreakerState.OPEN)
            (archive,) = (await scene.service.status()).archives
            assert told.archives_out == (archive.name,)
            sentence = summarize(await scene.service.status(), await scene.service.manifests()).sentence
            assert sentence == f"{archive.name} has not answered since {began_at:%H:%M} UTC."
            assert (await scene.manifest("m")).state is ManifestState.RUNNING
            sandbox.faults.clear()
            await scene.clock.pass_time(15)
            ended = await scene.cycle_of("m")
            assert (ended.summary.outcome, ended.completed) == ("complete", 2)
            assert ended.summary.began_at < began_at
            told_after = summarize(await scene.service.status(), await scene.service.manifests())
            assert told_after.sentence == "Complete: all 2 series of 1 manifest."
        assert [record["outcome"] for record in scene.records("runs")] == ["complete"]


async def test_a_wait_gives_way_to_a_manifest_of_another_archive(tmp_path: Path) -> None:
    """Of the same library; a manifest of the archive that is out waits for its turn."""
    async with serve_sandbox(small_catalogue(1), faults=[OUT]) as sandbox, serve_sandbox(small_catalogue(2)) as other:
        for name in ("a", "b"):
            write_manifest(tmp_path / "manifests", sandbox.base_url, name)
        async with running_service(tmp_path, sandbox, held=PROBE_PAUSES) as scene:
            await until_waiting(scene, "a")
            assert (await scene.manifest("b")).state is ManifestState.WAITING
            write_manifest(scene.folder, other.base_url, "c")
            await scene.look()
            await scene.clock.pass_time(15)
            ends = [(name, (await scene.cycle_of(name)).summary.outcome) for name in ("a", "b", "c")]
            assert ends == [("a", "failed"), ("b", "failed"), ("c", "complete")]
            reachable = {archive.base_url: archive.reachable for archive in (await scene.service.status()).archives}
            assert reachable == {sandbox.base_url: False, other.base_url: True}


async def next_run_in(scene: ServiceScene, manifest: str = "m") -> float:
    """Minutes until the next cycle."""
    next_run_at = (await scene.manifest(manifest)).next_run_at
    assert next_run_at
    return round((next_run_at - scene.clock.now()).total_seconds() / MINUTE_SECONDS, 1)


async def test_a_failed_cycle_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    """Until one ends well; then the schedule holds again."""
    async with open_scene(tmp_path, 1, manifests={"m": ("schedule: {every: 1d}",)}) as scene:
        await scene.cycle_of("m")
        scene.sandbox.faults.add(NOT_NBIA)
        await scene.clock.pass_time(24 * HOUR_SECONDS)
        for failed_cycles, minutes in enumerate((5, 10, 20, 40, 60, 60), start=1):
            assert (await scene.cycle_of("m")).summary.outcome == "failed"
            told = await scene.manifest("m")
            assert (told.failed_cycles, told.needs_attention) == (failed_cycles, "")
            assert await next_run_in(scene) == minutes
            await scene.clock.pass_time(minutes * MINUTE_SECONDS - 1)
            await scene.assert_idle()
            await scene.clock.pass_time(1)
        scene.sandbox.faults.clear()
        assert (await scene.cycle_of("m")).summary.outcome == "failed"
        await scene.clock.pass_time(HOUR_SECONDS)
        assert (await scene.cycle_of("m")).summary.outcome == "complete"
        assert (await scene.manifest("m")).failed_cycles == 0
        assert await next_run_in(scene) == 24 * 60


async def test_a_retry_comes_no_later_than_the_next_scheduled_cycle(tmp_path: Path) -> None:
    """And its pauses are as the manifest wants them."""
    lines = ("schedule: {every: 10m, retry_after: 4m, max_retry_after: 1d}",)
    async with serve_sandbox(small_catalogue(1), faults=[NOT_NBIA]) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m", *lines)
        async with running_service(tmp_path, sandbox) as scene:
            for minutes in (4, 8, 10, 10):
                ended = await scene.cycle_of("m")
                took_minutes = (ended.summary.ended_at - ended.summary.began_at).total_seconds() / MINUTE_SECONDS
                assert await next_run_in(scene) == pytest.approx(min(minutes, 10 - took_minutes), abs=0.1)
                await scene.clock.pass_time(minutes * MINUTE_SECONDS)


async def test_a_restart_does_not_lose_the_retry(tmp_path: Path) -> None:
    """It comes when it would have come first after a failure, and not after the whole interval."""
    clock = TurnedClock()
    async with serve_sandbox(small_catalogue(1), faults=[NOT_NBIA]) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m", "schedule: {every: 1d}")
        async with running_service(tmp_path, sandbox, clock) as scene:
            assert (await scene.cycle_of("m")).summary.outcome == "failed"
        sandbox.faults.clear()
        await clock.pass_time(2 * MINUTE_SECONDS)
        async with running_service(tmp_path, sandbox, clock) as scene:
            await scene.assert_idle()
            assert (await scene.manifest("m")).failed_cycles == 1
            assert await next_run_in(scene) == 3
            await clock.pass_time(3 * MINUTE_SECONDS)
            assert (await scene.cycle_of("m")).summary.outcome == "complete"
        async with running_service(tmp_path, sandbox, clock) as scene:
            assert (await scene.manifest("m")).failed_cycles == 0
            assert await next_run_in(scene) == 24 * 60


async def test_credentials_that_are_refused_need_a_person(tmp_path: Path) -> None:
    """The status says so, and the retry has the long pause; a corrected manifest begins anew, at once."""
    refused = Fault(kind=FaultKind.STATUS, status=401, endpoints=(EVERY,))
    async with serve_sandbox(small_catalogue(1), faults=[refused]) as sandbox:
        path = write_manifest(tmp_path / "manifests", sandbox.base_url, "m", "schedule: {every: 1d}")
        async with running_service(tmp_path, sandbox) as scene:
            assert (await scene.cycle_of("m")).summary.outcome == "failed"
            assert (await scene.manifest("m")).needs_attention == "the archive refuses the credentials: correct them"
            assert await next_run_in(scene) == 60
            sandbox.faults.clear()
            path.write_text(path.read_text() + "max_shrink: 6%\n")
            await scene.look()
            assert (await scene.cycle_of("m")).summary.outcome == "complete"
            assert (await scene.manifest("m")).needs_attention == ""


async def test_a_catalogue_in_doubt_is_listed_again_after_the_long_pause(tmp_path: Path) -> None:
    """The cycle is incomplete, and says why; nothing is lost, and the next list settles it. A restart does not lose the retry."""
    clock = TurnedClock()
    async with serve_sandbox(small_catalogue(1, 2)) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m", "schedule: {every: 1d}")
        async with running_service(tmp_path, sandbox, clock) as scene:
            await scene.cycle_of("m")
            sandbox.replace_catalogue(small_catalogue(1))
            await clock.pass_time(24 * HOUR_SECONDS)
            summary = (await scene.cycle_of("m")).summary
            assert (summary.outcome, summary.error) == ("incomplete", IN_DOUBT)
            assert (await scene.manifest("m")).needs_attention == IN_DOUBT
            assert await next_run_in(scene) == 60
            sandbox.replace_catalogue(small_catalogue(1, 2))
        async with running_service(tmp_path, sandbox, clock) as scene:
            assert await next_run_in(scene) == 5
            await clock.pass_time(HOUR_SECONDS)
            assert (await scene.cycle_of("m")).summary.outcome == "complete"


async def test_series_that_failed_bring_no_retry_of_the_cycle(tmp_path: Path) -> None:
    """Each has its own back-off."""
    wrong = Fault(kind=FaultKind.STATUS, status=500, endpoints=("getImage", "getSingleImage"))
    async with serve_sandbox(small_catalogue(1), faults=[wrong]) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m", "schedule: {every: 1d}", "download: {attempts: 1}")
        async with running_service(tmp_path, sandbox) as scene:
            assert (await scene.cycle_of("m")).failed == 1
            assert (await scene.manifest("m")).failed_cycles == 0
            assert await next_run_in(scene) > 23 * 60
