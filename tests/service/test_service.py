"""The service from its folder to its libraries: schedules, changes of manifests, orders, pauses, draining."""

from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from downloader.errors import OrderError, PartDiedError, SettingsError, StoreLockedError
from downloader.library.state.pause import pause_library, resume_library
from downloader.model import SeriesState
from downloader.sandbox import EVERY, Fault, FaultKind, serve_sandbox
from downloader.service.port import CycleEnded, LiveKind, ManifestState, SeriesFilter, Service
from tests.fakes.clock import START_AT
from tests.faults.mounts import mounted, needs_mount
from tests.service.scene import (
    HOUR_SECONDS,
    TurnedClock,
    make_service,
    open_scene,
    running_service,
    small_catalogue,
    write_manifest,
)
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
ALL_REFUSED = Fault(kind=FaultKind.STATUS, status=500, endpoints=(EVERY,))


class Part:
    """A part that ends on request."""

    name = "test part"

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def run(self, service: Service) -> None:
        """Implements ServicePart."""
        await anyio.lowlevel.checkpoint()
        if self._error:
            raise self._error


async def run_another(root: Path, *parts: Part) -> None:
    """Another service of the same manifests, to its end."""
    send, receive = anyio.create_memory_object_stream[tuple[str, CycleEnded]](100)
    with send, receive:
        await make_service(root, TurnedClock(), send).run(parts)


async def test_a_manifest_runs_at_once_and_then_on_its_schedule(tmp_path: Path) -> None:
    """What is new in the archive comes with the next cycle, not before."""
    async with open_scene(tmp_path, 1, 2) as scene:
        ended = await scene.cycle_of("m")
        assert (ended.summary.outcome, ended.completed) == ("complete", 2)
        assert scene.stored() == scene.held()
        scene.sandbox.replace_catalogue(small_catalogue(1, 2, 3))
        await scene.clock.pass_time(6 * HOUR_SECONDS - 1)
        await scene.assert_idle()
        assert (await scene.manifest("m")).next_run_at == START_AT.replace(hour=18)
        await scene.clock.pass_time(1)
        assert (await scene.cycle_of("m")).completed == 1
        assert scene.stored() == scene.held()


async def test_a_restart_keeps_the_schedule(tmp_path: Path) -> None:
    """The time of the last cycle is in the store, and so is when one last succeeded."""
    clock = TurnedClock()
    async with serve_sandbox(small_catalogue(1)) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m")
        async with running_service(tmp_path, sandbox, clock) as scene:
            await scene.cycle_of("m")
        await clock.pass_time(HOUR_SECONDS)
        async with running_service(tmp_path, sandbox, clock) as scene:
            await scene.assert_idle()
            status = await scene.manifest("m")
            assert status.next_run_at == START_AT.replace(hour=18)
            assert status.last_success_at == START_AT
            assert (status.state, status.last_cycle is not None) == (ManifestState.IDLE, True)


async def test_a_manifest_without_schedule_runs_daily(tmp_path: Path) -> None:
    """And says so."""
    async with open_scene(tmp_path, 1, manifests={"m": ("name: m",)}) as scene:
        await scene.cycle_of("m")
        assert (await scene.manifest("m")).schedule == "every 1d"
        await scene.clock.pass_time(24 * HOUR_SECONDS)
        await scene.cycle_of("m")


async def test_manifests_are_noticed_when_they_come_change_break_and_go(tmp_path: Path) -> None:
    """A broken one leaves the last good one in force; a removed one is worked by no more, and its series stay."""
    async with open_scene(tmp_path, 1, 2, manifests={}) as scene:
        assert await scene.service.manifests() == []
        path = write_manifest(scene.folder, scene.sandbox.base_url, "late")
        await scene.look()
        await scene.cycle_of("late")
        good = path.read_text()
        path.write_text("version: 1\nselct: []\n")
        await scene.look()
        status = await scene.manifest("late")
        assert (status.in_force, status.state) == (True, ManifestState.IDLE)
        assert "did you mean 'select'?" in status.problem
        await scene.clock.pass_time(6 * HOUR_SECONDS)
        await scene.cycle_of("late")
        path.write_text(good.replace("6h", "12h"))
        await scene.look()
        status = await scene.manifest("late")
        assert (status.problem, status.schedule) == ("", "every 12h")
        await scene.assert_idle()
        path.unlink()
        await scene.look()
        assert await scene.service.manifests() == []
        await scene.clock.pass_time(48 * HOUR_SECONDS)
        await scene.assert_idle()
        assert scene.stored() == scene.held()


