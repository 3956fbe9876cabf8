"""The library on a real file system."""

import errno
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.errors import LibraryError, NotDicomError, SettingsError, WrongSeriesError
from downloader.library.local import filesystem as disk
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import RECEIPT_NAME
from downloader.model import ImageData, ImageEvent, ImageStarted, Series
from tests.library.series_streams import SERIES, dicom_file, events_of, members_of, receipt_of, receipts_of, store, take, take_all

pytestmark = pytest.mark.anyio


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path would open one more


def test_the_library_makes_its_own_folders(tmp_path: Path) -> None:
    """Where nothing was before."""
    LocalLibrary(tmp_path / "a" / "library")
    assert sorted(path.name for path in (tmp_path / "a" / "library" / ".tciad").iterdir()) == [
        "quarantine",
        "runs",
        "staging",
    ]


def test_a_file_is_no_library(tmp_path: Path) -> None:
    """Said when the library is opened, not at the first series."""
    (tmp_path / "library").write_text("")
    with pytest.raises(LibraryError, match="not a directory"):
        LocalLibrary(tmp_path / "library")
    with pytest.raises(LibraryError, match="Not a directory"):
        LocalLibrary(tmp_path / "library" / "below")


def test_a_wrong_layout_is_said_before_anything_is_made(tmp_path: Path) -> None:
    """A typing error leaves no folders behind."""
    with pytest.raises(SettingsError, match="layout"):
        LocalLibrary(tmp_path / "library", layout="clasic")
    assert not (tmp_path / "library").exists()


def test_a_staged_image_is_called_by_its_position(tmp_path: Path) -> None:
    """The ZIP's word for it never becomes a path."""
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take_all(staging, {"LICENSE": b"x", "deep/down/image": dicom_file(SERIES, 1)})
    folder = tmp_path / ".tciad" / "staging" / SERIES.series_instance_uid
    assert [path.name for path in folder.rglob("*")] == ["00000000.part"]
    staging.discard()


def test_a_hostile_series_uid_stays_in_staging(tmp_path: Path) -> None:
    """The catalogue is no more trusted than a ZIP."""
    library = LocalLibrary(tmp_path / "library")
    hostile = Series(series_instance_uid="../../../escaped")
    store(library, hostile, {})
    assert [path.name for path in tmp_path.iterdir()] == ["library"]
    assert library.find_receipt(hostile) is not None


def test_a_file_that_changed_its_size_is_not_complete(tmp_path: Path) -> None:
    """The receipt no longer matches what is there."""
    library = LocalLibrary(tmp_path)
    folder = tmp_path / store(library, SERIES)
    with (folder / "1-02.dcm").open("ab") as file:
        file.write(b"x")
    assert library.find_receipt(SERIES) is None


@pytest.mark.parametrize("in_its_place", [None, "folder"])
def test_a_file_that_is_gone_is_not_complete(tmp_path: Path, in_its_place: str | None) -> None:
    """Nor is a folder of its name."""
    library = LocalLibrary(tmp_path)
    image = tmp_path / store(library, SERIES) / "1-02.dcm"
    image.unlink()
    if in_its_place:
        image.mkdir()
    assert library.find_receipt(SERIES) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}'])
async def test_a_damaged_receipt_is_none(tmp_path: Path, content: bytes) -> None:
    """The series is fetched again, and takes the place of the damaged one."""
    library = LocalLibrary(tmp_path)
    folder = store(library, SERIES)
    (tmp_path / folder / RECEIPT_NAME).write_bytes(content)
    assert library.find_receipt(SERIES) is None
    assert await receipts_of(library) == []
    assert store(library, SERIES) == folder
    assert library.find_receipt(SERIES) is not None


