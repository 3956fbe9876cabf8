"""How series come into a library."""

from dataclasses import replace

import pytest

from downloader.errors import NotDicomError, TciadError, WrongSeriesError
from downloader.library.changes import Change, ChangeKind
from downloader.library.port import Library
from downloader.model import Identity, ImageStarted
from tests.library.contract.subjects import Subject
from tests.library.series_streams import SERIES, dicom_file, md5_of, members_of, receipt_of, receipts_of, store, take, take_all

pytestmark = pytest.mark.anyio

OTHER = replace(SERIES, series_instance_uid=f"{SERIES.series_instance_uid}9", series_description="other")


def test_a_series_is_stored_as_it_came(library: Library, subject: Subject) -> None:
    """Byte by byte, under its names, in the folder that was foretold."""
    foretold = library.folder_of(SERIES)
    folder = store(library, SERIES)
    members = members_of(SERIES)
    del members["LICENSE"]
    assert folder == foretold == library.folder_of(SERIES)
    assert subject.files_in(folder) == members


async def test_a_stored_series_has_a_receipt(library: Library) -> None:
    """It is found by its series, and in the walk through all."""
    assert library.find_receipt(SERIES) is None
    folder = store(library, SERIES)
    receipt = library.find_receipt(SERIES)
    assert receipt is not None
    assert receipt.series == SERIES
    assert [image.name for image in receipt.images] == ["1-01.dcm", "1-02.dcm", "1-03.dcm"]
    assert receipt.images[0].md5 == md5_of(members_of(SERIES)["1-01.dcm"])
    assert await receipts_of(library) == [(folder, receipt)]


async def test_nothing_is_in_the_library_before_commit(library: Library) -> None:
    """A series appears whole or not at all."""
    staging = library.begin(SERIES)
    take_all(staging, members_of(SERIES))
    assert staging.images_written == 3
    assert library.find_receipt(SERIES) is None
    assert await receipts_of(library) == []
    staging.discard()
    assert await library.leftovers.clear_staging() == 0


def test_staging_tells_what_came(library: Library) -> None:
    """For the rules of completeness: identity, size and MD5 of images in order of arrival."""
    images = {name: content for name, content in members_of(SERIES).items() if name != "LICENSE"}
    staging = library.begin(SERIES)
    take_all(staging, members_of(SERIES))
    assert [image.member_name for image in staging.arrived] == ["1-02.dcm", "1-01.dcm", "1-03.dcm"]
    assert [image.instance_number for image in staging.arrived] == [2, 1, 3]
    assert [image.size_bytes for image in staging.arrived] == [len(images[image.member_name]) for image in staging.arrived]
    assert [image.md5 for image in staging.arrived] == [md5_of(images[image.member_name]) for image in staging.arrived]
    assert {image.series_instance_uid for image in staging.arrived} == {SERIES.series_instance_uid}
    staging.discard()


@pytest.mark.parametrize("is_last", [True, False], ids=["in memory", "on the disk"])
@pytest.mark.parametrize(
    ("licence", "stored"), [({}, b"CC BY 3.0\nhttps://"), ({"LICENSE": b""}, b"CC BY 3.0\n"), ({"LICENSE": b"x"}, b"x")]
)
def test_the_licence_that_came_is_stored(
    library: Library, subject: Subject, licence: dict[str, bytes], stored: bytes, is_last: bool
) -> None:
    """The archive sends an empty one when it has none: then that of the catalogue's row is stored."""
    staging = library.begin(SERIES)
    take_all(staging, {**licence, "1-1.dcm": dicom_file(SERIES, 1)}, is_last=is_last)
    staging.commit(receipt_of(SERIES, staging.named_images()))
    (text,) = subject.licences
    assert text.startswith(stored)


