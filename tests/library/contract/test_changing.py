"""Moving, setting aside, doubting and deleting series."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from downloader.errors import LibraryError
from downloader.library.changes import Change, ChangeKind, Finished
from downloader.library.model import FolderMove
from tests.fakes.clock import START_AT
from tests.library.contract.subjects import Subject
from tests.library.series_streams import SERIES, folders_of, receipts_of, store

pytestmark = pytest.mark.anyio

UID = SERIES.series_instance_uid
TWIN = replace(SERIES, series_instance_uid=f"{UID}9", series_description="other")
ELSEWHERE = replace(SERIES, patient_id="LIDC-IDRI-0002", modality="MR", series_instance_uid=f"{UID}8")


async def test_a_change_is_known_until_it_is_ended(subject: Subject) -> None:
    """By another process; what is over leaves its record, and ending twice does nothing."""
    changes = subject.library.changes
    wanted = [Change(kind=ChangeKind.DOUBT, series_instance_uid=UID, folder=PurePosixPath(name)) for name in "abc"]
    assert list(await changes.unfinished()) == []
    record = await changes.begin(wanted)
    assert [one.changes for one in await changes.unfinished()] == [tuple(wanted)]
    await changes.keep(record, wanted[1:])
    assert [one.changes for one in await changes.unfinished()] == [tuple(wanted[1:])]
    await changes.end(record)
    await changes.end(record)
    assert list(await changes.unfinished()) == []


async def test_a_doubted_series_counts_for_nothing(subject: Subject) -> None:
    """Its images stay, and its receipt under another name."""
    folder, changes = store(subject.library, SERIES), subject.library.changes
    receipt, files = await subject.library.reader.receipt_in(folder), subject.files_in(folder)
    await changes.carry_out(await changes.plan_doubt(folder, UID))
    assert await subject.library.finder.find_receipt(SERIES) is None
    assert await subject.library.reader.receipt_in(folder) is None
    assert await subject.library.reader.doubted_receipt(folder) == receipt
    assert await subject.library.reader.holds(folder, UID)
    assert await receipts_of(subject.library) == []
    assert subject.files_in(folder) == files


async def test_what_is_set_aside_lies_in_quarantine(subject: Subject) -> None:
    """Whole, under the time and the label; a second one of the same time beside the first."""
    places = []
    for series in (SERIES, TWIN):
        folder = store(subject.library, series)
        files = subject.files_in(folder)
        change = await subject.library.changes.plan_quarantine(folder, UID, "label", START_AT)
        await subject.library.changes.carry_out(change)
        assert subject.files_in(folder) == {}
        assert subject.files_in(change.targets[0]) == files
        places.append(change.targets[0])
    assert places[0].parent == PurePosixPath(".tciad/quarantine")
    assert places[0].name.endswith("-label")
    assert len(set(places)) == 2
    assert await folders_of(subject.library) == []


async def test_one_file_can_be_set_aside(subject: Subject) -> None:
    """The series stays whole."""
    folder = store(subject.library, SERIES)
    subject.write(folder, "notes.txt", b"mine")
    place = await subject.library.maintenance.quarantine(folder / "notes.txt", UID, START_AT)
    assert subject.files_in(place.parent) == {"notes.txt": b"mine"}
    assert "notes.txt" not in subject.files_in(folder)
    assert await subject.library.reader.is_whole(folder, UID)


async def test_a_deletion_leaves_nothing(subject: Subject) -> None:
    """But other series."""
    folder, other = store(subject.library, SERIES), store(subject.library, ELSEWHERE)
    await subject.library.changes.carry_out(await subject.library.changes.plan_deletion(folder, UID))
    assert [found for found, _ in await receipts_of(subject.library)] == [other]
    assert await subject.library.leftovers.clear_staging() == 0


async def test_a_former_folder_of_another_series_is_not_cleared(subject: Subject) -> None:
    """A person must look at it."""
    folder = store(subject.library, SERIES)
    clear = Change(kind=ChangeKind.CLEAR, series_instance_uid=TWIN.series_instance_uid, folder=folder, keeper=folder)
    with pytest.raises(LibraryError, match="contains something else"):
        await subject.library.changes.carry_out(clear)
    assert await subject.library.reader.is_whole(folder, UID)


async def test_a_change_that_never_began_is_undone(subject: Subject) -> None:
    """A quarantine without a copy that stays, and a deletion: the folder is still in its place."""
    folder, changes = store(subject.library, SERIES), subject.library.changes
    for planned in (await changes.plan_quarantine(folder, UID, UID, START_AT), await changes.plan_deletion(folder, UID)):
        assert await changes.finish(planned) == Finished(series_instance_uid=UID)
    assert await subject.library.reader.is_whole(folder, UID)


async def test_a_change_that_was_carried_out_is_told_again(subject: Subject) -> None:
    """The process was killed before it told the store; asking twice does no harm."""
    changes = subject.library.changes
    folder = store(subject.library, SERIES)
    doubt = await changes.plan_doubt(folder, UID)
    await changes.carry_out(doubt)
    for _ in range(2):
        assert await changes.finish(doubt) == Finished(series_instance_uid=UID, is_doubted=True)
    gone = await changes.plan_quarantine(folder, UID, UID, START_AT)
    await changes.carry_out(gone)
    for _ in range(2):
        assert await changes.finish(gone) == Finished(series_instance_uid=UID, is_gone=True)


async def test_a_series_in_its_place_stays_there(subject: Subject) -> None:
    """Nothing is planned, and nothing moved."""
    folder, maintenance = store(subject.library, SERIES), subject.library.maintenance
    assert subject.library.changes.plan_move(folder, SERIES, START_AT) is None
    here = [FolderMove(folder=folder, series=SERIES)]
    assert (await maintenance.choose_places(here, ())).results == [folder]
    moved = await maintenance.move(here)
    assert (moved.results, moved.failure) == ([folder], None)
    assert await subject.library.reader.is_whole(folder, UID)


@pytest.mark.parametrize("layout", ["classic", "{modality}/{patient_id}"])
async def test_a_series_moves_to_where_its_row_wants_it(subject: Subject) -> None:
    """Foretold by a dry run, with its images; after a kill the store learns of the move where it happened."""
    folder, library = store(subject.library, SERIES), subject.library
    renamed = replace(SERIES, patient_id="renamed", study_instance_uid="1.2.3", series_instance_uid=UID)
    files = subject.files_in(folder)
    receipt = await library.reader.receipt_in(folder)
    assert receipt is not None
    change = library.changes.plan_move(folder, renamed, receipt.completed_at)
    assert change is not None
    assert await library.changes.finish(change) == Finished(series_instance_uid=UID)
    moves = [FolderMove(folder=folder, series=renamed)]
    foretold = await library.maintenance.choose_places(moves, ())
    moved = await library.maintenance.move(moves)
    assert foretold == moved
    (place,) = moved.results
    assert place == library.maintenance.best_folder(renamed)
    assert subject.files_in(place) == files
    assert subject.files_in(folder) == {}
    assert await library.changes.finish(change) == Finished(series_instance_uid=UID, lies_in=place)


@pytest.mark.parametrize("layout", ["classic"])
async def test_what_is_in_the_way_keeps_a_series_where_it_is(subject: Subject) -> None:
    """It is one of the results, and the others get their places."""
    first, second = store(subject.library, SERIES), store(subject.library, ELSEWHERE)
    moves = [FolderMove(folder=first, series=replace(SERIES, patient_id="renamed"))]
    moves.append(FolderMove(folder=second, series=replace(ELSEWHERE, patient_id="renamed")))
    best = [subject.library.maintenance.best_folder(move.series) for move in moves]
    blocked, place = (await subject.library.maintenance.choose_places(moves, {best[0]})).results
    assert isinstance(blocked, LibraryError)
    assert "in the way" in blocked.what
    assert place == best[1]


@pytest.mark.parametrize("layout", ["{modality}/{patient_id}"])
async def test_a_second_series_moves_beside_the_one_that_has_the_place(subject: Subject) -> None:
    """Under a name of its own."""
    first, second = store(subject.library, SERIES), store(subject.library, ELSEWHERE)
    beside = replace(SERIES, series_instance_uid=ELSEWHERE.series_instance_uid)
    (place,) = (await subject.library.maintenance.move([FolderMove(folder=second, series=beside)])).results
    assert isinstance(place, PurePosixPath)
    assert place != first
    assert place.name.endswith(ELSEWHERE.series_instance_uid)
    assert await subject.library.reader.is_whole(first, UID)
    assert await subject.library.reader.is_whole(place, ELSEWHERE.series_instance_uid)
