"""Archives that do not answer: cycles wait for them, fail after an hour, and are tried again soon."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from downloader.pacing import BreakerState
from downloader.sandbox import EVERY, Fault, FaultKind, serve_sandbox
from downloader.service.port import ManifestState, RunPhase
from tests.service.scene import PROBE_PAUSES, ServiceScene, running_service, small_catalogue, write_manifest
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
OUT = Fault(kind=FaultKind.STATUS, status=500, endpoints=(EVERY,))


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
            assert (await scene.manifest("m")).state is ManifestState.RUNNING
            sandbox.faults.clear()
            await scene.clock.pass_time(15)
            ended = await scene.cycle_of("m")
            assert (ended.summary.outcome, ended.completed) == ("complete", 2)
            assert ended.summary.began_at < began_at
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