def test_a_new_attempt_has_what_the_last_one_left(library: Library) -> None:
    """Whole images, but not among what its own stream brings; it may end with more of them, and all are stored."""
    take_all(library.begin(SERIES), {"LICENSE": b"be kind\n", "1-01.dcm": dicom_file(SERIES, 1)})
    second = library.begin(SERIES)
    assert [image.sop_instance_uid for image in second.salvage.images] == [f"{SERIES.series_instance_uid}.1"]
    assert second.arrived == ()
    assert second.images_written == 0
    take_all(second, {"1-02.dcm": dicom_file(SERIES, 2)})
    second.commit(receipt_of(SERIES, second.named_images()))
    receipt = library.find_receipt(SERIES)
    assert receipt is not None
    assert [image.name for image in receipt.images] == ["1-01.dcm", "1-02.dcm"]


async def test_a_series_is_replaced_whole(library: Library, subject: Subject) -> None:
    """After a new version of the series nothing of the old one is left."""
    store(library, SERIES)
    newer = {"1-1.dcm": dicom_file(SERIES, 9)}
    folder = store(library, SERIES, newer)
    assert subject.files_in(folder) == newer
    assert await library.leftovers.clear_staging() == 0


async def test_a_doubted_series_counts_for_nothing_until_it_is_replaced(library: Library, subject: Subject) -> None:
    """In its own place; what was doubted is kept in quarantine, and no change stays under way."""
    folder = store(library, SERIES)
    doubt = Change(kind=ChangeKind.DOUBT, series_instance_uid=SERIES.series_instance_uid, folder=folder)
    record = await library.changes.begin([doubt])
    await library.changes.carry_out(doubt)
    await library.changes.end(record)
    assert library.find_receipt(SERIES) is None
    assert not await library.reader.is_whole(folder, SERIES.series_instance_uid)
    assert await receipts_of(library) == []
    doubted = subject.files_in(folder)
    newer = {"1-1.dcm": dicom_file(SERIES, 9)}
    staging = library.begin(SERIES)
    take_all(staging, newer)
    place = staging.commit(receipt_of(SERIES, staging.named_images()))
    assert (place.folder, subject.files_in(folder), subject.files_in(place.quarantined or folder)) == (folder, newer, doubted)
    assert list(await library.changes.unfinished()) == []


async def test_two_series_never_share_a_folder(library: Library) -> None:
    """Even where the layout gives both the same name (docs/faults.md, trap 34)."""
    twin = replace(SERIES, series_instance_uid=f"1.9{SERIES.series_instance_uid[3:]}")
    one, other = store(library, SERIES), store(library, twin)
    assert one != other
    assert library.folder_of(SERIES) == one
    assert library.folder_of(twin) == other
    assert {receipt.series for _, receipt in await receipts_of(library)} == {SERIES, twin}
    assert store(library, twin) == other
    assert store(library, SERIES) == one


def test_whoever_is_put_beside_another_is_told_so(library: Library) -> None:
    """Also when it comes again; the one that was first has the place of the layout."""
    twin = replace(SERIES, series_instance_uid=f"1.9{SERIES.series_instance_uid[3:]}")
    for series in (SERIES, twin, twin, SERIES):
        staging = library.begin(series)
        take_all(staging, members_of(series))
        place = staging.commit(receipt_of(series, staging.named_images()))
        assert place.stepped_aside is (place.folder != library.best_folder(series))
        assert place.stepped_aside is (series is twin and library.best_folder(twin) == library.best_folder(SERIES))


def test_discard_is_harmless_after_commit_and_twice(library: Library) -> None:
    """A clean-up need not know how far the attempt came."""
    store(library, SERIES)
    staging = library.begin(OTHER)
    take(staging, ImageStarted("1-1.dcm"))
    staging.discard()
    staging.discard()
    assert library.find_receipt(SERIES) is not None


async def test_staging_of_dead_runs_is_cleared(library: Library) -> None:
    """And counted; the library itself is left alone."""
    folder = store(library, SERIES)
    for series in (SERIES, OTHER):
        take(library.begin(series), ImageStarted("1-1.dcm"))
    assert await library.leftovers.clear_staging() == 2
    assert await library.leftovers.clear_staging() == 0
    assert [found for found, _ in await receipts_of(library)] == [folder]


