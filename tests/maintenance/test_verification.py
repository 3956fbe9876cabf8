"""A library against its receipts, its store and the archive: each thing that can be wrong is found, and nothing else."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from random import Random

import pytest

from downloader.archive.port import Source
from downloader.config.options import StorageFormat
from downloader.errors import (
    AccessDeniedError,
    ArchiveUnreachableError,
    CredentialsRejectedError,
    CutTransferError,
    DamagedReceiptError,
    TciadError,
)
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.maintenance.verification import CheckedSeries, Examination, verify_library
from downloader.model import Receipt, Series
from downloader.pacing import Backoff
from downloader.results.findings import FindingKind
from downloader.transport.retrying import RetryPolicy
from tests.fakes.clock import FakeClock
from tests.fakes.memory_archive import MemoryArchive
from tests.fakes.memory_store import MemoryStore
from tests.library.series_streams import SERIES, md5_of, members_of, receipts_of, store
from tests.library.zips import store_zip, zip_of

pytestmark = pytest.mark.anyio

OTHER = replace(SERIES, series_instance_uid="1.2.3.4")


class Place:
    """A library with two series, and the store that knows them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.library = LocalLibrary(root)
        self.store = MemoryStore()
        self.folder = store(self.library, SERIES)
        self.other_folder = store(self.library, OTHER)
        self.archives: dict[str, Source] | None = None

    @property
    def path(self) -> Path:
        return self.root / self.folder

    def image(self, number: int = 0) -> Path:
        """One of the first series' images."""
        return sorted(self.path.glob("*.dcm"))[number]

    async def enter(self) -> None:
        await self.store.restore([(receipt, str(folder)) for folder, receipt in await receipts_of(self.library)])

    async def check(self, *, deep: bool = False) -> list[CheckedSeries]:
        checked: list[CheckedSeries] = []

        async def take(series: CheckedSeries) -> None:
            checked.append(series)

        retry_policy = RetryPolicy(clock=FakeClock(), backoff=Backoff(), attempts=1, draw=Random(1).random)
        examination = Examination(
            reader=self.library.reader,
            store=self.store,
            workers=2,
            deep=deep,
            archives=self.archives,
            retry_policy=retry_policy,
        )
        await verify_library(examination, take)
        return checked

    async def findings(self, *, deep: bool = False) -> list[tuple[FindingKind, str]]:
        """Kind and path of each."""
        return [(finding.kind, finding.path) for one in await self.check(deep=deep) for finding in one.findings]

    async def archive(self) -> MemoryArchive:
        """An archive that has what the library has."""
        archive = MemoryArchive(name="tcia")
        for folder, receipt in await receipts_of(self.library):
            contents = {image.sop_instance_uid: (self.root / folder / image.name).read_bytes() for image in receipt.images}
            archive.rows.append(replace(receipt.series, image_count=3, file_size_bytes=sum(map(len, contents.values()))))
            archive.images[receipt.series.series_instance_uid] = contents
        self.archives = {"tcia": archive}
        return archive


class ZipPlace(Place):
    """A library with two series that are kept as ZIPs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        shutil.rmtree(root / "LIDC-IDRI")
        self.library = LocalLibrary(root, storage=StorageFormat.ZIP)
        self.folder = store_zip(self.library, SERIES)
        self.other_folder = store_zip(self.library, OTHER)

    @property
    def zip(self) -> Path:
        """The first series' ZIP."""
        return self.path / f"{SERIES.series_instance_uid}.zip"

    async def replace_zip(self, members: Mapping[str, bytes]) -> None:
        """Put another ZIP in the place of the first, which the receipt calls the right one in size and MD5."""
        content = zip_of(members)
        self.zip.write_bytes(content)
        receipt = await self.library.reader.receipt_in(self.folder)
        assert receipt is not None
        assert receipt.zip is not None
        told = replace(receipt, zip=replace(receipt.zip, size_bytes=len(content), md5=md5_of(content)))
        (self.path / RECEIPT_NAME).write_bytes(encode_receipt(told))


