"""From each layout to each other one: every series whole in its new place, and nothing of the old one left."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from downloader.errors import LibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.model import FolderMove
from downloader.model import Series
from tests.library.series_streams import SERIES, folders_of, members_of, move, place_for, receipts_of, store

pytestmark = pytest.mark.anyio

TWIN = replace(SERIES, series_instance_uid=f"2{SERIES.series_instance_uid}")
"""The same number, description and last five characters: one folder in the descriptive layout."""
OTHER = replace(SERIES, series_instance_uid="1.2.3.4", collection="RIDER", patient_id="R-1", license_name="CC0")
NEIGHBOUR = replace(SERIES, series_instance_uid="1.2.3.5", study_instance_uid="1.2.3")
"""The same patient in another study: the folder of the patient is left by the last of both."""
ALL = (SERIES, TWIN, OTHER, NEIGHBOUR)
TEMPLATES = (
    "classic",
    "descriptive",
    "idc",
    "flat",
    "{series_instance_uid}/images",
    "{patient_id}/{series_instance_uid}/a/b",
    "{collection_id}/{modality}-{series_instance_uid}",
)


def files_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".tciad" not in path.parts}


async def move_all(root: Path, layout: str) -> list[PurePosixPath]:
    """As `tciad relayout` does it, in one batch."""
    library = LocalLibrary(root, layout=layout)
    moves = [FolderMove(folder=folder, series=receipt.series) for folder, receipt in await receipts_of(library)]
    moved = await library.maintenance.move(moves)
    assert moved.failure is None
    await library.maintenance.move_papers(ALL)
    targets = zip(moves, moved.results, strict=True)
    return [target for one, target in targets if isinstance(target, PurePosixPath) and target != one.folder]


def fill(root: Path, layout: str, series: Sequence[Series] = ALL) -> None:
    library = LocalLibrary(root, layout=layout)
    for one in series:
        store(library, one)


@pytest.mark.parametrize("new", TEMPLATES)
@pytest.mark.parametrize("old", TEMPLATES)
async def test_a_moved_library_is_as_if_it_had_been_made_so(tmp_path: Path, old: str, new: str) -> None:
    """File by file, licences included; no empty folder stays, and a second time there is nothing to move."""
    fill(tmp_path / "made", new)
    fill(tmp_path / "moved", old)
    moved = await move_all(tmp_path / "moved", new)
    assert (len(moved) == 0) == (old == new)
    assert files_of(tmp_path / "moved") == files_of(tmp_path / "made")
    assert not [
        path
        for path in (tmp_path / "moved").rglob("*")
        if path.is_dir() and not any(path.iterdir()) and ".tciad" not in path.parts
    ]
    library = LocalLibrary(tmp_path / "moved", layout=new)
    for series in ALL:
        assert library.find_receipt(series) is not None
    assert await move_all(tmp_path / "moved", new) == []


async def test_who_has_a_longer_name_keeps_it(tmp_path: Path) -> None:
    """Also when the shorter one has become free: names do not change by themselves."""
    fill(tmp_path, "descriptive", (SERIES, TWIN))
    library = LocalLibrary(tmp_path, layout="descriptive")
    shutil.rmtree(tmp_path / library.folder_of(SERIES))
    assert await move_all(tmp_path, "descriptive") == []
    assert library.folder_of(TWIN).name.endswith(TWIN.series_instance_uid)


async def test_an_empty_folder_is_no_hindrance_and_anything_else_is(tmp_path: Path) -> None:
    """What somebody put there is not moved, not replaced and not removed."""
    fill(tmp_path, "classic", (SERIES,))
    library = LocalLibrary(tmp_path, layout="flat")
    folder = LocalLibrary(tmp_path).folder_of(SERIES)
    place = tmp_path / SERIES.series_instance_uid
    place.mkdir()
    (place / "note.txt").write_text("mine")
    with pytest.raises(LibraryError, match="in the way"):
        await place_for(library, folder, SERIES)
    (place / "note.txt").unlink()
    await move(library, folder, SERIES)
    assert library.find_receipt(SERIES) is not None


async def test_a_file_of_somebody_elses_keeps_its_folder(tmp_path: Path) -> None:
    """Only empty folders are removed."""
    fill(tmp_path, "classic", (SERIES,))
    (tmp_path / "LIDC-IDRI" / "note.txt").write_text("mine")
    await move_all(tmp_path, "idc")
    assert {path.name for path in (tmp_path / "LIDC-IDRI").iterdir()} == {"note.txt"}
    assert (tmp_path / "lidc_idri" / "LICENSE").exists()


async def test_a_licence_that_differs_from_the_one_that_is_there_stays(tmp_path: Path) -> None:
    """Neither is lost."""
    fill(tmp_path, "classic", (SERIES,))
    (tmp_path / "lidc_idri").mkdir()
    (tmp_path / "lidc_idri" / "LICENSE").write_text("another")
    await move_all(tmp_path, "idc")
    assert (tmp_path / "lidc_idri" / "LICENSE").read_text() == "another"
    assert (tmp_path / "LIDC-IDRI" / "LICENSE").read_text() == members_of(SERIES)["LICENSE"].decode()


async def test_the_folder_of_another_collection_is_not_emptied(tmp_path: Path) -> None:
    """Two collections whose names differ as two layouts spell one."""
    twin = replace(OTHER, collection="lidc_idri")
    fill(tmp_path, "classic", (SERIES, twin))
    library = LocalLibrary(tmp_path, layout="classic")
    await library.maintenance.move_papers((SERIES, twin))
    assert (tmp_path / "lidc_idri" / "LICENSE").exists()


async def test_what_is_reached_through_a_link_stays(tmp_path: Path) -> None:
    """It may lie on another disk, and a link that is moved may lead nowhere."""
    fill(tmp_path / "library", "classic", (SERIES,))
    (tmp_path / "library" / "LIDC-IDRI").rename(tmp_path / "elsewhere")
    (tmp_path / "library" / "LIDC-IDRI").symlink_to(tmp_path / "elsewhere")
    library = LocalLibrary(tmp_path / "library", layout="flat")
    ((folder, _),) = await folders_of(library)
    with pytest.raises(LibraryError, match="reached through a link"):
        await place_for(library, folder, SERIES)
