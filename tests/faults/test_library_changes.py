"""Changes of a library that died half-way, and what the next run makes of them, whatever the archive has done since."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from downloader.config.options import RunOptions
from downloader.engine.maintenance import relayout_library
from downloader.engine.mirror import open_mirror
from downloader.errors import SettingsError
from downloader.library.changes import Change, ChangeKind
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import DOUBTED_NAME, RECEIPT_NAME
from downloader.manifest import WithdrawnPolicy
from downloader.model import SeriesState
from downloader.results.run import RunReport
from downloader.sandbox import (
    Catalogue,
    Fault,
    FaultKind,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    catalogue_of,
    generated_series,
    study_of,
)
from downloader.store.records import StoredSeries
from downloader.store.sqlite.store import open_store
from downloader.ui.counting import SilentCount
from downloader.ui.progress import SilentProgress
from tests.faults.mounts import needs_mount, pinned
from tests.faults.scene import OWN_FOLDER, Scene, open_scene

pytestmark = pytest.mark.anyio


def series(seed: int, images: int = 2) -> SandboxSeries:
    """A series of a few kilobytes."""
    return generated_series(seed=seed, images=images, rows=16, columns=16)


def uid(seed: int) -> str:
    return series(seed).series_instance_uid


def named(patient_id: str, images: int) -> Catalogue:
    """The first series under this patient, and the second under another that stays."""
    patients = (
        SandboxPatient(patient_id=patient_id, studies=(study_of(series(1, images), seed=1),)),
        SandboxPatient(patient_id="other", studies=(study_of(series(2), seed=2),)),
    )
    return Catalogue(collections=(SandboxCollection(name="Sandbox", patients=patients),))


async def cycle(scene: Scene, policy: WithdrawnPolicy = WithdrawnPolicy.KEEP) -> RunReport:
    """One run of the manifest that takes whatever the archive lists."""
    manifest = replace(scene.manifest(), withdrawn=policy, withdrawn_grace_seconds=0)
    options = RunOptions(output=scene.library, min_free_bytes=0, minimum_bytes_per_second=0, attempts=2, max_shrink_percent=100.0)
    async with open_mirror(manifest, options, SilentProgress(), scene.clock) as run:
        report = await run.run()
    scene.clock.elapsed_seconds += 1
    return report


async def stored(scene: Scene, seed: int) -> StoredSeries:
    """What the store says of a series."""
    async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
        (row,) = await store.find_named([uid(seed)])
        return row


def folders_of(scene: Scene, seed: int) -> Sequence[Path]:
    """Every folder outside of `.tciad` whose receipt is of the series."""
    found = [path.parent for path in scene.library.rglob(RECEIPT_NAME) if scene.library / OWN_FOLDER not in path.parents]
    receipts = {path: json.loads((path / RECEIPT_NAME).read_bytes()) for path in found}
    return [path for path, receipt in receipts.items() if receipt["series"]["series_instance_uid"] == uid(seed)]


def unfinished(scene: Scene) -> int:
    """How many changes are under way."""
    return len(ChangeJournal(scene.library).unfinished())


async def leave_half_swapped(scene: Scene) -> tuple[Path, Path]:
    """A library whose first series was being replaced without an exchange: the older aside, the newer not yet in its place."""
    await cycle(scene)
    (target,) = folders_of(scene, 1)
    older = shutil.copytree(target, scene.root / "older")
    scene.sandbox.replace_catalogue(catalogue_of([series(1, 3), series(2)]))
    await cycle(scene)
    staging = scene.library / OWN_FOLDER / "staging"
    newer = target.rename(staging / uid(1))
    return newer, older.rename(staging / "replaced-1")


async def test_a_swap_that_was_killed_half_way_is_finished_although_the_archive_withdrew_the_series(tmp_path: Path) -> None:
    """Neither the older nor the newer version is lost: the newer one lies in its place."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1), series(2)])) as scene:
        await cycle(scene)
        (target,) = folders_of(scene, 1)
        newer, older = await leave_half_swapped(scene)
        receipt = json.loads((newer / RECEIPT_NAME).read_bytes())
        relative = [PurePosixPath(path.relative_to(scene.library)) for path in (target, older, newer)]
        change = Change(
            kind=ChangeKind.REPLACE,
            series_instance_uid=uid(1),
            folder=relative[0],
            targets=(relative[1],),
            keeper=relative[2],
            completed_at=scene.clock.now().fromisoformat(receipt["completed_at"]),
        )
        ChangeJournal(scene.library).begin([change])
        scene.sandbox.replace_catalogue(catalogue_of([series(2)]))
        report = await cycle(scene)
        assert (report.outcome, report.tally.withdrawn) == ("complete", 1)
        assert folders_of(scene, 1) == [target]
        assert len(list(target.glob("*.dcm"))) == 3
        assert unfinished(scene) == 0
        scene.assert_nothing_staged()


