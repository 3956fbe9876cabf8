"""Traps of the library itself: what a dead run left behind proves nothing, and names of folders never collide or escape."""

from dataclasses import replace
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.sandbox import Catalogue, SandboxSeries, catalogue_of, generated_series
from tests.faults.scene import OWN_FOLDER, Scene, open_scene

pytestmark = pytest.mark.anyio


def tiny(seed: int, **attributes: object) -> SandboxSeries:
    """A series of two small images."""
    return replace(generated_series(seed=seed, images=2, rows=16, columns=16), **attributes)  # type: ignore[arg-type]


def downloads(scene: Scene) -> int:
    return scene.sandbox.count("getImage")


async def test_a_receipt_is_believed_without_its_store(tmp_path: Path) -> None:
    """Trap 31: killed between the rename and the store's word; nothing is downloaded again."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        for path in (scene.library / OWN_FOLDER).glob("state.db*"):
            path.unlink()
        before = downloads(scene)
        report = await scene.run()
        scene.assert_complete(report)
        assert (downloads(scene), report.received_bytes) == (before, 0)


@pytest.mark.parametrize("left", ["a receipt", "an image"])
async def test_a_folder_proves_nothing(tmp_path: Path, left: str) -> None:
    """Trap 31: a series' folder without its receipt, or without an image of it, is fetched again and replaced whole."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        folder, receipt = scene.receipts()[scene.victim]
        (folder / (receipt.images[0].name if left == "a receipt" else ".receipt.json")).unlink()
        for path in (scene.library / OWN_FOLDER).glob("state.db*"):
            path.unlink()
        before = downloads(scene)
        scene.assert_complete(await scene.run())
        assert downloads(scene) == before + 1


async def test_a_changed_image_is_no_longer_complete(tmp_path: Path) -> None:
    """Trap 31: a receipt whose image has another size is not believed once the store is gone."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run())
        folder, receipt = scene.receipts()[scene.victim]
        with (folder / receipt.images[0].name).open("ab") as image:
            image.write(b"x")
        for path in (scene.library / OWN_FOLDER).glob("state.db*"):
            path.unlink()
        scene.assert_complete(await scene.run())


async def test_what_a_dead_run_staged_is_not_believed(tmp_path: Path) -> None:
    """Trap 31: leftovers under staging are checked or removed, never taken for images."""
    async with open_scene(tmp_path) as scene:
        staged = scene.library / OWN_FOLDER / "staging" / scene.victim
        staged.mkdir(parents=True)
        for number in range(4):
            (staged / f"{number:08d}.part").write_bytes(b"half an image")
        (scene.library / OWN_FOLDER / "staging" / "stranger").mkdir()
        scene.assert_complete(await scene.run())


def twins() -> Catalogue:
    """Two series with one number, one description, and the same last five characters of their UIDs."""
    alike = {"series_number": 3, "series_description": "AXIAL"}
    return catalogue_of(
        [tiny(1, series_instance_uid="1.2.840.1.77777", **alike), tiny(2, series_instance_uid="1.2.840.2.77777", **alike)]
    )


@pytest.mark.parametrize("layout", ["classic", "descriptive", "idc", "flat", "{collection}/{series_instance_uid}"])
async def test_twins_do_not_share_a_folder(tmp_path: Path, layout: str) -> None:
    """Trap 34: the Data Retriever's descriptive names would overwrite one with the other."""
    async with open_scene(tmp_path, catalogue=twins()) as scene:
        report = await scene.run(options=RunOptions(layout=layout))
        scene.assert_complete(report)
        folders = {str(folder.relative_to(scene.library)) for folder, _ in scene.receipts().values()}
        assert len(folders) == 2
        told = f"1 series has a longer folder name, because another series has the shorter one: {max(folders, key=len)}"
        assert report.warnings == ((told,) if layout == "descriptive" else ())


@pytest.mark.parametrize("layout", ["classic", "descriptive", "idc"])
@pytest.mark.parametrize(
    "name", ["CON", "..", "../../up", "/etc", "a" * 300, "nul.txt", "dots.", " blank ", ".tciad", "C:\\x", "ä" * 200]
)
async def test_hostile_names_stay_in_the_library(tmp_path: Path, layout: str, name: str) -> None:
    """Trap 34: long, reserved, climbing and absolute names of collections, patients and series."""
    catalogue = catalogue_of([tiny(1, series_description=name), tiny(2)], collection=name, patient_id=name)
    async with open_scene(tmp_path, catalogue=catalogue) as scene:
        scene.assert_complete(await scene.run(options=RunOptions(layout=layout)))
        for folder, _ in scene.receipts().values():
            assert all(len(part.encode()) <= 255 for part in folder.relative_to(scene.library).parts)
            assert scene.library / OWN_FOLDER not in folder.parents