def test_a_series_folder_without_receipt_is_replaced(tmp_path: Path) -> None:
    """Another program's download of the series proves nothing."""
    library = LocalLibrary(tmp_path)
    folder = tmp_path / library.folder_of(SERIES)
    folder.mkdir(parents=True)
    (folder / "1-999.dcm").write_bytes(b"half")
    store(library, SERIES)
    assert sorted(path.name for path in folder.iterdir()) == [RECEIPT_NAME, "1-01.dcm", "1-02.dcm", "1-03.dcm"]


def test_a_descriptive_folder_of_unknown_origin_is_left_alone(tmp_path: Path) -> None:
    """Its name does not say which series it is, so ours lies beside it."""
    library = LocalLibrary(tmp_path, layout="descriptive")
    taken = tmp_path / library.folder_of(SERIES)
    taken.mkdir(parents=True)
    folder = store(library, SERIES)
    assert folder.name == f"{taken.name}-{SERIES.series_instance_uid}"
    assert list(taken.iterdir()) == []


@pytest.mark.parametrize("stranger", ["a file", "a folder of folders", "another series"])
def test_what_is_not_the_series_is_never_replaced(tmp_path: Path, stranger: str) -> None:
    """A person must decide what becomes of it."""
    library = LocalLibrary(tmp_path, layout="flat")
    target = tmp_path / library.folder_of(SERIES)
    if stranger == "a file":
        target.write_text("mine")
    elif stranger == "a folder of folders":
        (target / "mine").mkdir(parents=True)
    else:
        other = replace(SERIES, series_instance_uid="1.2.3")
        (tmp_path / store(library, other)).rename(target)
    with pytest.raises(LibraryError, match="in the way"):
        store(library, SERIES)
    assert target.exists()
    assert library.find_receipt(SERIES) is None


def test_without_an_exchange_two_renames_do(tmp_path: Path) -> None:
    """Some file systems cannot exchange; the old folder is then moved aside."""
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / folder.name).touch()
    disk.swap_folder(new, old, tmp_path / "replaced")
    assert [path.name for path in old.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "replaced").iterdir()] == ["old"]
    assert not new.exists()


def test_what_was_there_comes_back_where_the_second_rename_fails(tmp_path: Path) -> None:
    """A disk may fail between the two; here there is nothing to be put in place of the old folder."""
    old = tmp_path / "old"
    old.mkdir()
    (old / "image").touch()
    with pytest.raises(FileNotFoundError):
        disk.swap_folder(tmp_path / "new", old, tmp_path / "replaced")
    assert [path.name for path in old.iterdir()] == ["image"]


def test_an_exchange_leaves_no_moment_without_the_series(tmp_path: Path) -> None:
    """The old folder is where the new one was."""
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / folder.name).touch()
    exchanged = disk.exchange_folder(new, old)
    assert [path.name for path in old.iterdir()] == ["new" if exchanged else "old"]
    assert [path.name for path in new.iterdir()] == ["old" if exchanged else "new"]


