"""A run has looked for what it counts as complete: folders that are gone are fetched again, a library that is gone is not."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from downloader.clock import Clock
from downloader.config.options import RunOptions
from downloader.engine.maintenance import rebuild_store, relayout_library
from downloader.engine.mirror import open_mirror
from downloader.errors import LibraryError, WrongLibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.local.moving import MOVING_MARK
from downloader.mirroring.presence import FEWEST_OF_A_WHOLE, PresenceCheck
from downloader.model import Receipt
from downloader.results.run import Outcome
from downloader.sandbox import catalogue_of, generated_series
from downloader.ui.counting import SilentCount
from downloader.ui.progress import SilentProgress
from downloader.ui.run import render_run
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.faults.scene import OWN_FOLDER, Scene, open_scene
from tests.store.examples import receipt, series

pytestmark = pytest.mark.anyio


def downloads(scene: Scene) -> int:
    return scene.sandbox.count("getImage")


async def test_a_folder_that_was_removed_by_hand_is_fetched_again(tmp_path: Path) -> None:
    """In the same run, and the report says which series it was; the next run finds nothing to do."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        folder, _ = scene.receipts()[scene.victim]
        shutil.rmtree(folder)
        report = await scene.run()
        scene.assert_complete(report)
        assert report.completed == 1
        assert report.as_json()["presence"] == {
            "complete": 2,
            "looked_at": 2,
            "missing": 1,
            "moved": 0,
            "first_missing": (scene.victim,),
            "unreadable": 0,
            "first_unreadable": (),
        }
        assert f"1 complete series are missing from the library and are fetched again: {scene.victim}" in (render_run(report))
        before = downloads(scene)
        report = await scene.run()
        scene.assert_complete(report)
        assert (downloads(scene), report.warnings) == (before, ())


@pytest.mark.parametrize("way", ["quarantined", "without its receipt", "in a removed collection"])
async def test_whatever_takes_a_series_away_is_found(tmp_path: Path, way: str) -> None:
    """Such as a repair that was killed after it had set the folder aside."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        folder, _ = scene.receipts()[scene.victim]
        if way == "quarantined":
            folder.rename(scene.library / OWN_FOLDER / "quarantine" / "aside")
        elif way == "without its receipt":
            (folder / ".receipt.json").unlink()
        else:
            shutil.rmtree(folder.parents[2])
        scene.assert_complete(await scene.run())


async def test_a_series_that_lies_elsewhere_is_not_downloaded(tmp_path: Path) -> None:
    """As after a copy of the store from before a move was put back: the store learns where its series are."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        state = scene.library / OWN_FOLDER / "state.db"
        shutil.copy(state, tmp_path / "library" / OWN_FOLDER / "copy.db")
        await relayout_library(RunOptions(output=scene.library, layout="flat"), SilentCount(), dry_run=False)
        for path in (scene.library / OWN_FOLDER).glob("state.db*"):
            path.unlink()
        (scene.library / OWN_FOLDER / "copy.db").rename(state)
        before = downloads(scene)
        report = await scene.run()
        scene.assert_complete(report)
        assert downloads(scene) == before
        assert report.presence is not None
        assert (report.presence.missing, report.presence.moved) == (0, 2)
        assert (await scene.run()).warnings == ()


async def test_a_library_without_any_of_its_series_is_refused(tmp_path: Path) -> None:
    """`rm -r library/*` leaves the marker: nothing is fetched again until the store says what is there."""
    many = catalogue_of([generated_series(seed=seed, images=1, rows=8, columns=8) for seed in range(FEWEST_OF_A_WHOLE)])
    async with open_scene(tmp_path, catalogue=many) as scene:
        scene.assert_complete(await scene.run())
        for path in scene.library.iterdir():
            if path.is_dir() and path.name != OWN_FOLDER:
                shutil.rmtree(path)
        before = downloads(scene)
        with pytest.raises(WrongLibraryError, match=r"none of the 10 series .* is in the library.*`tciad store rebuild`"):
            await scene.run()
        assert downloads(scene) == before

        await rebuild_store(RunOptions(output=scene.library), SilentCount())
        scene.assert_complete(await scene.run())


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDisk:
    """A library of many series on a file system where each look takes a second."""

    library: LocalLibrary
    store: MemoryStore
    receipts: tuple[Receipt, ...]
    root: Path
    clock: Clock

    def check(self, **settings: float) -> PresenceCheck:
        wanted = {"probed": 2, "sampled": 5, "longest_seconds": 3.0, **settings}
        library = self.library
        return PresenceCheck(finder=library.finder, index=library.index, store=self.store, clock=self.clock, **wanted)  # type: ignore[arg-type]