async def test_what_a_swap_without_a_record_left_is_not_deleted(tmp_path: Path) -> None:
    """As an earlier tciad left it: a whole version that is nowhere else comes back, though the archive withdrew the series."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1), series(2)])) as scene:
        await cycle(scene)
        (target,) = folders_of(scene, 1)
        target.rename(scene.library / OWN_FOLDER / "staging" / f"{uid(1)}.old")
        scene.sandbox.replace_catalogue(catalogue_of([series(2)]))
        await cycle(scene)
        assert folders_of(scene, 1) == [target]
        assert (await stored(scene, 1)).state is SeriesState.WITHDRAWN
        scene.assert_nothing_staged()


async def test_a_whole_series_that_nothing_wants_is_kept_in_quarantine(tmp_path: Path) -> None:
    """It was proven, killed before its rename, and withdrawn before the next start."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1), series(2)])) as scene:
        await cycle(scene)
        (target,) = folders_of(scene, 1)
        target.rename(scene.library / OWN_FOLDER / "staging" / "left")
        for path in (scene.library / OWN_FOLDER).glob("state.db*"):
            path.unlink()
        scene.sandbox.replace_catalogue(catalogue_of([series(2)]))
        await cycle(scene)
        (aside,) = (scene.library / OWN_FOLDER / "quarantine").iterdir()
        assert len(list(aside.glob("*.dcm"))) == 2
        scene.assert_nothing_staged()


