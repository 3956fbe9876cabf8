"""Reading and finding series."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from downloader.errors import LibraryError
from downloader.library.port import LibraryParts
from downloader.model import Receipt
from tests.library.contract.subjects import Subject
from tests.library.series_streams import SERIES, folders_of, md5_of, receipts_of, store

pytestmark = pytest.mark.anyio

TWIN = replace(SERIES, series_instance_uid=f"{SERIES.series_instance_uid}9", series_description="other")
NOWHERE = PurePosixPath("not/there")


async def test_a_walk_finds_each_series_once(subject: Subject) -> None:
    """With its receipt, and what lies in its folder where that is asked for; then it gives nothing more."""
    folders = {store(subject.library, SERIES), store(subject.library, TWIN)}
    walk = subject.library.reader.walk(with_contents=True)
    found = [*await walk.take(1), *await walk.take(100)]
    assert {one.folder for one in found} == folders
    assert [one.receipt.file_sizes == one.contents for one in found if isinstance(one.receipt, Receipt)] == [True, True]
    assert await walk.take(100) == []


async def test_an_empty_library_has_nothing(library: LibraryParts) -> None:
    """And asking for what is not there is no error."""
    assert await folders_of(library) == []
    assert await library.reader.receipt_in(NOWHERE) is None
    assert await library.reader.doubted_receipt(NOWHERE) is None
    assert await library.reader.contents(NOWHERE) == {}
    assert not await library.reader.holds(NOWHERE, SERIES.series_instance_uid)
    assert not await library.reader.is_whole(NOWHERE, SERIES.series_instance_uid)
    assert not await library.reader.is_one_folder(NOWHERE, NOWHERE)
    assert await library.finder.find_receipt(SERIES) is None


async def test_a_stored_series_is_found_by_its_receipt(subject: Subject) -> None:
    """In its folder, by its series, and in the walk through all."""
    folder = store(subject.library, SERIES)
    receipt = await subject.library.reader.receipt_in(folder)
    assert receipt is not None
    assert receipt.series == SERIES
    assert await subject.library.finder.find_receipt(SERIES) == receipt
    assert await receipts_of(subject.library) == [(folder, receipt)]
    assert await subject.library.reader.contents(folder) == receipt.file_sizes


async def test_sizes_show_that_a_series_is_whole_and_content_that_it_is_proven(subject: Subject) -> None:
    """Of this series only."""
    folder, reader = store(subject.library, SERIES), subject.library.reader
    receipt = await reader.receipt_in(folder)
    assert receipt is not None
    name = receipt.images[0].name
    content = subject.files_in(folder)[name]
    assert await reader.is_whole(folder, SERIES.series_instance_uid)
    assert await reader.proves(folder, receipt)
    assert not await reader.is_whole(folder, TWIN.series_instance_uid)
    subject.write(folder, name, bytes(len(content)))
    assert await reader.is_whole(folder, SERIES.series_instance_uid)
    assert not await reader.proves(folder, receipt)
    subject.write(folder, name, content[:-1])
    assert not await reader.is_whole(folder, SERIES.series_instance_uid)
    assert await subject.library.finder.find_receipt(SERIES) is None


async def test_images_are_hashed_in_the_order_of_their_names(subject: Subject) -> None:
    """One that is missing is reported among the others."""
    folder = store(subject.library, SERIES)
    files = subject.files_in(folder)
    names = [*sorted(files, reverse=True), "lost.dcm"]
    *found, lost = await subject.library.reader.hash_images(folder, names)
    assert [(one.name, one.md5) for one in found] == [(name, md5_of(files[name])) for name in names[:-1]]
    assert (lost.name, lost.md5) == ("lost.dcm", "")
    assert lost.unreadable


async def test_another_series_in_a_folder_is_an_error(subject: Subject) -> None:
    """So that it is not removed in the belief that it is the one that was withdrawn."""
    folder = store(subject.library, SERIES)
    assert await subject.library.reader.holds(folder, SERIES.series_instance_uid)
    with pytest.raises(LibraryError, match="contains something else"):
        await subject.library.reader.holds(folder, TWIN.series_instance_uid)
    assert await subject.library.reader.has_series_in(folder)
    assert await subject.library.reader.has_series_in(PurePosixPath(folder.parts[0]))


async def test_missing_receipts_are_told(subject: Subject) -> None:
    """By folder, for as many as are asked for."""
    folder = str(store(subject.library, SERIES))
    look = await subject.library.finder.look_for_receipts([folder, str(NOWHERE)])
    assert (look.missing, look.unreadable) == ([str(NOWHERE)], {})


async def test_a_series_that_lies_elsewhere_is_found_there(subject: Subject) -> None:
    """Where the layout has it, whatever was noted."""
    folder = store(subject.library, SERIES)
    moved = await subject.library.finder.find_moved([(SERIES, NOWHERE), (TWIN, NOWHERE)])
    ((uid, (found, receipt)),) = moved.found.items()
    assert (uid, found, receipt.series) == (SERIES.series_instance_uid, folder, SERIES)
    assert moved.unreadable == {}
    await subject.library.finder.make_durable(found)


async def test_the_folder_of_a_series_is_foretold(subject: Subject) -> None:
    """And stays the same once it is there; another series never has it."""
    foretold = await subject.library.finder.folder_of(SERIES)
    assert store(subject.library, SERIES) == foretold
    assert await subject.library.finder.folder_of(SERIES) == foretold
    assert await subject.library.finder.folder_of(TWIN) != foretold


async def test_a_receipt_can_be_written_anew(subject: Subject) -> None:
    """In place of the one before it; the images stay as they are."""
    folder = store(subject.library, SERIES)
    files, receipt = subject.files_in(folder), await subject.library.reader.receipt_in(folder)
    assert receipt is not None
    newer = replace(receipt, proof=replace(receipt.proof, md5_images=0, md5_blank=3))
    await subject.library.maintenance.rewrite_receipt(folder, newer)
    assert await subject.library.reader.receipt_in(folder) == newer
    assert subject.files_in(folder) == files
