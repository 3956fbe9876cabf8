"""A series that is kept as the ZIP that came: proven in passing, stored byte by byte."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.config.options import StorageFormat
from downloader.errors import NoSpaceError, NotDicomError, TciadError, UnsafeMemberError, WrongSeriesError
from downloader.library.local.library import LocalLibrary
from downloader.library.local.zip_staging import ZipStaging
from downloader.library.receipt import RECEIPT_NAME
from downloader.model import ImageStarted, Receipt
from tests.library.series_streams import SERIES, dicom_file, md5_of, members_of, receipt_of, receipts_of, store, take, take_all
from tests.library.zips import store_zip, take_zip, zip_of

pytestmark = pytest.mark.anyio

ZIP_NAME = f"{SERIES.series_instance_uid}.zip"
OTHER = replace(SERIES, series_instance_uid="1.2.3.4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture(params=["classic", "descriptive", "flat"])
def library(request: pytest.FixtureRequest, root: Path) -> LocalLibrary:
    return LocalLibrary(root, layout=request.param, storage=StorageFormat.ZIP)


def staged(library: LocalLibrary) -> list[str]:
    return [path.name for path in (library._root / ".tciad" / "staging").iterdir()]


def test_the_zip_is_stored_as_it_came(library: LocalLibrary, root: Path) -> None:
    """Byte by byte, lists and licence included, in the folder that the layout gives, with its receipt."""
    folder = store_zip(library, SERIES)
    assert folder == library.folder_of(SERIES)
    assert {path.name for path in (root / folder).iterdir()} == {ZIP_NAME, RECEIPT_NAME}
    assert (root / folder / ZIP_NAME).read_bytes() == zip_of(members_of(SERIES))
    assert (root / "LIDC-IDRI" / "LICENSE").read_text() == "be kind\n"
    assert staged(library) == []


async def test_the_receipt_tells_of_the_zip_and_of_every_image_in_it(library: LocalLibrary) -> None:
    """By the names of the members; sizes are those of the images."""
    folder = store_zip(library, SERIES)
    receipt = library.find_receipt(SERIES)
    assert receipt is not None
    content = zip_of(members_of(SERIES))
    assert receipt.zip is not None
    assert (receipt.zip.name, receipt.zip.size_bytes, receipt.zip.md5) == (ZIP_NAME, len(content), md5_of(content))
    images = {name: member for name, member in members_of(SERIES).items() if name != "LICENSE"}
    assert {image.name: (image.size_bytes, image.md5) for image in receipt.images} == {
        name: (len(member), md5_of(member)) for name, member in images.items()
    }
    assert receipt.stored_bytes == sum(map(len, images.values()))
    assert await receipts_of(library) == [(folder, receipt)]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_nothing_is_in_the_library_before_the_commit(library: LocalLibrary, root: Path) -> None:
    """And nothing in staging after an attempt that failed, in whatever way it ended."""
    for end in (ZipStaging.discard, lambda staging: staging.keep(received_bytes=1, line_broke=True)):
        staging = library.begin(SERIES)
        take_zip(staging, zip_of(members_of(SERIES)))
        assert await receipts_of(library) == []
        assert staging.salvage.images == ()
        assert isinstance(staging, ZipStaging)
        end(staging)
        end(staging)
        assert staged(library) == []
    assert names_in(root) == [".tciad"]


def test_what_a_killed_attempt_left_is_cleared_away(library: LocalLibrary) -> None:
    """Of either format: no ZIP can be continued, and its images are not files."""
    images = LocalLibrary(library._root)
    half = images.begin(SERIES)
    take_all(half, members_of(SERIES))
    half.keep(received_bytes=1000, line_broke=True)
    assert staged(library) != []
    take_zip(library.begin(SERIES), zip_of(members_of(SERIES)))
    store_zip(library, SERIES)
    assert staged(library) == []


def test_a_newer_version_takes_the_place_of_an_older_one(library: LocalLibrary, root: Path) -> None:
    """Whether that was a ZIP or images; the folder changes at once and whole."""
    store(LocalLibrary(root, layout="flat"), OTHER)
    flat = LocalLibrary(root, layout="flat", storage=StorageFormat.ZIP)
    folder = store_zip(flat, OTHER)
    assert {path.name for path in (root / folder).iterdir()} == {"1.2.3.4.zip", RECEIPT_NAME}
    older = store_zip(library, SERIES)
    members = {**members_of(SERIES), "1-04.dcm": dicom_file(SERIES, 4)}
    assert store_zip(library, SERIES, members) == older
    assert zipfile.ZipFile(root / older / ZIP_NAME).namelist() == list(members)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"1-1.dcm": b""}, NotDicomError),
        ({"1-1.dcm": dicom_file(OTHER, 1)}, WrongSeriesError),
        ({"1-1.dcm": dicom_file(SERIES, 1), "1-2.dcm": dicom_file(SERIES, 1)}, WrongSeriesError),
        ({"../1-1.dcm": dicom_file(SERIES, 1)}, UnsafeMemberError),
    ],
)
def test_members_are_proven_by_the_same_rules(library: LocalLibrary, members: dict[str, bytes], error: type[TciadError]) -> None:
    """Nothing of the ZIP is believed after that."""
    staging = library.begin(SERIES)
    with pytest.raises(error):
        take_zip(staging, zip_of(members))
    staging.discard()
    assert staged(library) == []


async def test_a_receipt_of_another_zip_is_our_mistake(library: LocalLibrary) -> None:
    """Nothing is put into the library."""
    staging = library.begin(SERIES)
    take_zip(staging, zip_of(members_of(SERIES)))
    with pytest.raises(TciadError, match="another ZIP than was staged"):
        staging.commit(receipt_of(SERIES, staging.named_images()))
    with pytest.raises(TciadError, match="was received as a single image"):
        take(staging, ImageStarted("", "1.2.3"))
    assert await receipts_of(library) == []


def test_a_zip_of_another_size_is_no_stored_series(library: LocalLibrary, root: Path) -> None:
    """A missing or a longer one is not accepted: the series is fetched again."""
    path = root / store_zip(library, SERIES) / ZIP_NAME
    with path.open("ab") as file:
        file.write(b"\0")
    assert library.find_receipt(SERIES) is None
    path.unlink()
    assert library.find_receipt(SERIES) is None


def test_a_source_without_zips_is_stored_as_images(library: LocalLibrary, root: Path) -> None:
    """There is nothing that could be kept as it was sent; the receipt says what the series is kept as."""
    staging = library.begin(SERIES, has_original=False)
    take_all(staging, members_of(SERIES), is_last=True)
    folder = staging.commit(receipt_of(SERIES, staging.named_images())).folder
    assert sorted(path.name for path in (root / folder).iterdir()) == [RECEIPT_NAME, "1-01.dcm", "1-02.dcm", "1-03.dcm"]


def test_room_is_kept_free_for_zips_too(root: Path) -> None:
    """Before the attempt begins, by the size of the images: the size of the ZIP is unknown."""
    library = LocalLibrary(root, storage=StorageFormat.ZIP, min_free_bytes=1)
    with pytest.raises(NoSpaceError):
        library.begin(replace(SERIES, file_size_bytes=2**60))


async def test_a_stored_zip_is_read_again_image_by_image(library: LocalLibrary) -> None:
    """In portions; the MD5 of the whole stands at the end."""
    folder = store_zip(library, SERIES)
    receipt = library.find_receipt(SERIES)
    assert isinstance(receipt, Receipt)
    contents = await library.reader.open_zip(folder, receipt)
    read = [member for _ in range(3) for member in await contents.next_images(1)]
    assert {member.name: (member.size_bytes, member.md5) for member in read} == {
        image.name: (image.size_bytes, image.md5) for image in receipt.images
    }
    assert await contents.next_images(1) == []
    assert receipt.zip is not None
    assert contents.md5 == receipt.zip.md5