async def test_what_is_staged_of_one_series_can_be_dropped(library: Library) -> None:
    """With all that tells of it, whatever lies there, and nothing else of the library."""
    folder = store(library, SERIES)
    for series in (SERIES, OTHER):
        staging = library.begin(series)
        take(staging, ImageStarted("1-1.dcm"))
        staging.keep(received_bytes=1, line_broke=True)
    library.drop_staged(SERIES)
    library.drop_staged(SERIES)
    assert [staged.series_instance_uid for staged in await library.leftovers.staged_series()] == [OTHER.series_instance_uid]
    assert await library.leftovers.clear_staging() == 1
    assert [found for found, _ in await receipts_of(library)] == [folder]


@pytest.mark.parametrize("name", ["00000001.5/IMG1", "00000001.DCM", "image", "..dcm", "a..b", "license", "x/LICENSE", "ü.dcm"])
def test_an_odd_name_is_only_odd(library: Library, name: str) -> None:
    """Real archives have such; the image gets a name of ours."""
    store(library, SERIES, {name: dicom_file(SERIES, 1)})
    receipt = library.find_receipt(SERIES)
    assert receipt is not None
    assert [image.name for image in receipt.images] == ["1-1.dcm"]


@pytest.mark.parametrize("content", [b"<html>no</html>", b"\0" * 128 + b"DIC", b"x" * 5000])
def test_a_member_that_is_no_image_is_doubted(library: Library, content: bytes) -> None:
    """Everything but LICENSE and the MD5 list must be DICOM, unless the list that comes last vouches for it."""
    staging = library.begin(SERIES)
    take_all(staging, {"annotation.xml": content})
    (image,) = staging.arrived
    assert "annotation" in image.doubt
    assert (image.identity, image.series_instance_uid) == (Identity.UNREAD, "")
    staging.discard()


def test_an_empty_member_is_refused(library: Library) -> None:
    """No image has no bytes, whatever a list may say."""
    staging = library.begin(SERIES)
    with pytest.raises(NotDicomError, match=r"annotation.* is empty"):
        take_all(staging, {"annotation.xml": b""})
    staging.discard()


def test_what_is_doubted_is_not_kept_for_another_attempt(library: Library) -> None:
    """That one may come without a list that vouches for it."""
    staging = library.begin(SERIES)
    take_all(staging, {"1-1.dcm": dicom_file(SERIES, 1), "1-2.dcm": b"x" * 500, "1-3.dcm": dicom_file(SERIES, 3)})
    staging.keep(received_bytes=1, line_broke=True)
    assert all(image.identity is Identity.READ for image in library.begin(SERIES).salvage.images)


def test_an_image_of_another_series_is_refused(library: Library) -> None:
    """A request for one series must not bring another."""
    staging = library.begin(SERIES)
    with pytest.raises(WrongSeriesError, match=r"series 1\.3\.6\.1\.4\.1\.14519\.5\.2\.1\.1009"):
        take_all(staging, {"1-1.dcm": dicom_file(OTHER, 1)})
    staging.discard()


def test_an_image_that_comes_twice_is_refused(library: Library) -> None:
    """Under whatever name."""
    staging = library.begin(SERIES)
    with pytest.raises(WrongSeriesError, match="twice"):
        take_all(staging, {"1-1.dcm": dicom_file(SERIES, 1), "1-2.dcm": dicom_file(SERIES, 1)})
    staging.discard()


def test_a_receipt_of_other_images_is_not_written(library: Library) -> None:
    """A receipt is true, or does not exist."""
    staging = library.begin(SERIES)
    take_all(staging, members_of(SERIES))
    with pytest.raises(TciadError, match="other images"):
        staging.commit(receipt_of(SERIES, staging.named_images()[:2]))
    staging.discard()
    assert library.find_receipt(SERIES) is None