async def test_a_whole_series_in_staging_whose_place_is_taken_is_kept_in_quarantine(tmp_path: Path) -> None:
    """The next start goes on with all others; what lies in the place stays."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1), series(2)])) as scene:
        await cycle(scene)
        (target,) = folders_of(scene, 1)
        target.rename(scene.library / OWN_FOLDER / "staging" / f"{uid(1)}.old")
        (target / "mine").mkdir(parents=True)
        scene.sandbox.replace_catalogue(catalogue_of([series(2)]))
        await cycle(scene)
        (aside,) = (scene.library / OWN_FOLDER / "quarantine").iterdir()
        assert len(list(aside.glob("*.dcm"))) == 2
        assert (target / "mine").is_dir()
        scene.assert_nothing_staged()


@pytest.mark.parametrize("then", ["the same", "withdrawn", "another name"])
async def test_a_former_folder_goes_at_the_next_start(tmp_path: Path, then: str) -> None:
    """Killed after the newer version came into its new place, before the older went: one folder stays, and the store knows it."""
    async with open_scene(tmp_path, catalogue=named("before", 2)) as scene:
        await cycle(scene)
        (former,) = folders_of(scene, 1)
        copy = shutil.copytree(former, scene.root / "copy")
        before = await stored(scene, 1)
        scene.sandbox.replace_catalogue(named("after", 3))
        await cycle(scene)
        (newer,) = folders_of(scene, 1)
        # as before the store learned of it, and with the record of the clearing
        former.parent.mkdir(parents=True)
        copy.rename(former)
        async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
            await store.relocate([(uid(1), before.folder)])
        change = Change(
            kind=ChangeKind.CLEAR,
            series_instance_uid=uid(1),
            folder=PurePosixPath(before.folder),
            keeper=PurePosixPath(newer.relative_to(scene.library)),
        )
        ChangeJournal(scene.library).begin([change])
        catalogues = {"the same": named("after", 3), "withdrawn": catalogue_of([series(2)]), "another name": named("third", 4)}
        scene.sandbox.replace_catalogue(catalogues[then])
        await cycle(scene)
        (lies,) = folders_of(scene, 1)
        assert (await stored(scene, 1)).folder == str(lies.relative_to(scene.library))
        assert unfinished(scene) == 0


@needs_mount
async def test_a_former_folder_that_cannot_go_now_goes_at_a_later_start(tmp_path: Path) -> None:
    """The run completes the series, and leaves the record of the clearing to the next one."""
    async with open_scene(tmp_path, catalogue=named("before", 2)) as scene:
        await cycle(scene)
        (former,) = folders_of(scene, 1)
        scene.sandbox.replace_catalogue(named("after", 3))
        with pinned(former):
            scene.assert_complete(await cycle(scene))
            assert len(folders_of(scene, 1)) == 2
            assert unfinished(scene) == 1
        await cycle(scene)
        (lies,) = folders_of(scene, 1)
        assert lies != former
        assert unfinished(scene) == 0


async def test_one_change_that_cannot_be_finished_harms_no_other(tmp_path: Path) -> None:
    """Of two receipts that were to be set aside one cannot be: the other's series is fetched once, not at every start."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1), series(2)])) as scene:
        await cycle(scene)
        (blocked,) = folders_of(scene, 2)
        (blocked / DOUBTED_NAME).mkdir()
        (blocked / DOUBTED_NAME / "notes").touch()
        folders = {seed: PurePosixPath(folders_of(scene, seed)[0].relative_to(scene.library)) for seed in (1, 2)}
        changes = LocalLibrary(scene.library).changes
        await changes.begin([await changes.plan_doubt(folders[seed], uid(seed)) for seed in (1, 2)])
        downloads = scene.sandbox.count("getImage")
        for _ in range(3):
            scene.assert_complete(await cycle(scene))
        assert scene.sandbox.count("getImage") == downloads + 1
        (record,) = ChangeJournal(scene.library).unfinished()
        assert [change.folder for change in record.changes] == [folders[2]]
        shutil.rmtree(blocked / DOUBTED_NAME)
        scene.assert_complete(await cycle(scene))
        assert scene.sandbox.count("getImage") == downloads + 2
        assert unfinished(scene) == 0