async def test_a_manifest_that_never_was_good_is_told_and_harms_nobody(tmp_path: Path) -> None:
    """The others run."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "bad.yaml").write_text("version: 1\n")
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        status = await scene.manifest("bad")
        assert (status.in_force, status.state) == (False, ManifestState.BROKEN)
        assert "select: is missing" in status.problem


async def test_a_manifest_that_wants_something_else_runs_at_once(tmp_path: Path) -> None:
    """Its running cycle is interrupted, and nothing is lost."""
    async with open_scene(tmp_path, 1, 2) as scene:
        await scene.cycle_of("m")
        one = next(iter(scene.held()))
        path = scene.folder / "m.yaml"
        path.write_text(path.read_text().replace('{collection: "*"}', f"{{series_instance_uid: {one}}}"))
        await scene.look()
        assert (await scene.cycle_of("m")).summary.outcome == "complete"
        assert (await scene.manifest("m")).tally.selected == 1
        assert scene.stored() == scene.held()


async def test_a_changed_manifest_interrupts_its_running_cycle(tmp_path: Path) -> None:
    """What was in flight is set back; the new cycle follows at once."""
    async with serve_sandbox(small_catalogue(1, 2), faults=[Fault(kind=FaultKind.STALL, times=2)]) as sandbox:
        path = write_manifest(tmp_path / "manifests", sandbox.base_url, "m")
        async with running_service(tmp_path, sandbox) as scene:
            await sandbox.wait_for_stall(2)
            assert (await scene.manifest("m")).state is ManifestState.RUNNING
            path.write_text(path.read_text() + "max_shrink: 50%\n")
            await scene.look()
            assert (await scene.cycle_of("m")).summary.outcome == "interrupted"
            assert (await scene.cycle_of("m")).summary.outcome == "complete"
            assert scene.stored() == scene.held()


async def test_a_folder_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    """As when a volume is not mounted for a moment."""
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        scene.folder.rename(tmp_path / "elsewhere")
        await scene.look()
        assert "cannot be read" in (await scene.service.status()).folder_problem
        assert (await scene.manifest("m")).in_force
        (tmp_path / "elsewhere").rename(scene.folder)
        await scene.look()
        assert (await scene.service.status()).folder_problem == ""


async def test_two_manifests_of_one_library_take_turns_and_those_of_two_do_not_wait(tmp_path: Path) -> None:
    """One store and one lock for each library."""
    manifests: dict[str, tuple[str, ...]] = {"a": (), "b": (), "c": ("output: {directory: other}",)}
    async with open_scene(tmp_path, 1, 2, manifests=manifests) as scene:
        ended = [await scene.ends.receive() for _ in range(3)]
        assert sorted(name for name, _ in ended) == ["a", "b", "c"]
        assert {end.summary.outcome for _, end in ended} == {"complete"}
        assert scene.stored() == scene.stored(tmp_path / "other") == scene.held()
        status = await scene.service.status()
        assert [Path(library.directory).name for library in status.libraries] == ["library", "other"]
        assert scene.sandbox.count("getImage") == 4, "b found what a had fetched"


async def test_an_archive_that_is_out_fails_the_cycle_and_the_retry_goes_on(tmp_path: Path) -> None:
    """The failure is reported, and the archive counts as out of reach until it answers again."""
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        scene.sandbox.faults.add(ALL_REFUSED)
        await scene.clock.pass_time(6 * HOUR_SECONDS)
        assert (await scene.cycle_of("m")).summary.outcome == "failed"
        status = await scene.service.status()
        assert (status.ready, status.archives[0].reachable) == (True, False)
        assert status.archives[0].problem
        scene.sandbox.faults.clear()
        await scene.clock.pass_time(300)
        assert (await scene.cycle_of("m")).summary.outcome == "complete"
        assert (await scene.service.status()).archives[0].reachable
        assert [record["outcome"] for record in scene.records("runs")] == ["complete", "failed", "complete"]


async def test_failed_series_rest_and_come_again(tmp_path: Path) -> None:
    """An order to retry overrules the rest."""
    async with open_scene(tmp_path, 1, 2, manifests={"m": ("schedule: {every: 30m}",)}) as scene:
        victim = min(scene.held())
        await scene.cycle_of("m")
        scene.sandbox.replace_catalogue(small_catalogue(1, 2, images=3))
        scene.sandbox.faults.add(replace(ALL_REFUSED, endpoints=("getImage", "getSingleImage"), series_instance_uid=victim))
        await scene.clock.pass_time(HOUR_SECONDS / 2)
        assert (await scene.cycle_of("m")).failed == 1
        asked = scene.sandbox.count("getImage", series_instance_uid=victim)
        (failed,) = (await scene.service.series(SeriesFilter(state=SeriesState.FAILED))).series
        assert (failed.stored.series.series_instance_uid, failed.stored.error) == (victim, "ArchiveFaultError")
        await scene.clock.pass_time(1)
        await scene.service.start("m")
        assert (await scene.cycle_of("m")).failed == 1
        assert scene.sandbox.count("getImage", series_instance_uid=victim) == asked, "it rests"
        scene.sandbox.faults.clear()
        assert await scene.service.retry(series_instance_uid=victim) == 1
        assert (await scene.cycle_of("m")).summary.outcome == "complete"


async def test_orders_about_what_does_not_exist_are_refused(tmp_path: Path) -> None:
    """With a suggestion where there is one."""
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        service: Service = scene.service
        with pytest.raises(OrderError, match="no manifest 'M' is active"):
            await service.start("M")
        with pytest.raises(OrderError, match="has not failed"):
            await service.retry(series_instance_uid="1.2.3")
        with pytest.raises(OrderError):
            await service.series(SeriesFilter(manifest="other"))
        with pytest.raises(OrderError, match="is not the end of a page"):
            await service.series(SeriesFilter(), after="x")
        assert await service.retry() == 0


async def test_a_pause_holds_over_a_restart_until_it_is_resumed(tmp_path: Path) -> None:
    """Nothing is asked of the archive meanwhile."""
    clock = TurnedClock()
    async with serve_sandbox(small_catalogue(1)) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m")
        async with running_service(tmp_path, sandbox, clock) as scene:
            await scene.cycle_of("m")
            await scene.service.pause()
        asked = len(sandbox.requests)
        async with running_service(tmp_path, sandbox, clock) as scene:
            assert (await scene.service.status()).paused
            assert (await scene.manifest("m")).state is ManifestState.PAUSED
            await clock.pass_time(24 * HOUR_SECONDS)
            await scene.service.start("m")
            await scene.assert_idle()
            assert len(sandbox.requests) == asked
            await scene.service.resume()
            await scene.cycle_of("m")
            assert not (await scene.service.status()).paused


async def test_the_switch_in_the_library_is_noticed(tmp_path: Path) -> None:
    """`tciad pause` and `tciad resume` need no HTTP."""
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        assert pause_library(scene.library, START_AT)
        assert not pause_library(scene.library, START_AT)
        await scene.clock.pass_time(6 * HOUR_SECONDS)
        await scene.assert_idle()
        assert (await scene.service.status()).libraries[0].paused
        assert resume_library(scene.library)
        assert not resume_library(scene.library)
        await scene.clock.pass_time(5 * HOUR_SECONDS)
        await scene.cycle_of("m")


async def test_a_pause_in_mid_cycle_lets_what_is_in_flight_end(tmp_path: Path) -> None:
    """And claims nothing more until it is resumed."""
    faults = [Fault(kind=FaultKind.STALL, times=1)]
    manifest = ("download: {concurrency: 1}",)
    async with serve_sandbox(small_catalogue(1, 2, 3), faults=faults) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m", *manifest)
        async with running_service(tmp_path, sandbox) as scene:
            await sandbox.wait_for_stall()
            (active,) = scene.service.progress()["m"].active
            assert active.series_instance_uid in scene.held()
            await scene.service.pause()
            with scene.service.subscribe() as events:
                sandbox.release()
                async for event in events:
                    if event.kind is LiveKind.SERIES_COMPLETED:
                        break
            await anyio.wait_all_tasks_blocked()
            assert len(scene.stored()) == 1
            assert sandbox.count("getImage") == 1
            await scene.service.resume()
            assert (await scene.cycle_of("m")).completed == 3


async def test_a_drain_lets_what_is_in_flight_end(tmp_path: Path) -> None:
    """Nothing more is begun; the next start goes on at once, whatever the schedule says."""
    clock = TurnedClock()
    faults = [Fault(kind=FaultKind.STALL, times=1)]
    async with serve_sandbox(small_catalogue(1, 2, 3), faults=faults) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m", "download: {concurrency: 1}")
        async with running_service(tmp_path, sandbox, clock) as scene:
            await sandbox.wait_for_stall()
            async with anyio.create_task_group() as group:
                group.start_soon(scene.service.drain, 30)
                await anyio.wait_all_tasks_blocked()
                assert (await scene.service.status()).draining
                sandbox.release()
            ended = await scene.cycle_of("m")
            assert (ended.summary.outcome, ended.completed) == ("interrupted", 1)
        assert len(scene.stored()) == 1
        async with running_service(tmp_path, sandbox, clock) as scene:
            assert (await scene.cycle_of("m")).completed == 2


async def test_a_drain_loses_patience_after_its_grace(tmp_path: Path) -> None:
    """What is still in flight is set back without losing an attempt."""
    faults = [Fault(kind=FaultKind.STALL)]
    async with serve_sandbox(small_catalogue(1, 2), faults=faults) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m")
        async with running_service(tmp_path, sandbox) as scene:
            await sandbox.wait_for_stall(2)
            async with anyio.create_task_group() as group:
                group.start_soon(scene.service.drain, 30)
                await anyio.wait_all_tasks_blocked()
                await scene.clock.pass_time(30)
            assert (await scene.cycle_of("m")).summary.outcome == "interrupted"
        (run,) = scene.records("runs")
        assert (run["outcome"], run["series"]["pending"]) == ("interrupted", 2)


async def test_the_grace_of_a_drain_begins_with_the_signal(tmp_path: Path) -> None:
    """Not after a look at the folder that hangs, as on a network file system; it ends once the look does."""
    faults = [Fault(kind=FaultKind.STALL)]
    async with serve_sandbox(small_catalogue(1), faults=faults) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m")
        async with running_service(tmp_path, sandbox) as scene:
            await sandbox.wait_for_stall()
            async with anyio.create_task_group() as group, scene.service._looking:
                group.start_soon(scene.service.drain, 30)
                await anyio.wait_all_tasks_blocked()
                assert (await scene.service.status()).draining
                await scene.clock.pass_time(30)
                assert (await scene.cycle_of("m")).summary.outcome == "interrupted"


@needs_mount
async def test_a_full_disk_waits_for_room_and_goes_on_by_itself(tmp_path: Path) -> None:
    """The cycle does not fail: the status reports that space is short."""
    (tmp_path / "library").mkdir()
    with mounted(tmp_path / "library", size="20m"):
        filler = tmp_path / "library" / "filler"
        async with serve_sandbox(small_catalogue(1, 2)) as sandbox:
            # on this clock waiting costs nothing, so that the store writes all the time: its log needs room up to a checkpoint
            write_manifest(tmp_path / "manifests", sandbox.base_url, "m", "download: {concurrency: 1, min_free_space: 10MB}")
            filler.write_bytes(bytes(11_000_000))
            async with running_service(tmp_path, sandbox) as scene:
                with anyio.fail_after(LONGEST_WAIT_SECONDS):
                    while not (await scene.service.status()).libraries[0].short_of_room:
                        await anyio.lowlevel.checkpoint()
                assert scene.stored() == set()
                filler.unlink()
                ended = await scene.cycle_of("m")
                assert (ended.summary.outcome, ended.completed) == ("complete", 2)
                assert not (await scene.service.status()).libraries[0].short_of_room


async def test_a_library_that_another_process_holds_ends_the_start(tmp_path: Path) -> None:
    """The one who started it sees why."""
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        with pytest.raises(StoreLockedError, match="another run"):
            await run_another(tmp_path)


async def test_a_library_that_cannot_be_used_later_is_told_and_tried_again(tmp_path: Path) -> None:
    """The others go on."""
    async with open_scene(tmp_path, 1) as scene:
        await scene.cycle_of("m")
        (tmp_path / "blocked").write_text("a file where the library is to be")
        write_manifest(scene.folder, scene.sandbox.base_url, "n", "output: {directory: blocked}")
        await scene.look()
        blocked, library = (await scene.service.status()).libraries
        assert ("not a directory" in blocked.problem, blocked.usable, library.usable) == (True, False, True)
        (tmp_path / "blocked").unlink()
        await scene.clock.pass_time(HOUR_SECONDS)
        await scene.cycle_of("n")
        assert (await scene.service.status()).ready


@pytest.mark.parametrize(
    ("error", "raised", "says"),
    [
        (None, PartDiedError, "the test part of the service ended before the service did"),
        (ValueError("secret"), PartDiedError, "the test part of the service failed: ValueError"),
        (SettingsError("cannot listen"), SettingsError, "cannot listen"),
    ],
)
async def test_the_death_of_any_part_ends_the_service_with_the_reason(
    tmp_path: Path, error: Exception | None, raised: type[Exception], says: str
) -> None:
    """Never silence."""
    async with serve_sandbox(small_catalogue(1)) as sandbox:
        write_manifest(tmp_path / "manifests", sandbox.base_url, "m")
        with pytest.raises(raised, match=says):
            await run_another(tmp_path, Part(error))


async def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anything is opened."""
    (tmp_path / "manifests").write_text("")
    with pytest.raises(SettingsError, match="is not a folder"):
        await run_another(tmp_path)


@pytest.mark.parametrize("has_mount_point", [False, True])
async def test_a_library_whose_disk_goes_is_unusable_until_it_is_back(tmp_path: Path, has_mount_point: bool) -> None:
    """It is reported at once, and nothing is written below the mount point: no cycle begins, and no new library is made there."""
    async with open_scene(tmp_path, 1, 2) as scene:
        await scene.cycle_of("m")
        disk = tmp_path / "disk"
        scene.library.rename(disk)
        if has_mount_point:
            scene.library.mkdir()

        (library,) = (await scene.service.status()).libraries
        assert not library.usable
        assert "is no longer the library: its marker is missing; mount the disk" in library.problem

        await scene.clock.pass_time(12 * HOUR_SECONDS)
        await scene.assert_idle()
        assert list(scene.library.rglob("*")) == []
        assert not (await scene.service.status()).libraries[0].usable

        if scene.library.exists():
            scene.library.rmdir()
        disk.rename(scene.library)
        await scene.clock.pass_time(2 * HOUR_SECONDS)
        assert (await scene.cycle_of("m")).summary.outcome == "complete"
        assert (await scene.service.status()).libraries[0].usable
