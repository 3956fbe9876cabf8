"""A series of a source that knows no ZIPs goes the same way: staged, proven, published, and continued where it broke off."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from downloader.config.options import StorageFormat
from downloader.errors import CutTransferError, DigestMismatchError, IncompleteSeriesError
from downloader.fetching.attempt import AttemptContext, FetchedSeries, fetch_series
from downloader.library.local.library import LocalLibrary
from downloader.model import Md5Mode, Proof
from tests.fakes.clock import FakeClock
from tests.fakes.object_archive import ObjectArchive
from tests.library.series_streams import SERIES, dicom_file, md5_of

pytestmark = pytest.mark.anyio
Fetch = Callable[..., Awaitable[FetchedSeries]]
IMAGES = {f"{SERIES.series_instance_uid}.{number}": dicom_file(SERIES, number) for number in (1, 2, 3)}
LISTED = replace(SERIES, file_size_bytes=sum(map(len, IMAGES.values())))


@pytest.fixture
def archive() -> ObjectArchive:
    return ObjectArchive(rows=[LISTED], images={SERIES.series_instance_uid: dict(IMAGES)})


@pytest.fixture
def fetch(archive: ObjectArchive, tmp_path: Path) -> Fetch:
    """Attempts at the series, each with a new library, as of a new process."""

    async def attempt(storage: StorageFormat = StorageFormat.IMAGES, md5: Md5Mode = Md5Mode.AUTO) -> FetchedSeries:
        context = AttemptContext(
            archive=archive,
            library=LocalLibrary(tmp_path, storage=storage),
            clock=FakeClock(),
            threads=anyio.CapacityLimiter(1),
            md5=md5,
            listener=lambda _received: None,
        )
        return await fetch_series(LISTED, context)

    return attempt


def stored(root: Path, fetched: FetchedSeries) -> dict[str, bytes]:
    """The images in the library."""
    folder = root / fetched.place.folder
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".receipt.json"}


@pytest.mark.parametrize("storage", StorageFormat)
async def test_it_is_stored_and_proven_by_its_listing(fetch: Fetch, tmp_path: Path, storage: StorageFormat) -> None:
    """As images in any library: there is no ZIP that could be kept."""
    fetched = await fetch(storage)
    assert fetched.receipt.proof == Proof(size=True, md5_images=3, md5_blank=0, md5_list=True)
    assert (fetched.receipt.archive, fetched.receipt.zip) == ("objects", None)
    assert stored(tmp_path, fetched) == {f"1-{number}.dcm": content for number, content in enumerate(IMAGES.values(), start=1)}
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []
    assert LocalLibrary(tmp_path).find_receipt(LISTED) == fetched.receipt


async def test_without_digests_count_and_size_prove_it(fetch: Fetch) -> None:
    """As they prove a ZIP without a list."""
    assert (await fetch(md5=Md5Mode.OFF)).receipt.proof == Proof(size=True, md5_images=0, md5_blank=3, md5_list=False)


async def test_whole_images_outlive_a_broken_transfer(archive: ObjectArchive, fetch: Fetch, tmp_path: Path) -> None:
    """What came is not asked for again: the rest comes singly."""
    archive.sent_bytes = sum(map(len, IMAGES.values())) - 10
    with pytest.raises(CutTransferError):
        await fetch()
    fetched = await fetch()
    assert len(archive.opened) == 1
    assert fetched.receipt.proof == Proof(size=True, md5_images=3, md5_blank=0, merged=True, md5_list=False)
    assert sorted(map(md5_of, stored(tmp_path, fetched).values())) == sorted(map(md5_of, IMAGES.values()))


async def test_other_images_than_the_catalogue_counts_are_not_published(
    archive: ObjectArchive, fetch: Fetch, tmp_path: Path
) -> None:
    """An object more than the row says, and none of them is kept."""
    archive.images[SERIES.series_instance_uid]["1.2.3"] = dicom_file(SERIES, 4)
    with pytest.raises(IncompleteSeriesError, match="4 of 3"):
        await fetch()
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


async def test_an_object_that_is_not_what_its_listing_says_is_refused(archive: ObjectArchive, fetch: Fetch) -> None:
    """The digest of the listing decides, although count and size fit."""
    first, content = next(iter(IMAGES.items()))
    archive.damaged[first] = content[:-1] + b"\xff"
    with pytest.raises(DigestMismatchError):
        await fetch()