class SlowClock(FakeClock):
    """Each time it is asked, a second is gone."""

    def monotonic(self) -> float:
        self.elapsed_seconds += 1
        return self.elapsed_seconds


async def slow_disk(root: Path, count: int) -> SlowDisk:
    library, store = LocalLibrary(root), MemoryStore()
    receipts = tuple(receipt(series(number)) for number in range(count))
    number = await store.begin_resolve("m", FakeClock().now())
    await store.enqueue("m", number, "tcia", [one.series for one in receipts])
    await store.restore([(one, f"s/{index}") for index, one in enumerate(receipts)])
    for index in range(count):
        (root / "s" / str(index)).mkdir(parents=True)
        (root / "s" / str(index) / ".receipt.json").touch()
    return SlowDisk(library=library, store=store, receipts=receipts, root=root, clock=SlowClock())


async def test_a_slow_file_system_is_asked_for_a_sample_and_the_report_says_so(tmp_path: Path) -> None:
    """And with all the time in the world for everything."""
    disk = await slow_disk(tmp_path, 20)
    presence = await disk.check().look("m")
    assert (presence.complete, presence.looked_at, presence.missing) == (20, 5, 0)
    assert "of 20 complete series, 5 chosen at random were looked for" in presence.warnings()[0]
    assert (await disk.check(longest_seconds=100.0).look("m")).looked_at == 20


async def test_a_sample_that_misses_one_has_all_looked_for(tmp_path: Path) -> None:
    """So it finds each of those that are gone, and they are pending again."""
    disk = await slow_disk(tmp_path, 20)
    for index in range(16):
        shutil.rmtree(tmp_path / "s" / str(index))
    presence = await disk.check().look("m")
    assert (presence.looked_at, presence.missing) == (20, 16)
    assert (await disk.store.tally("m")).pending == 16


async def test_a_table_that_lists_fewer_series_has_all_looked_for(tmp_path: Path) -> None:
    """As where an older copy of the library was put in its place."""
    disk = await slow_disk(tmp_path, 20)
    (tmp_path / "metadata.csv").write_text("Series UID\r\n1.2.3\r\n")
    assert (await disk.check().look("m")).looked_at == 20


async def test_a_few_series_that_are_all_gone_are_fetched_again(tmp_path: Path) -> None:
    """Below the number that makes a library, people remove things on purpose."""
    disk = await slow_disk(tmp_path, FEWEST_OF_A_WHOLE - 1)
    shutil.rmtree(tmp_path / "s")
    check = replace(disk.check(), clock=FakeClock())
    assert (await check.look("m")).missing == FEWEST_OF_A_WHOLE - 1


