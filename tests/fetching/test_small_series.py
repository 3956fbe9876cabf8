"""A small series that comes in one portion is stored in one go, and only if everything about it is as it must be."""

import os
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from downloader.errors import LibraryError, NoSpaceError, TciadError
from downloader.fetching.attempt import AttemptContext, FetchedSeries, fetch_series
from downloader.library.local.library import LocalLibrary
from downloader.library.local.staging import HELD_BYTES, HELD_IMAGES
from downloader.model import LicenseReceived, Md5Mode, Series, TextStarted
from tests.archive.transfers import zip_of
from tests.fakes.clock import FakeClock
from tests.fakes.memory_archive import MemoryArchive, MemoryBody
from tests.library.series_streams import SERIES, dicom_file, md5_of, members_of, receipt_of, take, take_all

pytestmark = pytest.mark.anyio
IMAGES = {name: content for name, content in members_of(SERIES).items() if name != "LICENSE"}
LISTED = replace(SERIES, file_size_bytes=sum(map(len, IMAGES.values())))
Fetch = Callable[..., Awaitable[FetchedSeries]]


def with_list(images: dict[str, bytes]) -> dict[str, bytes]:
    """What a ZIP of these images holds, with the MD5 list that ends it."""
    lines = "".join(f"{name},{md5_of(content)}\n" for name, content in images.items())
    return {"LICENSE": b"be kind\n", **images, "md5hashes.csv": f"Filename,MD5Hash\n{lines}".encode()}


MEMBERS = with_list(IMAGES)


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """One attempt at a series whose ZIP comes in one portion."""

    async def attempt(body: bytes, series: Series = LISTED, library: LocalLibrary | None = None) -> FetchedSeries:
        archive = MemoryArchive(rows=[series])
        archive.answers[series.series_instance_uid] = [MemoryBody(pieces=[body], md5_list_expected=True)]
        context = AttemptContext(
            archive=archive,
            library=library or LocalLibrary(tmp_path),
            clock=FakeClock(),
            threads=anyio.CapacityLimiter(1),
            md5=Md5Mode.AUTO,
            listener=lambda _received: None,
        )
        return await fetch_series(series, context)

    return attempt


