"""Repairs: the good copy of a series is kept, whatever the archive does; a damaged one stays until something better is there."""

import json
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from downloader.config.options import RunOptions
from downloader.engine.maintenance import open_verification, rebuild_store
from downloader.library.changes import Change, ChangeKind
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.receipt import DOUBTED_NAME, RECEIPT_NAME
from downloader.maintenance.verification import FindingListeners
from downloader.manifest import ArchiveAddress
from downloader.model import SeriesState
from downloader.results.verification import VerificationReport
from downloader.sandbox import Fault, FaultKind, SandboxSeries, catalogue_of
from downloader.store.sqlite.store import open_store
from downloader.ui.counting import SilentCount
from downloader.ui.progress import SilentProgress
from tests.faults.scene import OWN_FOLDER, Scene, open_scene
from tests.faults.test_library_changes import cycle, folders_of, series, stored, uid, unfinished

pytestmark = pytest.mark.anyio
TWO = catalogue_of([series(1), series(2)])
REFUSED = Fault(kind=FaultKind.STATUS, status=403, endpoints=("getImage", "getSingleImage"))


async def verify(scene: Scene, *, repair: bool = False, deep: bool = False, known: bool = True) -> VerificationReport:
    """As `tciad verify`; `known`: a manifest says where the archive is."""
    options = RunOptions(output=scene.library, min_free_bytes=0, attempts=1)
    archives: Sequence[ArchiveAddress] = scene.manifest().archives if known else ()
    async with open_verification(options, archives, deep=deep, upstream=False, repair=repair) as verifier:
        report = await verifier.verify(SilentCount(), FindingListeners(finding=lambda _finding: None))
        return await verifier.fetch(report, SilentProgress())


async def assert_mended(scene: Scene, seed: int = 1) -> Path:
    """One folder, whole, which the store knows; verify has nothing to say. Returns the folder."""
    (folder,) = folders_of(scene, seed)
    assert (await verify(scene, deep=True)).outcome == "sound"
    row = await stored(scene, seed)
    assert (row.folder, unfinished(scene)) == (str(folder.relative_to(scene.library)), 0)
    return folder


def damage(folder: Path, harm: str = "flipped") -> None:
    """Make an image of the folder another one."""
    image = min(folder.glob("*.dcm"))
    content = bytearray(image.read_bytes())
    if harm == "gone":
        image.unlink()
        return
    content[-1] ^= 1
    image.write_bytes(content if harm == "flipped" else content[:-1])


def quarantined(scene: Scene) -> list[Path]:
    return sorted((scene.library / OWN_FOLDER / "quarantine").iterdir())


@pytest.mark.parametrize("where", ["a-copy", "z-copy"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "no receipt", "torn receipt"])
@pytest.mark.parametrize("archive", ["withdrew it", "refuses it", "unknown"])
async def test_the_good_copy_of_a_damaged_series_becomes_the_stores(tmp_path: Path, where: str, harm: str, archive: str) -> None:
    """In whatever order the folders are read, and although the series cannot be fetched again."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        shutil.copytree(folder, scene.library / where)
        if harm.endswith("receipt"):
            (folder / RECEIPT_NAME).unlink()
            if harm == "torn receipt":
                (folder / RECEIPT_NAME).write_text("{")
        else:
            damage(folder, harm)
        if archive == "withdrew it":
            scene.sandbox.replace_catalogue(catalogue_of([series(2)]))
            await cycle(scene)
        scene.sandbox.faults.add(REFUSED)
        downloads = scene.sandbox.count("getImage")
        report = await verify(scene, repair=True, deep=True, known=archive != "unknown")
        assert report.outcome == "mended", report.repair
        assert scene.sandbox.count("getImage") == downloads
        assert await assert_mended(scene) == scene.library / where
        (aside,) = quarantined(scene)
        assert len(list(aside.glob("*.dcm"))) == 2 - (harm == "gone")
        assert (await stored(scene, 1)).state is (SeriesState.WITHDRAWN if archive == "withdrew it" else SeriesState.COMPLETE)


async def test_rot_that_only_reading_finds_costs_no_good_copy(tmp_path: Path) -> None:
    """Before one of two copies is set aside, the other is read, also without --deep."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        shutil.copytree(folder, scene.library / "copy")
        damage(folder)
        scene.sandbox.faults.add(REFUSED)
        assert (await verify(scene, repair=True)).outcome == "mended"
        assert await assert_mended(scene) == scene.library / "copy"


async def test_of_two_good_copies_the_one_in_the_place_of_the_layout_stays(tmp_path: Path) -> None:
    """Also where the store tells of the other."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        shutil.copytree(folder, scene.library / "copy")
        async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
            await store.relocate([(uid(1), "copy")])
        assert (await verify(scene, repair=True)).outcome == "mended"
        assert await assert_mended(scene) == folder


async def test_a_damaged_series_without_a_good_copy_is_replaced_in_its_place(tmp_path: Path) -> None:
    """The damaged images lie in quarantine afterwards, and not before."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        damage(folder)
        report = await verify(scene, repair=True, deep=True)
        assert (report.outcome, report.repair and report.repair.fetched) == ("mended", 1), report.repair
        assert await assert_mended(scene) == folder
        (aside,) = quarantined(scene)
        assert {path.name for path in aside.iterdir()} > {DOUBTED_NAME}
        assert report.repair is not None
        assert report.repair.quarantined == [str(aside.relative_to(scene.library))]


