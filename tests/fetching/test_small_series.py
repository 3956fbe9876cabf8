"""A small series that came whole is stored in one go, and only if everything about it is as it must be."""

import io
import tracemalloc
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from downloader.config.options import StorageFormat
from downloader.errors import LibraryError, NoSpaceError
from downloader.fetching.small_series import WholeSeries, store_whole
from downloader.library.local.library import LocalLibrary
from downloader.library.local.memory_staging import HELD_BYTES, HELD_IMAGES
from downloader.model import Md5Mode, Series
from tests.library.series_streams import SERIES, dicom_file, md5_of, members_of

IMAGES = {name: content for name, content in members_of(SERIES).items() if name != "LICENSE"}
LISTED = replace(SERIES, file_size_bytes=sum(map(len, IMAGES.values())))
MD5_LIST = "Filename,MD5Hash\n" + "".join(f"{name},{md5_of(content)}\n" for name, content in IMAGES.items())
MEMBERS = {**members_of(SERIES), "md5hashes.csv": MD5_LIST.encode()}


def zip_of(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def whole_of(body: bytes, series: Series = LISTED) -> WholeSeries:
    return WholeSeries(
        series=series,
        chunks=[body[start : start + 999] for start in range(0, len(body), 999)],
        md5=Md5Mode.AUTO,
        md5_list_expected=True,
        announced_images=None,
        archive="tcia",
        generation="v4",
        completed_at=datetime(2026, 11, 26, tzinfo=UTC),
    )


def files_of(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_it_is_stored_as_it_came_with_its_receipt(tmp_path: Path) -> None:
    """The same folder, names and receipt as by way of staging, and nothing is left there."""
    library = LocalLibrary(tmp_path)
    body = zip_of(MEMBERS)
    stored = store_whole(whole_of(body), library)
    assert stored is not None
    assert stored.place.folder == library.folder_of(LISTED)
    assert stored.receipt == library.find_receipt(LISTED)
    assert {name: (tmp_path / stored.place.folder / name).read_bytes() for name in IMAGES} == IMAGES
    assert stored.receipt.received_bytes == len(body)
    assert (stored.receipt.proof.md5_images, stored.receipt.proof.size) == (3, True)
    assert (tmp_path / LISTED.collection / "LICENSE").read_bytes() == b"be kind\n"
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


def test_a_new_version_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """In one exchange, and nothing of the old one stays."""
    library = LocalLibrary(tmp_path)
    store_whole(whole_of(zip_of(MEMBERS)), library)
    newer = {"1-1.dcm": dicom_file(SERIES, 9)}
    newest = replace(LISTED, image_count=1, file_size_bytes=len(newer["1-1.dcm"]))
    members = {**newer, "md5hashes.csv": f"Filename,MD5Hash\n1-1.dcm,{md5_of(newer['1-1.dcm'])}\n".encode()}
    stored = store_whole(whole_of(zip_of(members), newest), library)
    assert stored is not None
    assert files_of(tmp_path / stored.place.folder) == [".receipt.json", "1-1.dcm"]
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


def test_what_a_dead_attempt_left_is_no_part_of_it(tmp_path: Path) -> None:
    """A folder of the series in staging is made anew. What a swap put aside is for the start of a run to judge, not for this."""
    library = LocalLibrary(tmp_path)
    leftover = tmp_path / ".tciad" / "staging" / LISTED.series_instance_uid
    (leftover / "deep").mkdir(parents=True)
    (leftover / "00000000.part").write_bytes(b"half")
    aside = leftover.with_name(f"{leftover.name}.old")
    aside.mkdir()
    stored = store_whole(whole_of(zip_of(MEMBERS)), library)
    assert stored is not None
    assert files_of(tmp_path / stored.place.folder) == [".receipt.json", *sorted(IMAGES)]
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == [aside]


@pytest.mark.parametrize(
    "body",
    [
        zip_of(MEMBERS)[:-1],
        zip_of(MEMBERS) + b"x",
        b"<html>",
        b"",
        zip_of({}),
        zip_of(members_of(SERIES)),
        zip_of({**MEMBERS, "1-03.dcm": IMAGES["1-01.dcm"]}),
        zip_of({**MEMBERS, "1-03.dcm": dicom_file(replace(SERIES, series_instance_uid="1.2.3"), 3)}),
        zip_of({**MEMBERS, "1-03.dcm": b"no image"}),
        zip_of({**MEMBERS, "1-04.dcm": dicom_file(SERIES, 4)}),
        zip_of({**MEMBERS, "../1-03.dcm": dicom_file(SERIES, 4)}),
        zip_of({**MEMBERS, "md5hashes.csv": MEMBERS["md5hashes.csv"].replace(b"1-01.dcm,", b"1-01.dcm,0")}),
        zip_of({name: MEMBERS[name] for name in ("md5hashes.csv", "LICENSE", *IMAGES)}),
        zip_of({name: content for name, content in MEMBERS.items() if name != "1-03.dcm"}),
    ],
    ids=lambda body: f"{len(body)} bytes",
)
def test_whatever_is_wrong_leaves_nothing_behind(tmp_path: Path, body: bytes) -> None:
    """It is for an ordinary attempt to say what it is: the disk was not touched."""
    library = LocalLibrary(tmp_path)
    before = files_of(tmp_path)
    assert store_whole(whole_of(body), library) is None
    assert files_of(tmp_path) == before
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


@pytest.mark.parametrize(
    "series",
    [
        replace(LISTED, file_size_bytes=None),
        replace(LISTED, file_size_bytes=HELD_BYTES + 1),
        replace(LISTED, image_count=None),
        replace(LISTED, image_count=HELD_IMAGES + 1),
    ],
    ids=["size unknown", "large", "count unknown", "many"],
)
def test_what_might_not_fit_is_not_held(tmp_path: Path, series: Series) -> None:
    """The catalogue's word decides before anything is inflated."""
    assert LocalLibrary(tmp_path).hold(series) is None
    assert store_whole(whole_of(zip_of(MEMBERS), series), LocalLibrary(tmp_path)) is None


def test_a_library_of_zips_keeps_the_zip(tmp_path: Path) -> None:
    """It is written as it comes."""
    assert LocalLibrary(tmp_path, storage=StorageFormat.ZIP).hold(LISTED) is None


def test_a_bomb_is_not_inflated_to_its_end(tmp_path: Path) -> None:
    """However small the catalogue says it is, no more is held than a series that is held may have."""
    bomb = {**MEMBERS, "1-04.dcm": dicom_file(SERIES, 4) + bytes(200 * 1024 * 1024)}
    whole = whole_of(zip_of(bomb))
    tracemalloc.start()
    assert store_whole(whole, LocalLibrary(tmp_path)) is None
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 * HELD_BYTES


def test_no_room_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """The disk is asked once the series is proven, for all of it."""
    library = LocalLibrary(tmp_path, min_free_bytes=1 << 62)
    with pytest.raises(NoSpaceError):
        store_whole(whole_of(zip_of(MEMBERS)), library)
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


def test_something_else_in_the_way_is_an_error(tmp_path: Path) -> None:
    """What is not this series is not replaced."""
    library = LocalLibrary(tmp_path)
    target = tmp_path / library.folder_of(LISTED)
    target.parent.mkdir(parents=True)
    target.write_text("a file of somebody")
    with pytest.raises(LibraryError, match="in the way"):
        store_whole(whole_of(zip_of(MEMBERS)), library)
    assert target.read_text() == "a file of somebody"