def files_of(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def staged(root: Path) -> list[Path]:
    return list((root / ".tciad" / "staging").iterdir())


async def test_it_is_stored_as_it_came_with_its_receipt(fetch: Fetch, tmp_path: Path) -> None:
    """Nothing is left in staging."""
    body = zip_of(MEMBERS)
    stored = await fetch(body)
    library = LocalLibrary(tmp_path)
    assert stored.place.folder == library.folder_of(LISTED)
    assert stored.receipt == library.find_receipt(LISTED)
    assert {name: (tmp_path / stored.place.folder / name).read_bytes() for name in IMAGES} == IMAGES
    assert stored.receipt.received_bytes == len(body)
    assert (stored.receipt.proof.md5_images, stored.receipt.proof.size) == (3, True)
    assert (tmp_path / LISTED.collection / "LICENSE").read_bytes() == b"be kind\n"
    assert staged(tmp_path) == []


async def test_a_licence_that_came_before_the_rest_leaves_nothing_behind(tmp_path: Path) -> None:
    """On a slow line it is a portion of its own: no journal stays in staging, and no file stays open."""
    library = LocalLibrary(tmp_path)
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    staging = library.begin(SERIES, "claim")
    take(staging, TextStarted(), LicenseReceived(b"be kind\n"))
    take_all(staging, IMAGES, is_last=True)
    staging.commit(receipt_of(SERIES, staging.named_images()))
    assert (tmp_path / LISTED.collection / "LICENSE").read_bytes() == b"be kind\n"
    assert staged(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208 - a Path would open one more


async def test_a_new_version_takes_the_place_of_the_old_one(fetch: Fetch, tmp_path: Path) -> None:
    """In one exchange, and nothing of the old one stays."""
    await fetch(zip_of(MEMBERS))
    newer = {"1-1.dcm": dicom_file(SERIES, 9)}
    stored = await fetch(zip_of(with_list(newer)), replace(LISTED, image_count=1, file_size_bytes=len(newer["1-1.dcm"])))
    assert files_of(tmp_path / stored.place.folder) == [".receipt.json", "1-1.dcm"]
    assert staged(tmp_path) == []


async def test_what_a_dead_attempt_left_is_no_part_of_it(fetch: Fetch, tmp_path: Path) -> None:
    """A folder of the series in staging is made anew. What a swap put aside is for the start of a run to judge, not for this."""
    library = LocalLibrary(tmp_path)
    leftover = tmp_path / ".tciad" / "staging" / LISTED.series_instance_uid
    (leftover / "deep").mkdir(parents=True)
    (leftover / "00000000.part").write_bytes(b"half")
    aside = leftover.with_name(f"{leftover.name}.old")
    aside.mkdir()
    stored = await fetch(zip_of(MEMBERS), library=library)
    assert files_of(tmp_path / stored.place.folder) == [".receipt.json", *sorted(IMAGES)]
    assert staged(tmp_path) == [aside]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
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
async def test_what_came_and_is_wrong_is_not_published(fetch: Fetch, tmp_path: Path, body: bytes) -> None:
    """Nothing of it is believed: neither in the library nor in staging is anything left but what it cost, where it broke off."""
    with pytest.raises(TciadError):
        await fetch(body)
    assert LocalLibrary(tmp_path).find_receipt(LISTED) is None
    assert LocalLibrary(tmp_path).begin(LISTED).salvage.images == ()
    assert [name for name in files_of(tmp_path) if name.endswith(".part")] == []


@pytest.mark.parametrize("missing_bytes", [1, 400])
async def test_whole_images_outlive_a_zip_that_ends_too_early(fetch: Fetch, tmp_path: Path, missing_bytes: int) -> None:
    """They were in memory only, and are on the disk for the next attempt."""
    with pytest.raises(TciadError):
        await fetch(zip_of(MEMBERS)[:-missing_bytes])
    kept = LocalLibrary(tmp_path).begin(LISTED).salvage
    assert {image.md5 for image in kept.images} == set(map(md5_of, IMAGES.values()))
    assert kept.broken_streams == 1


@pytest.mark.parametrize(
    "images",
    [
        {f"1-{number:03}.dcm": dicom_file(SERIES, number) for number in range(HELD_IMAGES + 5)},
        {f"1-{number}.dcm": dicom_file(SERIES, number) + bytes(HELD_BYTES // 3) for number in range(1, 6)},
    ],
    ids=["many", "large"],
)
async def test_a_series_that_grows_too_large_goes_on_on_the_disk(fetch: Fetch, tmp_path: Path, images: dict[str, bytes]) -> None:
    """Whatever the catalogue said; nothing is lost on the way there."""
    listed = replace(LISTED, image_count=len(images), file_size_bytes=sum(map(len, images.values())))
    body = zip_of(with_list(images))
    with pytest.raises(TciadError):
        await fetch(body[:-1], listed)
    assert {image.md5 for image in LocalLibrary(tmp_path).begin(listed).salvage.images} == set(map(md5_of, images.values()))
    await LocalLibrary(tmp_path).leftovers.clear_staging()
    stored = await fetch(body, listed)
    folder = tmp_path / stored.place.folder
    assert sorted(md5_of(path.read_bytes()) for path in folder.glob("*.dcm")) == sorted(map(md5_of, images.values()))
    assert (tmp_path / LISTED.collection / "LICENSE").read_bytes() == b"be kind\n"
    assert staged(tmp_path) == []


async def test_a_bomb_is_not_held(fetch: Fetch, tmp_path: Path) -> None:
    """However small the catalogue says it is, no more is in memory than a series that is held may have."""
    body = zip_of({**MEMBERS, "1-04.dcm": dicom_file(SERIES, 4) + bytes(200 * 1024 * 1024)})
    tracemalloc.start()
    with pytest.raises(TciadError, match="inflates to more than is allowed"):
        await fetch(body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 * HELD_BYTES
    assert staged(tmp_path) == []


async def test_no_room_is_an_error_and_leaves_nothing(fetch: Fetch, tmp_path: Path) -> None:
    """The disk is asked before the archive is."""
    with pytest.raises(NoSpaceError):
        await fetch(zip_of(MEMBERS), library=LocalLibrary(tmp_path, min_free_bytes=1 << 62))
    assert staged(tmp_path) == []


async def test_something_else_in_the_way_is_an_error(fetch: Fetch, tmp_path: Path) -> None:
    """What is not this series is not replaced."""
    target = tmp_path / LocalLibrary(tmp_path).folder_of(LISTED)
    target.parent.mkdir(parents=True)
    target.write_text("a file of somebody")
    with pytest.raises(LibraryError, match="in the way"):
        await fetch(zip_of(MEMBERS))
    assert target.read_text() == "a file of somebody"