async def test_a_copy_that_came_elsewhere_is_not_forgotten_for_a_change_of_before(tmp_path: Path) -> None:
    """A move and a doubt that could be finished only now: the store keeps the whole copy that it has learnt of since."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1), series(2)])) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        for name in ("moved", "doubted"):
            shutil.copytree(folder, scene.library / name)
        changes, doubted = LocalLibrary(scene.library).changes, PurePosixPath("doubted")
        at = json.loads((folder / RECEIPT_NAME).read_bytes())["completed_at"]
        move = Change(
            kind=ChangeKind.MOVE,
            series_instance_uid=uid(1),
            folder=PurePosixPath("former"),
            targets=(PurePosixPath("moved"),),
            completed_at=scene.clock.now().fromisoformat(at),
        )
        await changes.begin([move, await changes.plan_doubt(doubted, uid(1))])
        downloads = scene.sandbox.count("getImage")
        await cycle(scene)
        assert (await stored(scene, 1)).folder == str(folder.relative_to(scene.library))
        assert (scene.sandbox.count("getImage"), unfinished(scene)) == (downloads, 0)


async def test_a_fetch_that_fails_leaves_the_former_folder_and_no_record(tmp_path: Path) -> None:
    """Nothing came into the new place, so nothing is cleared, then or later."""
    async with open_scene(tmp_path, catalogue=named("before", 2)) as scene:
        await cycle(scene)
        (former,) = folders_of(scene, 1)
        scene.sandbox.replace_catalogue(named("after", 3))
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=500, endpoints=("getImage", "getSingleImage")))
        await cycle(scene)
        assert folders_of(scene, 1) == [former]
        assert unfinished(scene) == 0


@pytest.mark.parametrize("policy", [WithdrawnPolicy.QUARANTINE, WithdrawnPolicy.DELETE])
@pytest.mark.parametrize("happened", [True, False])
async def test_a_withdrawn_series_that_was_being_removed_and_comes_back(
    tmp_path: Path, policy: WithdrawnPolicy, happened: bool
) -> None:
    """Killed before or after its folder went: it is undone, or told to the store; what the archive lists again is complete."""
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1), series(2)])) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        scene.sandbox.replace_catalogue(catalogue_of([series(2)]))
        await cycle(scene)
        aside = scene.library / OWN_FOLDER / ("quarantine/q" if policy is WithdrawnPolicy.QUARANTINE else "staging/removed-1")
        change = Change(
            kind=ChangeKind.QUARANTINE if policy is WithdrawnPolicy.QUARANTINE else ChangeKind.DELETE,
            series_instance_uid=uid(1),
            folder=PurePosixPath(folder.relative_to(scene.library)),
            targets=(PurePosixPath(aside.relative_to(scene.library)),),
        )
        ChangeJournal(scene.library).begin([change])
        if happened:
            folder.rename(aside)
        scene.sandbox.replace_catalogue(catalogue_of([series(1), series(2)]))
        downloads = scene.sandbox.count("getImage")
        report = await cycle(scene, policy)
        scene.assert_complete(report)
        assert scene.sandbox.count("getImage") - downloads == int(happened)
        assert len(list((scene.library / OWN_FOLDER / "quarantine").iterdir())) == int(happened and "quarantine" in aside.parts)


async def test_parts_of_a_series_that_was_withdrawn_go_within_the_run(tmp_path: Path) -> None:
    """It was never complete, and is not listed any more: the run that ends complete leaves nothing in staging."""
    large = generated_series(seed=1, images=8, rows=64, columns=64)
    stalled = Fault(kind=FaultKind.CUT, at_bytes=8_000, series_instance_uid=uid(1))
    refused = Fault(kind=FaultKind.STATUS, status=500, endpoints=("getSingleImage",))
    async with open_scene(tmp_path, stalled, refused, catalogue=catalogue_of([large, series(2)])) as scene:
        await cycle(scene)
        assert list((scene.library / OWN_FOLDER / "staging").iterdir()) != []
        scene.sandbox.replace_catalogue(catalogue_of([series(2)]))
        report = await cycle(scene)
        assert (report.outcome, report.tally.withdrawn) == ("complete", 1)
        scene.assert_nothing_staged()


async def test_a_layout_that_nests_with_that_of_the_library_is_refused(tmp_path: Path) -> None:
    """Before anything is fetched, with what to do; a library without series takes any layout."""
    short, long = "{collection}/{series_instance_uid}", "{collection}/{series_instance_uid}/{modality}"
    async with open_scene(tmp_path, catalogue=catalogue_of([series(1)])) as scene:
        await scene.run(options=RunOptions(layout=short, attempts=1))
        scene.sandbox.replace_catalogue(catalogue_of([series(1, 3), series(2)]))
        with pytest.raises(SettingsError, match=r"would put series into folders of other series.+tciad relayout"):
            await scene.run(options=RunOptions(layout=long, attempts=1))
        await relayout_library(RunOptions(output=scene.library, layout=long), SilentCount(), dry_run=False)
        scene.assert_complete(await scene.run(options=RunOptions(layout=long, attempts=1)))
        assert {path.parent.name for seed in (1, 2) for path in folders_of(scene, seed)} == {uid(1), uid(2)}


async def test_what_lies_in_the_place_of_a_series_fails_that_series_alone(tmp_path: Path) -> None:
    """With a sentence that names the place; it is not touched, and the run goes on."""
    async with open_scene(tmp_path) as scene:
        await scene.run()
        folder, _ = scene.receipts()[scene.victim]
        shutil.rmtree(scene.library)
        (folder / "mine").mkdir(parents=True)
        report = await scene.run()
        (failure,) = report.failures
        assert failure.series_instance_uid == scene.victim
        assert f"{folder.relative_to(scene.library)} in the library is in the way" in failure.message
        assert "move it elsewhere" in failure.message
        assert report.tally.complete == 1
        assert (folder / "mine").is_dir()
        (folder / "mine").rmdir()
        folder.rmdir()
        assert (await scene.run()).tally.complete == 2