@pytest.fixture
async def zips(tmp_path: Path) -> ZipPlace:
    """As a run leaves it that keeps ZIPs."""
    place = ZipPlace(tmp_path / "library")
    await place.enter()
    return place


@pytest.mark.parametrize("deep", [False, True])
async def test_nothing_is_found_where_no_zip_is_wrong(zips: ZipPlace, deep: bool) -> None:
    """A deep verification reads every image in the ZIPs."""
    checked = await zips.check(deep=deep)
    assert [finding for one in checked for finding in one.findings] == []
    stored_bytes = sum(receipt.stored_bytes for _, receipt in await receipts_of(zips.library))
    assert sum(one.read_bytes for one in checked) == (stored_bytes if deep else 0)


async def test_a_zip_that_is_gone_cut_or_joined_by_something(zips: ZipPlace) -> None:
    """Names and sizes tell, without reading."""
    path = f"{zips.folder}/{zips.zip.name}"
    (zips.path / "note.txt").write_text("mine")
    zips.zip.write_bytes(zips.zip.read_bytes()[:-1])
    assert await zips.findings() == [(FindingKind.WRONG_SIZE, path), (FindingKind.UNKNOWN_FILE, f"{zips.folder}/note.txt")]
    zips.zip.unlink()
    assert (await zips.findings(deep=True))[0] == (FindingKind.MISSING_IMAGE, path)