async def test_a_damaged_series_that_cannot_be_fetched_stays_and_is_not_complete(tmp_path: Path) -> None:
    """Not for the store, not for a run, not for a store that is rebuilt; once it can be had, it is mended."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        damage(folder)
        scene.sandbox.faults.add(REFUSED)
        report = await verify(scene, repair=True, deep=True)
        assert report.outcome == "unsound"
        assert len(list(folder.glob("*.dcm"))) == 2
        assert quarantined(scene) == []
        assert (await stored(scene, 1)).state is SeriesState.FAILED
        assert (await cycle(scene)).tally.complete == 1
        await rebuild_store(RunOptions(output=scene.library), SilentCount())
        assert (await cycle(scene)).tally.complete == 1
        scene.sandbox.faults.clear()
        report_of_run = await cycle(scene)
        assert (report_of_run.tally.complete, report_of_run.exit_code) == (2, 0)
        assert await assert_mended(scene) == folder


async def test_all_copies_are_damaged(tmp_path: Path) -> None:
    """One is replaced, and the others go aside once it is."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        shutil.copytree(folder, scene.library / "copy")
        damage(folder)
        damage(scene.library / "copy", "cut")
        assert (await verify(scene, repair=True)).outcome == "mended"
        assert await assert_mended(scene) == folder
        assert len(quarantined(scene)) == 2


@pytest.mark.parametrize("step", ["written down", "receipt aside", "store told"])
async def test_a_repair_that_was_killed_leaves_nothing_that_a_run_believes(tmp_path: Path, step: str) -> None:
    """Whichever step it died after: the run does not call the damaged series complete, it fetches it."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        damage(folder)
        place = PurePosixPath(folder.relative_to(scene.library))
        ChangeJournal(scene.library).begin([Change(kind=ChangeKind.DOUBT, series_instance_uid=uid(1), folder=place)])
        if step != "written down":
            (folder / RECEIPT_NAME).rename(folder / DOUBTED_NAME)
        if step == "store told":
            async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
                await store.reopen([uid(1)], message="damaged")
        scene.sandbox.faults.add(REFUSED)
        assert (await cycle(scene)).tally.complete == 1
        scene.sandbox.faults.clear()
        assert (await cycle(scene)).exit_code == 0
        assert await assert_mended(scene) == folder
        assert len(quarantined(scene)) == 1


@pytest.mark.parametrize("told", [False, True])
async def test_a_repair_that_was_killed_between_the_good_copy_and_the_damaged_one(tmp_path: Path, told: bool) -> None:
    """The next start goes on where it was: the store knows the good one, and the damaged one is aside."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        await cycle(scene)
        (folder,) = folders_of(scene, 1)
        shutil.copytree(folder, scene.library / "copy")
        damage(folder, "gone")
        aside = scene.library / OWN_FOLDER / "quarantine" / "q"
        aside.mkdir()
        change = Change(
            kind=ChangeKind.QUARANTINE,
            series_instance_uid=uid(1),
            folder=PurePosixPath(folder.relative_to(scene.library)),
            targets=(PurePosixPath(aside.relative_to(scene.library)),),
            keeper=PurePosixPath("copy"),
        )
        ChangeJournal(scene.library).begin([change])
        if told:
            async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
                await store.relocate([(uid(1), "copy")])
        assert (await cycle(scene)).exit_code == 0
        assert await assert_mended(scene) == scene.library / "copy"


def make_older(folder: Path) -> None:
    """As if the series had been proven a day earlier."""
    document = json.loads((folder / RECEIPT_NAME).read_bytes())
    earlier = datetime.fromisoformat(document["completed_at"]) - timedelta(days=1)
    (folder / RECEIPT_NAME).write_text(json.dumps(document | {"completed_at": earlier.isoformat()}))


async def nest(scene: Scene, newer: SandboxSeries) -> tuple[Path, Path]:
    """A library in which a newer version lies in the folder of an older one, as an earlier tciad made it of two layouts."""
    await cycle(scene)
    (outer,) = folders_of(scene, 1)
    older = shutil.copytree(outer, scene.root / "older")
    scene.sandbox.replace_catalogue(catalogue_of([newer, series(2)]))
    await cycle(scene)
    shutil.move(outer, scene.root / "newer")
    older.rename(outer)
    make_older(outer)
    inner = outer / "CT"
    shutil.move(scene.root / "newer", inner)
    async with open_store(scene.library / OWN_FOLDER / "state.db") as store:
        await store.relocate([(uid(1), str(inner.relative_to(scene.library)))])
    return outer, inner


@pytest.mark.parametrize("lost", [False, True])
async def test_a_version_in_the_folder_of_an_older_one_is_kept(tmp_path: Path, lost: bool) -> None:
    """By a repair, and by a rebuild that knows nothing but receipts; the older one goes aside."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        outer, inner = await nest(scene, series(1, 3))
        if lost:
            await rebuild_store(RunOptions(output=scene.library), SilentCount())
            assert (await stored(scene, 1)).folder == str(inner.relative_to(scene.library))
        report = await verify(scene, repair=True)
        assert report.outcome == "mended", report.repair
        assert await assert_mended(scene) == inner
        assert [path.name for path in outer.iterdir()] == ["CT"]
        assert len(list(inner.glob("*.dcm"))) == 3
        assert len(quarantined(scene)) == 1


async def test_a_rebuild_takes_the_newer_of_two_versions(tmp_path: Path) -> None:
    """Wherever it lies: the older one is in the place of the layout."""
    async with open_scene(tmp_path, catalogue=TWO) as scene:
        outer, inner = await nest(scene, series(1, 3))
        inner.rename(scene.library / "copy")
        assert len(folders_of(scene, 1)) == 2
        await rebuild_store(RunOptions(output=scene.library), SilentCount())
        assert (await stored(scene, 1)).folder == "copy"
        assert outer.is_dir()
