"""Moving a library: what the store learns, what is left and why, and what a dry run tells."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import RECEIPT_NAME
from downloader.maintenance.relayout import Relayout
from downloader.model import SeriesState
from downloader.results.relayout import LeftFolder, RelayoutReport, RelayoutTally, SeriesMove, SharedFolder
from downloader.ui.relayout import render_relayout
from tests.fakes.memory_store import MemoryStore
from tests.library.series_streams import SERIES, move, receipts_of, store

pytestmark = pytest.mark.anyio
TWIN = replace(SERIES, series_instance_uid=f"2{SERIES.series_instance_uid}")
LABEL = "LIDC-IDRI/LIDC-IDRI-0001/01-31-2000-.1.10/3000566-chest - thin-1.100"


@dataclass
class Place:
    """A classic library of two series, and the store that knows them."""

    root: Path
    database: MemoryStore = field(default_factory=MemoryStore)
    looked_at: int = 0

    async def fill(self) -> None:
        library = LocalLibrary(self.root)
        for series in (SERIES, TWIN):
            store(library, series)
        await self.database.restore([(receipt, str(folder)) for folder, receipt in await receipts_of(library)])

    async def move(self, layout: str, *, dry_run: bool = False) -> RelayoutTally:
        def count(series: int) -> None:
            self.looked_at += series

        relayout = Relayout(
            library=LocalLibrary(self.root, layout=layout),
            store=self.database,
            corrections=None if dry_run else self.database,
            advance=count,
        )
        await relayout.move_all()
        return relayout.tally

    async def folders(self) -> list[str]:
        """Where the store believes the series to be."""
        rows = await self.database.find_named([SERIES.series_instance_uid, TWIN.series_instance_uid])
        return [row.folder for row in rows]

    def found(self) -> list[str]:
        """Where they are."""
        return sorted(str(path.parent.relative_to(self.root)) for path in self.root.rglob(RECEIPT_NAME))


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    await place.fill()
    return place


async def test_series_are_moved_and_the_store_knows(place: Place) -> None:
    """Each is counted once, also when the walk comes by its new place."""
    tally = await place.move("flat")
    assert (tally.moved, tally.in_place, tally.left, tally.moves) == (2, 0, [], [])
    assert await place.folders() == [SERIES.series_instance_uid, TWIN.series_instance_uid]
    assert place.found() == sorted(await place.folders())
    assert place.looked_at >= 2
    again = await place.move("flat")
    assert (again.moved, again.in_place) == (0, 2)


async def test_two_series_that_want_one_folder_are_told(place: Place) -> None:
    """The second lies beside the first, in a folder that ends in its whole UID."""
    tally = await place.move("descriptive")
    first, second = place.found()
    (shared,) = tally.shared
    assert (first, second) == (LABEL, f"{LABEL}-{shared.series_instance_uid}")
    assert shared == SharedFolder(series_instance_uid=shared.series_instance_uid, folder=second, instead_of=LABEL)
    assert sorted(await place.folders()) == [first, second]


async def test_a_dry_run_tells_what_a_run_does(place: Place) -> None:
    """The same moves and the same shared folders; nothing has changed."""
    before = place.found()
    told = await place.move("descriptive", dry_run=True)
    assert place.found() == before == sorted(await place.folders())
    done = await place.move("descriptive")
    assert sorted(move.target for move in told.moves) == place.found()
    assert (told.moved, told.shared) == (done.moved, done.shared)


async def test_a_move_that_the_store_did_not_hear_of_is_told_it_later(place: Place) -> None:
    """The process was killed between the rename and the store."""
    library = LocalLibrary(place.root, layout="flat")
    for folder, receipt in await receipts_of(library):
        await move(library, folder, receipt.series)
    tally = await place.move("flat")
    assert (tally.moved, tally.in_place) == (0, 2)
    assert sorted(await place.folders()) == place.found()


@pytest.mark.parametrize("prepare", ["damaged receipt", "second copy", "something in the way"])
async def test_what_cannot_be_moved_is_left_and_told(place: Place, prepare: str) -> None:
    """The rest is moved."""
    folder = (await place.folders())[0]
    left = folder
    if prepare == "damaged receipt":
        (place.root / folder / RECEIPT_NAME).write_text("{")
    elif prepare == "second copy":
        left = "copy"
        store(LocalLibrary(place.root, layout="{collection}-copy/{series_instance_uid}"), SERIES)
        left = f"LIDC-IDRI-copy/{SERIES.series_instance_uid}"
    else:
        (place.root / SERIES.series_instance_uid).mkdir()
        (place.root / SERIES.series_instance_uid / "note.txt").write_text("mine")
    tally = await place.move("flat")
    assert [one.folder for one in tally.left] == [left]
    assert (place.root / left).is_dir()
    assert tally.moved == (2 if prepare == "second copy" else 1)
    assert RelayoutReport(library="l", layout="flat", dry_run=False, tally=tally).exit_code == 3


async def test_a_series_that_the_store_does_not_know_is_moved_too(place: Place) -> None:
    """Whatever lies in the library has its place in the layout."""
    place.database = MemoryStore()
    assert (await place.move("flat")).moved == 2


@pytest.mark.parametrize("listed", [True, False])
async def test_a_series_that_a_killed_run_left_is_told_to_the_store(place: Place, listed: bool) -> None:
    """It lies there whole, and no run after the move would look for it under the name that the receipt gives."""
    place.database = MemoryStore()
    if listed:
        number = await place.database.begin_resolve("m", datetime(2026, 1, 1, tzinfo=UTC))
        await place.database.enqueue("m", number, "memory", [SERIES, TWIN])
    await place.move("descriptive")
    assert sorted(await place.folders()) == place.found()
    rows = await place.database.find_named([SERIES.series_instance_uid, TWIN.series_instance_uid])
    assert [row.state for row in rows] == [SeriesState.COMPLETE, SeriesState.COMPLETE]


async def test_a_series_with_a_lost_image_is_not_told_to_the_store(place: Place) -> None:
    """The next run fetches it."""
    place.database = MemoryStore()
    for folder in place.found():
        next((place.root / folder).glob("*.dcm")).unlink()
    await place.move("flat")
    assert await place.folders() == []


def report(change: Callable[[RelayoutTally], None]) -> RelayoutReport:
    tally = RelayoutTally(moved=2, in_place=1)
    change(tally)
    return RelayoutReport(library="lib", layout="idc", dry_run=bool(tally.moves), tally=tally)


def test_a_report_is_for_people_and_programs() -> None:
    """Long lists are cut for people only."""

    def fill(tally: RelayoutTally) -> None:
        tally.moves += [SeriesMove(series_instance_uid=f"1.{number}", folder="a", target="b\x1b") for number in range(30)]
        tally.shared.append(SharedFolder(series_instance_uid="1.2", folder="x-1.2", instead_of="x"))
        tally.left.append(LeftFolder(folder="c", series_instance_uid="", reason="why"))

    told = report(fill)
    assert render_relayout(told).splitlines()[0] == "lib: 2 series would be moved to idc, 1 already in place"
    assert "    … and 10 more: see --json" in render_relayout(told)
    assert "\x1b" not in render_relayout(told)
    assert len(told.as_json()["moves"]) == 30
    assert told.as_json()["left"] == [{"folder": "c", "series_instance_uid": "", "reason": "why"}]
    assert render_relayout(report(lambda _tally: None)) == "lib: 2 series moved to idc, 1 already in place"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{collection}/{patient_id}", "{collection}/{patient_id}/{series_instance_uid}"),
        ("{collection}/{patient_id}/{series_instance_uid}", "{collection}/{patient_id}"),
        ("{collection}/{series_instance_uid}", "{collection}/{series_instance_uid}/{modality}"),
        ("{collection}/{series_instance_uid}/{modality}", "{collection}/{series_instance_uid}"),
    ],
)
async def test_layouts_that_nest_are_moved_between(tmp_path: Path, old: str, new: str) -> None:
    """Each series by itself: none takes another along, and a second call has nothing to do."""
    place = Place(tmp_path)
    library = LocalLibrary(tmp_path, layout=old)
    for series in (TWIN, SERIES):
        store(library, series)
    await place.database.restore([(receipt, str(folder)) for folder, receipt in await receipts_of(library)])
    assert (await place.move(new)).moved == 2
    assert sorted(await place.folders()) == place.found()
    library = LocalLibrary(tmp_path, layout=new)
    assert library.find_receipt(SERIES) is not None
    assert library.find_receipt(TWIN) is not None
    again = await place.move(new)
    assert (again.moved, again.in_place, again.left) == (0, 2, [])
    assert list(await library.changes.unfinished()) == []


async def test_what_is_blocked_at_first_is_moved_once_the_way_is_free(tmp_path: Path) -> None:
    """The goal of one series lies in the folder of another, which is still to be moved itself."""
    place = Place(tmp_path)
    library = LocalLibrary(tmp_path, layout="{series_number}")
    first = replace(SERIES, series_number="1", patient_id="2")
    second = replace(TWIN, series_number="2", patient_id="9")
    for series in (first, second):
        store(library, series)
    await place.database.restore([(receipt, str(folder)) for folder, receipt in await receipts_of(library)])
    tally = await place.move("{patient_id}/{series_number}")
    assert (tally.moved, tally.left) == (2, [])
    assert await place.folders() == ["2/1", "9/2"]
    assert place.found() == ["2/1", "9/2"]
