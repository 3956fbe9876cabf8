"""A series leaves the library whole, and only where it is surely that series."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.layout import Layout, parse_layout
from downloader.library.local.library import LocalLibrary
from downloader.library.local.tree import SeriesTree
from downloader.model import Series
from downloader.own_folder import OWN_FOLDER
from tests.fakes.clock import START_AT
from tests.library.series_streams import SERIES
from tests.library.series_streams import store as put

pytestmark = pytest.mark.anyio

UID = SERIES.series_instance_uid


@pytest.fixture
def library(tmp_path: Path) -> LocalLibrary:
    """A new one."""
    return LocalLibrary(tmp_path / "library")


async def delete(library: LocalLibrary, folder: PurePosixPath) -> None:
    """As a run does it whose manifest says so."""
    change = await library.changes.plan_deletion(folder, UID)
    record = await library.changes.begin([change])
    await library.changes.carry_out(change)
    await library.changes.end(record)


async def test_a_removed_series_leaves_no_folder_behind(library: LocalLibrary, tmp_path: Path) -> None:
    """Nor the folders that held nothing else; the collection keeps its licence, staging is empty."""
    folder = put(library, SERIES)
    assert await library.reader.holds(folder, UID)
    await delete(library, folder)
    assert not await library.reader.holds(folder, UID)
    assert [path.name for path in (tmp_path / "library" / folder.parts[0]).iterdir()] == ["LICENSE"]
    assert list((tmp_path / "library" / ".tciad" / "staging").iterdir()) == []


async def test_neighbours_stay(library: LocalLibrary) -> None:
    """Only what is empty goes."""
    folder = put(library, SERIES)
    neighbour = replace(SERIES, series_instance_uid=f"{UID}.7")
    kept = put(library, neighbour)
    await delete(library, folder)
    assert await library.reader.holds(kept, neighbour.series_instance_uid)


@pytest.mark.parametrize("content", [None, b"{}"], ids=["no receipt", "a damaged receipt"])
async def test_what_is_not_surely_the_series_is_not_said_to_be(
    library: LocalLibrary, tmp_path: Path, content: bytes | None
) -> None:
    """A removal must stop."""
    folder = put(library, SERIES)
    receipt = tmp_path / "library" / folder / ".receipt.json"
    receipt.unlink()
    if content is not None:
        receipt.write_bytes(content)
    with pytest.raises(LibraryError if content is None else DamagedReceiptError):
        await library.reader.holds(folder, UID)


async def test_another_series_is_not_said_to_be_this_one(library: LocalLibrary) -> None:
    """Whatever the store believes."""
    folder = put(library, SERIES)
    with pytest.raises(LibraryError, match="something else"):
        await library.reader.holds(folder, f"{UID}.7")


@dataclass(frozen=True, slots=True)
class Eventful(Layout):
    """Lets something happen in the middle of each put: the folders above the series are made, and the series is not there yet."""

    happens: Callable[[], object]

    def collection_folder(self, series: Series) -> PurePosixPath:
        """See Layout."""
        self.happens()
        return Layout.collection_folder(self, series)


async def test_a_folder_stays_while_a_series_is_about_to_come_into_it(library: LocalLibrary, tmp_path: Path) -> None:
    """The last other series of the study is removed at that moment, by another thread."""
    root = tmp_path / "library"
    former = put(library, SERIES)
    receipt = await library.reader.receipt_in(former)
    assert receipt is not None
    newer = replace(receipt, series=replace(SERIES, series_instance_uid=f"{UID}.7"))
    finished = root / OWN_FOLDER / "staging" / "finished"
    finished.mkdir()

    def take_out() -> None:
        with shelf.taking_out(former) as leaving:
            leaving.rename(root / OWN_FOLDER / "staging" / "removed")

    with ThreadPoolExecutor(1) as other:
        # it cannot happen before the put is over: a moment is given to it all the same
        shelf = SeriesTree(root, Eventful(parse_layout("classic").levels, lambda: wait([other.submit(take_out)], timeout=0.2)))
        folder = shelf.put(finished, newer, None).folder
    assert (root / folder).is_dir()
    assert not (root / former).exists()


async def test_a_folder_that_is_not_there_holds_nothing(library: LocalLibrary) -> None:
    """Somebody was faster."""
    assert not await library.reader.holds(PurePosixPath("a", "b"), UID)


async def test_quarantine_leaves_no_empty_folders_behind(library: LocalLibrary, tmp_path: Path) -> None:
    """As removing does."""
    folder = put(library, SERIES)
    await library.maintenance.quarantine(folder, "withdrawn", START_AT)
    assert [path.name for path in (tmp_path / "library" / folder.parts[0]).iterdir()] == ["LICENSE"]