async def test_a_collection_may_lie_elsewhere_by_a_link(tmp_path: Path) -> None:
    """The walk follows links out of the library, once, and does not run in circles."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    library = LocalLibrary(tmp_path / "library")
    (tmp_path / "library" / "LIDC-IDRI").symlink_to(elsewhere)
    folder = store(library, SERIES)
    (elsewhere / "round").symlink_to(tmp_path / "library")
    (elsewhere / "again").symlink_to(elsewhere)
    (tmp_path / "library" / "copy").symlink_to(elsewhere)
    assert [found for found, _ in await receipts_of(library)] == [folder]
    assert library.find_receipt(SERIES) is not None


async def test_a_moved_library_is_the_same_library(tmp_path: Path) -> None:
    """Receipts hold no paths outside of their folder."""
    folder = store(LocalLibrary(tmp_path / "here"), SERIES)
    (tmp_path / "here").rename(tmp_path / "there")
    moved = LocalLibrary(tmp_path / "there")
    assert moved.find_receipt(SERIES) is not None
    assert [found for found, _ in await receipts_of(moved)] == [folder]


def test_the_licence_is_written_with_the_first_series(tmp_path: Path) -> None:
    """Once for the collection: the text that came with the images."""
    library = LocalLibrary(tmp_path)
    store(library, SERIES)
    store(library, replace(SERIES, series_instance_uid="1.2.3"), {"LICENSE": b"something else"})
    assert (tmp_path / "LIDC-IDRI" / "LICENSE").read_bytes() == b"be kind\n"


@pytest.mark.parametrize("members", [{}, {"LICENSE": b""}])
def test_without_a_text_the_licence_is_that_of_the_catalogue(tmp_path: Path, members: dict[str, bytes]) -> None:
    """getImageWithMD5Hash sends none (docs/archives.md#image-endpoints)."""
    store(LocalLibrary(tmp_path), SERIES, members)
    licence = (tmp_path / "LIDC-IDRI" / "LICENSE").read_text()
    assert licence == "CC BY 3.0\nhttps://creativecommons.org/licenses/by/3.0/\n"


def test_no_licence_is_made_up(tmp_path: Path) -> None:
    """Without one, there is no file."""
    store(LocalLibrary(tmp_path), replace(SERIES, license_name="", license_uri=""), {})
    assert not (tmp_path / "LIDC-IDRI" / "LICENSE").exists()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """On no path: stored, discarded in mid-image, refused at its start or end."""
    library = LocalLibrary(tmp_path)
    store(library, SERIES)
    before = open_descriptors()
    store(library, SERIES)
    streams: list[list[ImageEvent]] = [
        [ImageStarted("1-1.dcm"), ImageData(dicom_file(SERIES, 1)[:300])],
        [ImageStarted("1-1.dcm"), ImageData(b"x" * 300)],
        list(events_of({"1-1.dcm": dicom_file(SERIES, 1), "1-2.dcm": dicom_file(SERIES, 1)})),
        [ImageStarted("1-1.dcm"), ImageStarted("1-2.dcm")],
    ]
    for events in streams:
        staging = library.begin(SERIES)
        with suppress(NotDicomError, WrongSeriesError):
            take(staging, *events)
        staging.discard()
    assert open_descriptors() == before


async def test_staging_that_vanished_is_a_library_error(tmp_path: Path) -> None:
    """Somebody removed it: the message says where, relative to the library, and which series."""
    library = LocalLibrary(tmp_path)
    staging = library.begin(SERIES)
    take(staging, ImageStarted("1-1.dcm"))
    await library.leftovers.clear_staging()
    with pytest.raises(LibraryError) as failed:
        take(staging, ImageStarted("1-2.dcm"))
    assert failed.value.series_instance_uid == SERIES.series_instance_uid
    assert f"at .tciad/staging/{SERIES.series_instance_uid}/00000001.part" in str(failed.value)
    assert isinstance(failed.value.__cause__, FileNotFoundError)
    staging.discard()


def test_an_unreadable_receipt_is_not_an_absent_one(tmp_path: Path) -> None:
    """A fault of the disk must not make tciad fetch a whole library again."""
    library = LocalLibrary(tmp_path)
    receipt = tmp_path / store(library, SERIES) / RECEIPT_NAME
    receipt.unlink()
    receipt.symlink_to(receipt.name)
    with pytest.raises(LibraryError) as failed:
        library.find_receipt(SERIES)
    assert isinstance(failed.value.__cause__, OSError)
    assert failed.value.__cause__.errno == errno.ELOOP


async def test_a_commit_that_failed_can_be_discarded(tmp_path: Path) -> None:
    """Nothing of it remains, in staging or in the tree."""
    library = LocalLibrary(tmp_path)
    (tmp_path / "LIDC-IDRI").write_text("in the way")
    staging = library.begin(SERIES)
    take_all(staging, members_of(SERIES))
    with pytest.raises(LibraryError, match="LIDC-IDRI"):
        staging.commit(receipt_of(SERIES, staging.named_images()))
    staging.discard()
    assert await library.leftovers.clear_staging() == 0