async def test_a_series_on_its_way_to_another_layout_is_not_downloaded(tmp_path: Path) -> None:
    """A move into a folder of its own that was killed after the first of two renames."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run(options=RunOptions(attempts=3, layout="flat")))
        folder, _ = scene.receipts()[scene.victim]
        folder.rename(folder.with_name(f"{folder.name}{MOVING_MARK}"))
        before = downloads(scene)
        report = await scene.run()
        scene.assert_complete(report)
        assert downloads(scene) == before
        assert report.presence is not None
        assert (report.presence.missing, report.presence.moved) == (0, 1)


async def test_one_of_several_manifests_may_lose_all_its_series(tmp_path: Path) -> None:
    """Where those of another manifest are there, the library is: what was removed is fetched again."""
    disk = await slow_disk(tmp_path, FEWEST_OF_A_WHOLE)
    other = receipt(series(FEWEST_OF_A_WHOLE))
    await disk.store.enqueue("other", await disk.store.begin_resolve("other", FakeClock().now()), "tcia", [other.series])
    await disk.store.restore([(other, "other")])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".receipt.json").touch()
    shutil.rmtree(tmp_path / "s")
    assert (await disk.check().look("m")).missing == FEWEST_OF_A_WHOLE
    assert (await disk.store.tally("m")).pending == FEWEST_OF_A_WHOLE


async def test_manifests_that_are_gone_together_are_a_library_that_is_gone(tmp_path: Path) -> None:
    """Each of them alone has too few series to tell."""
    disk = await slow_disk(tmp_path, FEWEST_OF_A_WHOLE - 1)
    other = receipt(series(FEWEST_OF_A_WHOLE))
    await disk.store.enqueue("other", await disk.store.begin_resolve("other", FakeClock().now()), "tcia", [other.series])
    await disk.store.restore([(other, "other")])
    shutil.rmtree(tmp_path / "s")
    for manifest in ("m", "other"):
        with pytest.raises(WrongLibraryError, match="none of the 10 series"):
            await disk.check().look(manifest)


async def test_the_report_of_a_library_that_is_gone_counts_nothing_as_proven(tmp_path: Path) -> None:
    """Neither for people nor for programs: what the store counts was looked for, and is not there."""
    many = catalogue_of([generated_series(seed=seed, images=1, rows=8, columns=8) for seed in range(FEWEST_OF_A_WHOLE)])
    async with open_scene(tmp_path, catalogue=many) as scene:
        scene.assert_complete(await scene.run())
        for path in scene.library.iterdir():
            if path.is_dir() and path.name != OWN_FOLDER:
                shutil.rmtree(path)
        options = RunOptions(output=scene.library, min_free_bytes=0)
        async with open_mirror(scene.manifest(), options, SilentProgress(), scene.clock) as run:
            with pytest.raises(WrongLibraryError) as error:
                await run.run()
            report = await run.report_ended(Outcome.FAILED, error.value.exit_code, str(error.value))
        assert "0 series of 10 complete and proven: 0 images, 0 B" in render_run(report)
        document = report.as_json()
        assert (document["series"]["already_complete"], document["series"]["pending"]) == (0, 10)
        assert (document["images"], document["stored_bytes"], document["proof"]["all"]) == (0, 0, 0)


@pytest.mark.parametrize("way", ["a link to itself", "a name that the file system refuses"])
async def test_a_folder_that_cannot_be_looked_at_is_named_and_all_else_completes(tmp_path: Path, way: str) -> None:
    """As on a bad sector, or without the right to enter it: the run goes on, and is not complete."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        victim, _ = scene.receipts()[scene.victim]
        shutil.rmtree(scene.receipts()[scene.neighbour][0])
        if way == "a link to itself":
            unreadable, reason = str(victim.relative_to(scene.library)), "Too many levels of symbolic links"
            victim.rename(scene.library / OWN_FOLDER / "quarantine" / "aside")
            victim.symlink_to(victim.name)
        else:
            unreadable, reason = "x" * 300, "File name too long"
            with closing(sqlite3.connect(scene.library / OWN_FOLDER / "state.db")) as database:
                database.execute("UPDATE series SET folder = ? WHERE series_instance_uid = ?", (unreadable, scene.victim))
                database.commit()
        report = await scene.run()
        assert (report.outcome, report.exit_code, report.completed) == ("incomplete", 3, 1)
        assert scene.neighbour in scene.receipts()
        assert report.warnings[-1] == (
            "the folders of 1 complete series could not be read, so the run is incomplete; repair or remove them, "
            f"and run again: {unreadable}: {reason}"
        )
        assert "1 series of 2 complete and proven" in render_run(report)


async def test_a_place_of_the_layout_that_cannot_be_looked_at_is_no_missing_series(tmp_path: Path) -> None:
    """Where a series may lie, but that cannot be found out, it is not fetched again beside itself."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        victim, _ = scene.receipts()[scene.victim]
        victim.rename(scene.library / OWN_FOLDER / "quarantine" / "aside")
        victim.symlink_to(victim.name)
        with closing(sqlite3.connect(scene.library / OWN_FOLDER / "state.db")) as database:
            database.execute("UPDATE series SET folder = 'elsewhere' WHERE series_instance_uid = ?", (scene.victim,))
            database.commit()
        report = await scene.run()
        assert report.exit_code == 3
        assert report.presence is not None
        assert (report.presence.missing, report.presence.unreadable) == (0, 1)
        assert str(victim.relative_to(scene.library)) in report.presence.first_unreadable[0]


async def test_an_error_of_the_library_itself_ends_the_look(tmp_path: Path) -> None:
    """What is wrong with all of it is not wrong with a folder."""
    disk = await slow_disk(tmp_path / "library", 2)
    (tmp_path / "library").rename(tmp_path / "away")
    (tmp_path / "library").symlink_to("library")
    with pytest.raises(LibraryError, match="cannot be used"):
        await disk.check().look("m")
