"""What staging keeps from one attempt to the next, and what it does not believe. A new library stands for a new process."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from downloader.errors import NotDicomError, WrongSeriesError
from downloader.library.local.journal import journal_path
from downloader.library.local.library import LocalLibrary
from downloader.library.receipt import RECEIPT_NAME
from downloader.library.sink import Salvage, Staging
from downloader.model import ImageData, ImageEnded, ImageEvent, ImageStarted, Series
from tests.library.series_streams import SERIES, dicom_file, md5_of, receipt_of, take, take_all

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = (dicom_file(SERIES, number) for number in (1, 2, 3))
CUT_TWO = TWO[:-100]


def sop(number: int) -> str:
    return f"{SERIES.series_instance_uid}.{number}"


def single(sop_instance_uid: str, *pieces: bytes) -> list[ImageEvent]:
    """An image that was asked for by its UID."""
    return [ImageStarted("", sop_instance_uid), *map(ImageData, pieces), ImageEnded()]


def found(staging: Staging) -> list[str]:
    return [image.sop_instance_uid for image in staging.salvage.images]


def staging_folder(library: Path) -> Path:
    return library / ".tciad" / "staging" / SERIES.series_instance_uid


def break_off(library: LocalLibrary, members: dict[str, bytes], series: Series = SERIES) -> None:
    """An attempt whose line broke within the member after these."""
    staging = library.begin(series)
    take_all(staging, members)
    take(staging, ImageStarted("1-99.dcm"))
    take(staging, ImageData(THREE[:500]))
    staging.keep(received_bytes=1000, line_broke=True)


def test_what_a_broken_attempt_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    """Images, licence, and what it cost; not the image in flight."""
    break_off(LocalLibrary(tmp_path), {"LICENSE": b"be kind\n", "1-1.dcm": ONE, "1-2.dcm": TWO})
    break_off(LocalLibrary(tmp_path), {"1-1.dcm": ONE})
    staging = LocalLibrary(tmp_path).begin(SERIES)
    assert found(staging) == [sop(1), sop(2)]
    assert [image.md5 for image in staging.images()] == [md5_of(ONE), md5_of(TWO)]
    assert (staging.salvage.received_bytes, staging.salvage.broken_streams) == (2000, 2)
    assert len(list(staging_folder(tmp_path).iterdir())) == 2
    take_all(staging, {"1-3.dcm": THREE})
    folder = staging.commit(receipt_of(SERIES, staging.named_images())).folder
    assert sorted(path.name for path in (tmp_path / folder).iterdir()) == [RECEIPT_NAME, "1-1.dcm", "1-2.dcm", "1-3.dcm"]
    assert (tmp_path / "LIDC-IDRI" / "LICENSE").read_bytes() == b"be kind\n"
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


def test_a_killed_process_loses_only_the_image_in_flight(tmp_path: Path) -> None:
    """Without `keep`: each image was noted when it ended."""
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take_all(staging, {"1-1.dcm": ONE, "1-2.dcm": TWO})
    take(staging, ImageStarted("1-3.dcm"))
    take(staging, ImageData(THREE[:500]))
    assert found(LocalLibrary(tmp_path).begin(SERIES)) == [sop(1), sop(2)]


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_a_process_killed_within_its_commit_loses_nothing(tmp_path: Path, renamed: int) -> None:
    """The receipt is written before the first image gets its name, and tells which is which."""
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take_all(staging, {"1-1.dcm": ONE, "1-2.dcm": TWO})
    receipt = receipt_of(SERIES, staging.named_images())
    (tmp_path / "LIDC-IDRI").write_text("stops the commit before the series gets its place")
    with pytest.raises(Exception, match="LIDC-IDRI"):
        staging.commit(receipt)
    for image, part in list(zip(receipt.images, ("00000000.part", "00000001.part"), strict=True))[renamed:]:
        (staging_folder(tmp_path) / image.name).rename(staging_folder(tmp_path) / part)
    again = LocalLibrary(tmp_path).begin(SERIES)
    assert found(again) == [sop(1), sop(2)]
    assert len(list(staging_folder(tmp_path).iterdir())) == 2
    (tmp_path / "LIDC-IDRI").unlink()
    again.commit(receipt)
    assert LocalLibrary(tmp_path).find_receipt(SERIES) is not None


def shortened(folder: Path) -> None:
    (folder / "00000000.part").write_bytes(ONE[:-1])


def altered(folder: Path) -> None:
    (folder / "00000000.part").write_bytes(ONE[:-1] + b"\xff")


def removed(folder: Path) -> None:
    (folder / "00000000.part").unlink()


def made_a_folder(folder: Path) -> None:
    (folder / "00000000.part").unlink()
    (folder / "00000000.part").mkdir()


def made_a_link(folder: Path) -> None:
    elsewhere = folder.parent.parent / "elsewhere"
    (folder / "00000000.part").rename(elsewhere)
    (folder / "00000000.part").symlink_to(elsewhere)


@pytest.mark.parametrize("tamper", [shortened, altered, removed, made_a_folder, made_a_link])
def test_a_staged_image_that_is_not_what_came_is_not_believed(tmp_path: Path, tamper: Callable[[Path], None]) -> None:
    """It is removed, and the others stay."""
    break_off(LocalLibrary(tmp_path), {"1-1.dcm": ONE, "1-2.dcm": TWO})
    tamper(staging_folder(tmp_path))
    assert found(LocalLibrary(tmp_path).begin(SERIES)) == [sop(2)]
    assert [path.name for path in staging_folder(tmp_path).iterdir()] == ["00000001.part"]


@pytest.mark.parametrize("end", [b'{"image": {"posi', b"\0\0\0\0", b"not JSON\n", b'{"image": {}}\n'])
def test_a_journal_is_believed_up_to_where_it_is_torn(tmp_path: Path, end: bytes) -> None:
    """And goes on from there, twice."""
    break_off(LocalLibrary(tmp_path), {"1-1.dcm": ONE})
    with journal_path(staging_folder(tmp_path)).open("ab") as journal:
        journal.write(end)
    break_off(LocalLibrary(tmp_path), {"1-2.dcm": TWO})
    assert found(LocalLibrary(tmp_path).begin(SERIES)) == [sop(1), sop(2)]


@pytest.mark.parametrize("content", [b"", b"{}\n", b"x", b'{"series": {}}\n', b"\xff\n"])
def test_a_journal_that_does_not_begin_as_one_tells_nothing(tmp_path: Path, content: bytes) -> None:
    """What lies there is removed."""
    break_off(LocalLibrary(tmp_path), {"1-1.dcm": ONE})
    journal_path(staging_folder(tmp_path)).write_bytes(content)
    assert LocalLibrary(tmp_path).begin(SERIES).salvage == Salvage()
    assert not staging_folder(tmp_path).exists()


@pytest.mark.parametrize(
    "changed",
    [
        replace(SERIES, image_count=4),
        replace(SERIES, file_size_bytes=99),
        replace(SERIES, date_released=date(2026, 1, 1)),
    ],
)
def test_nothing_is_kept_of_a_series_that_was_changed(tmp_path: Path, changed: Series) -> None:
    """An image of the old version could have the identity and even the size of one of the new."""
    known = replace(SERIES, file_size_bytes=98, date_released=date(2025, 1, 1))
    break_off(LocalLibrary(tmp_path), {"1-1.dcm": ONE}, known)
    told = replace(
        changed, file_size_bytes=changed.file_size_bytes or 98, date_released=changed.date_released or date(2025, 1, 1)
    )
    assert LocalLibrary(tmp_path).begin(told).salvage == Salvage()


def test_an_image_that_comes_again_is_written_once_and_named_as_it_came_last(tmp_path: Path) -> None:
    """The archive numbers its members anew for every download (docs/archives.md#image-endpoints)."""
    break_off(LocalLibrary(tmp_path), {"00000001.dcm": ONE, "00000002.dcm": TWO})
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take_all(staging, {"00000001.dcm": TWO, "00000002.dcm": THREE, "00000003.dcm": ONE})
    came = staging.arrived
    assert [(image.sop_instance_uid, image.member_name) for image in came] == [
        (sop(2), "00000001.dcm"),
        (sop(3), "00000002.dcm"),
        (sop(1), "00000003.dcm"),
    ]
    assert len(list(staging_folder(tmp_path).iterdir())) == 3
    assert len(staging.images()) == 3


def test_of_two_versions_of_an_image_the_newer_stays(tmp_path: Path) -> None:
    """In this process and in the next; whether it is right is for the proof to say."""
    break_off(LocalLibrary(tmp_path), {"1-1.dcm": ONE, "1-2.dcm": TWO})
    newer = dicom_file(SERIES, 7, sop_instance_uid=sop(1))
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take_all(staging, {"1-1.dcm": newer})
    assert {image.sop_instance_uid: image.md5 for image in staging.images()} == {sop(1): md5_of(newer), sop(2): md5_of(TWO)}
    again = LocalLibrary(tmp_path).begin(SERIES)
    assert {image.sop_instance_uid: image.md5 for image in again.images()} == {sop(1): md5_of(newer), sop(2): md5_of(TWO)}
    assert len(list(staging_folder(tmp_path).iterdir())) == 2


def test_half_an_image_at_the_end_of_what_came_is_not_kept(tmp_path: Path) -> None:
    """The archive ends its ZIP in order when its disk fails in mid-image: the last one may be half.

    Source: docs/archives.md#failed-downloads.
    """
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take_all(staging, {"1-1.dcm": ONE, "1-2.dcm": CUT_TWO})
    staging.keep(received_bytes=10, line_broke=True)
    assert found(LocalLibrary(tmp_path).begin(SERIES)) == [sop(1)]


def test_an_image_that_is_odd_upstream_is_kept_once_another_member_began(tmp_path: Path) -> None:
    """Then the archive was not stopped within it."""
    break_off(LocalLibrary(tmp_path), {"1-2.dcm": CUT_TWO})
    assert found(LocalLibrary(tmp_path).begin(SERIES)) == [sop(2)]


def test_an_image_may_come_singly(tmp_path: Path) -> None:
    """Into the same series, where no ZIP gives it a name."""
    break_off(LocalLibrary(tmp_path), {"1-2.dcm": TWO})
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take(staging, *single(sop(1), ONE[:300], ONE[300:]))
    assert staging.images_written == 1
    assert [image.name for image in staging.named_images()] == ["1-1.dcm", "1-2.dcm"]
    assert [image.md5 for image in staging.named_images()] == [md5_of(ONE), md5_of(TWO)]


@pytest.mark.parametrize("odd", [TWO + b"trailing", CUT_TWO], ids=["does not tell", "seems cut"])
def test_a_single_image_that_is_odd_upstream_is_kept_once_another_began(tmp_path: Path, odd: bytes) -> None:
    """As one of a ZIP; else a series of such images would begin anew with each attempt."""
    staging = LocalLibrary(tmp_path).begin(SERIES)
    for number, content in ((2, odd), (1, ONE), (3, THREE)):
        take(staging, *single(sop(number), content))
    staging.keep(received_bytes=10, line_broke=True)
    assert found(LocalLibrary(tmp_path).begin(SERIES)) == [sop(2), sop(1), sop(3)]


def test_a_single_image_that_is_wrong_harms_nothing(tmp_path: Path) -> None:
    """Another image, one of another series, no image, or one that never ended: the next may begin."""
    staging = LocalLibrary(tmp_path).begin(SERIES)
    other = dicom_file(replace(SERIES, series_instance_uid="1.2.3"), 1)
    for wrong in (TWO, other):
        with pytest.raises(WrongSeriesError):
            take(staging, *single(sop(1), wrong))
    with pytest.raises(NotDicomError, match=sop(1)):
        take(staging, *single(sop(1), b"<html>" * 200))
    take(staging, *single(sop(1), ONE[:300])[:-1])
    take(staging, *single(sop(3), THREE))
    staging.keep(received_bytes=10, line_broke=False)
    assert found(LocalLibrary(tmp_path).begin(SERIES)) == [sop(3)]
    assert len(list(staging_folder(tmp_path).iterdir())) == 1


def test_a_series_can_be_narrowed_to_what_is_proven(tmp_path: Path) -> None:
    """Images that the archive no longer sends are not stored."""
    break_off(LocalLibrary(tmp_path), {"1-1.dcm": ONE, "1-2.dcm": TWO})
    staging = LocalLibrary(tmp_path).begin(SERIES)
    take_all(staging, {"1-1.dcm": TWO, "1-2.dcm": THREE})
    staging.narrow_to(staging.arrived)
    folder = staging.commit(receipt_of(SERIES, staging.named_images())).folder
    assert (tmp_path / folder / "1-1.dcm").read_bytes() == TWO
    assert (tmp_path / folder / "1-2.dcm").read_bytes() == THREE
    assert len(list((tmp_path / folder).iterdir())) == 3


def test_an_attempt_that_brought_nothing_leaves_nothing(tmp_path: Path) -> None:
    """Unless the line broke: then the next attempt should know what that has cost."""
    library = LocalLibrary(tmp_path)
    library.begin(SERIES).keep(received_bytes=0, line_broke=False)
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []
    break_off(library, {})
    assert LocalLibrary(tmp_path).begin(SERIES).salvage == Salvage(received_bytes=1000, broken_streams=1)


def test_what_was_discarded_stays_so(tmp_path: Path) -> None:
    """A later `keep` keeps nothing."""
    library = LocalLibrary(tmp_path)
    break_off(library, {"1-1.dcm": ONE})
    staging = library.begin(SERIES)
    staging.discard()
    staging.keep(received_bytes=10, line_broke=True)
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


async def test_staging_is_cleared_of_all_but_what_is_still_wanted(tmp_path: Path) -> None:
    """Folders without journal, journals without folder, and whatever else a dead run left."""
    library = LocalLibrary(tmp_path)
    break_off(library, {"1-1.dcm": ONE})
    complete = replace(SERIES, series_instance_uid="1.2.3")
    break_off(library, {"1-1.dcm": dicom_file(complete, 1)}, complete)
    staging = tmp_path / ".tciad" / "staging"
    (staging / "1.2.4").mkdir()
    (staging / "1.2.5.jsonl").write_text("x\n")
    (staging / "metadata.csv.new").touch()
    assert {series.series_instance_uid for series in await library.leftovers.staged_series()} == {
        SERIES.series_instance_uid,
        "1.2.3",
    }
    assert await library.leftovers.clear_staging({SERIES.series_instance_uid}) == 2
    assert sorted(path.name for path in staging.iterdir()) == [SERIES.series_instance_uid, f"{SERIES.series_instance_uid}.jsonl"]
    assert found(library.begin(SERIES)) == [sop(1)]