async def test_a_bit_that_fell_over_in_a_zip(zips: ZipPlace) -> None:
    """Wherever it is: in an image, or in what lies around the images."""
    content = bytearray(zips.zip.read_bytes())
    path = f"{zips.folder}/{zips.zip.name}"
    for position in (len(content) // 2, 12):  # in an image's data; in the date of the first member
        damaged = bytearray(content)
        damaged[position] ^= 1
        zips.zip.write_bytes(damaged)
        assert await zips.findings() == []
        (found,) = await zips.findings(deep=True)
        assert found[0] in {FindingKind.UNREADABLE_IMAGE, FindingKind.WRONG_MD5}
        assert found[1].startswith(path)


async def test_members_are_compared_with_the_receipt_one_by_one(zips: ZipPlace) -> None:
    """A ZIP that is sound in itself, and is not the one that was proven."""
    members = members_of(SERIES)
    gone, other = members.pop("1-01.dcm"), members["1-02.dcm"]
    await zips.replace_zip(
        {**members, "1-02.dcm": other[:-1] + b"x", "1-03.dcm": members["1-03.dcm"] + b"\0\0", "1-09.dcm": gone}
    )
    path = f"{zips.folder}/{zips.zip.name}"
    assert sorted(await zips.findings(deep=True)) == sorted(
        [
            (FindingKind.MISSING_IMAGE, f"{path}/1-01.dcm"),
            (FindingKind.WRONG_MD5, f"{path}/1-02.dcm"),
            (FindingKind.WRONG_SIZE, f"{path}/1-03.dcm"),
            (FindingKind.WRONG_MD5, f"{path}/1-09.dcm"),
        ]
    )


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    """As a run leaves it."""
    place = Place(tmp_path / "library")
    await place.enter()
    return place


@pytest.mark.parametrize("deep", [False, True])
async def test_nothing_is_found_where_nothing_is_wrong(place: Place, deep: bool) -> None:
    """Every series is reported; only a deep verification reads images."""
    checked = await place.check(deep=deep)
    assert {one.series_instance_uid for one in checked} == {SERIES.series_instance_uid, OTHER.series_instance_uid}
    assert [finding for one in checked for finding in one.findings] == []
    stored_bytes = sum(receipt.stored_bytes for _, receipt in await receipts_of(place.library))
    assert sum(one.read_bytes for one in checked) == (stored_bytes if deep else 0)


async def test_a_missing_image(place: Place) -> None:
    """Also where something else bears its name."""
    place.image(0).unlink()
    place.image(0).unlink()
    (place.path / "notes").mkdir()
    receipt = await place.library.reader.receipt_in(place.folder)
    assert receipt is not None
    assert await place.findings(deep=True) == [
        (FindingKind.MISSING_IMAGE, str(place.folder / receipt.images[0].name)),
        (FindingKind.MISSING_IMAGE, str(place.folder / receipt.images[1].name)),
        (FindingKind.UNKNOWN_FILE, str(place.folder / "notes")),
    ]


async def test_a_size_that_is_wrong_needs_no_reading(place: Place) -> None:
    """An image that was cut."""
    image = place.image()
    image.write_bytes(image.read_bytes()[:-1])
    assert await place.findings() == [(FindingKind.WRONG_SIZE, str(place.folder / image.name))]


async def test_a_flipped_bit_is_found_by_a_deep_verification(place: Place) -> None:
    """And by no other, since the size is right."""
    image = place.image()
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    image.write_bytes(content)
    assert await place.findings() == []
    assert await place.findings(deep=True) == [(FindingKind.WRONG_MD5, str(place.folder / image.name))]


async def test_a_damaged_receipt_is_told_once(place: Place) -> None:
    """With the series, which the store knows; its images are not judged by it."""
    (place.path / RECEIPT_NAME).write_bytes(b"{")
    (checked,) = [one for one in await place.check() if one.findings]
    (finding,) = checked.findings
    assert (finding.kind, finding.series_instance_uid) == (FindingKind.DAMAGED_RECEIPT, SERIES.series_instance_uid)


async def test_a_damaged_receipt_of_nobody(place: Place) -> None:
    """A store that knows of no such folder leaves the series unsaid."""
    (place.root / "more").mkdir()
    (place.root / "more" / RECEIPT_NAME).write_bytes(b"")
    (checked,) = [one for one in await place.check() if one.findings]
    assert checked.findings[0].kind is FindingKind.DAMAGED_RECEIPT
    assert checked.series_instance_uid == ""


@pytest.mark.parametrize("name", ["../../../../secret", "/etc/passwd", "a/b", "..", ".receipt.json"])
async def test_a_hostile_receipt_is_not_followed(place: Place, name: str) -> None:
    """Names that leave the folder damn the whole receipt."""
    content = json.loads((place.path / RECEIPT_NAME).read_bytes())
    content["images"][0]["name"] = name
    (place.path / RECEIPT_NAME).write_text(json.dumps(content))
    assert await place.findings(deep=True) == [(FindingKind.DAMAGED_RECEIPT, str(place.folder))]


async def test_a_series_that_is_gone(place: Place) -> None:
    """The folder, or only its receipt."""
    shutil.rmtree(place.path)
    (place.root / place.other_folder / RECEIPT_NAME).unlink()
    assert sorted(await place.findings()) == [
        (FindingKind.MISSING_FOLDER, str(place.folder)),
        (FindingKind.MISSING_RECEIPT, str(place.other_folder)),
    ]


async def test_a_series_that_the_store_does_not_know(place: Place) -> None:
    """One that is not complete in the store is not found: the next run settles it."""
    place.store = MemoryStore()
    resolve = await place.store.begin_resolve("m", FakeClock().now())
    await place.store.enqueue("m", resolve, "tcia", [OTHER])
    assert await place.findings() == [(FindingKind.NOT_IN_STORE, str(place.folder))]


async def test_a_store_that_says_otherwise(place: Place) -> None:
    """Of how many bytes were proven."""
    receipt = await place.library.reader.receipt_in(place.folder)
    assert receipt is not None
    await place.store.restore([(replace(receipt, images=receipt.images[:2]), str(place.folder))])
    assert await place.findings() == [(FindingKind.STORE_DIFFERS, str(place.folder))]


async def test_a_folder_that_was_moved_or_copied(place: Place) -> None:
    """The store looks for the series where it was; a copy is one too many."""
    shutil.copytree(place.path, place.root / "copy")
    assert await place.findings() == [(FindingKind.SECOND_COPY, "copy")]
    shutil.rmtree(place.path)
    assert await place.findings() == [
        (FindingKind.OTHER_FOLDER, "copy"),
        (FindingKind.MISSING_FOLDER, str(place.folder)),
    ]


async def test_a_folder_that_the_store_knows_by_another_name_is_no_second_copy(place: Place) -> None:
    """A link leads there, or the file system ignores the case of names: to set one of the two aside would leave nothing."""
    await place.enter()
    collection = place.root / place.folder.parts[0]
    collection.rename(place.root / "elsewhere")
    collection.symlink_to("elsewhere")
    assert await place.findings() == []


async def test_what_a_run_replaces_meanwhile_is_looked_at_again(place: Place) -> None:
    """A newer version took the place of the folder after its receipt was read."""
    receipt = await place.library.reader.receipt_in(place.folder)
    assert receipt is not None
    stale = replace(receipt, images=tuple(replace(image, size_bytes=1) for image in receipt.images))

    class Replaced(LocalLibrary):
        def folders(self) -> Iterator[tuple[PurePosixPath, Receipt | DamagedReceiptError]]:
            yield PurePosixPath(place.folder), stale

    place.library = Replaced(place.root)
    assert await place.findings(deep=True) == []


async def test_the_archive_vouches_for_every_series(place: Place) -> None:
    """Without a single download."""
    archive = await place.archive()
    assert await place.findings() == []
    assert archive.opened == []


async def test_what_the_archive_has_otherwise(place: Place) -> None:
    """Changed, withdrawn, or not to be had."""
    archive = await place.archive()
    archive.rows = [row for row in archive.rows if row.series_instance_uid != OTHER.series_instance_uid]
    archive.images.pop(OTHER.series_instance_uid)
    changed = archive.images[SERIES.series_instance_uid]
    changed[next(iter(changed))] = b"re-curated"
    assert sorted(await place.findings()) == sorted(
        [
            (FindingKind.UPSTREAM_DIFFERS, str(place.folder)),
            (FindingKind.UPSTREAM_UNKNOWN, str(place.other_folder)),
        ]
    )
    place.archives = {}
    assert {kind for kind, _ in await place.findings()} == {FindingKind.UPSTREAM_UNKNOWN}


async def test_a_refusal_concerns_one_series_and_an_outage_all(place: Place) -> None:
    """The second ends the verification."""
    archive = await place.archive()
    refusals: list[TciadError] = [AccessDeniedError("not for you"), CutTransferError("the connection ended")]
    for refusal in refusals:
        archive.failures = [refusal]
        assert [kind for kind, _ in await place.findings()] == [FindingKind.UPSTREAM_UNKNOWN]
    outages: list[TciadError] = [ArchiveUnreachableError("no route"), CredentialsRejectedError("no")]
    for outage in outages:
        archive.failures = [outage]
        with pytest.raises(type(outage)):
            await place.check()


async def test_memory_of_a_series_is_let_go(tmp_path: Path) -> None:
    """More series than are held at once, each found once."""
    place = Place(tmp_path)
    receipt = await place.library.reader.receipt_in(place.folder)
    assert receipt is not None
    for number in range(150):
        series = Series(series_instance_uid=f"1.9.{number}")
        folder = place.root / "many" / series.series_instance_uid
        folder.mkdir(parents=True)
        (folder / RECEIPT_NAME).write_bytes(encode_receipt(replace(receipt, series=series, images=())))
    await place.enter()
    assert len(await place.check()) == 152
    shutil.rmtree(place.root / "many")
    assert len(await place.findings()) == 150
