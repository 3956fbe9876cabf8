"""No series is put into the folder of another, and what was nested once is found and kept."""

import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from downloader.errors import LibraryError
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import DOUBTED_NAME, RECEIPT_NAME
from tests.library.series_streams import SERIES, folders_of, members_of, move, place_for, receipt_of, receipts_of, store, take_all

pytestmark = pytest.mark.anyio

TWIN = replace(SERIES, series_instance_uid=f"{SERIES.series_instance_uid}.7")
SHORT, LONG = "{collection}/{patient_id}", "{collection}/{patient_id}/{series_instance_uid}"


@pytest.mark.parametrize("receipt", [RECEIPT_NAME, DOUBTED_NAME])
def test_a_series_is_not_put_into_the_folder_of_another(tmp_path: Path, receipt: str) -> None:
    """Also where that one is damaged: the error names both folders, and what to do."""
    folder = store(LocalLibrary(tmp_path, layout=SHORT), SERIES)
    (tmp_path / folder / RECEIPT_NAME).rename(tmp_path / folder / receipt)
    library = LocalLibrary(tmp_path, layout=LONG)
    staging = library.begin(TWIN)
    take_all(staging, members_of(TWIN))
    with pytest.raises(LibraryError, match=rf"{folder} in the library is the folder of a series.+tciad relayout"):
        staging.commit(receipt_of(TWIN, staging.named_images()))
    staging.discard()
    assert not (tmp_path / folder / TWIN.series_instance_uid).exists()


async def test_a_move_waits_until_the_folder_around_its_goal_is_gone(tmp_path: Path) -> None:
    """Else the other series would take it along."""
    first = store(LocalLibrary(tmp_path, layout=SHORT), SERIES)
    second = store(LocalLibrary(tmp_path, layout=SHORT), TWIN)
    library = LocalLibrary(tmp_path, layout=LONG)
    with pytest.raises(LibraryError, match="in the way"):
        await place_for(library, second, TWIN)
    await move(library, first, SERIES)
    await move(library, second, TWIN)
    assert {series.series_instance_uid for series in (receipt.series for _, receipt in await receipts_of(library))} == {
        SERIES.series_instance_uid,
        TWIN.series_instance_uid,
    }
    assert library.find_receipt(SERIES) is not None
    assert library.find_receipt(TWIN) is not None


async def test_a_folder_with_another_series_in_it_is_not_moved(tmp_path: Path) -> None:
    """An earlier tciad nested them; the inner one would move along, and the store would not know where it is."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    shutil.copytree(tmp_path / folder, tmp_path / "copy")
    (tmp_path / "copy").rename(tmp_path / folder / "CT")
    assert [found for found, _ in await folders_of(library)] == [folder, folder / "CT"]
    assert await library.reader.has_series_in(folder / "CT")
    flat = LocalLibrary(tmp_path, layout="flat")
    with pytest.raises(LibraryError, match="contains another series"):
        await place_for(flat, folder, SERIES)
    assert await place_for(flat, folder / "CT", SERIES) == PurePosixPath(SERIES.series_instance_uid)
