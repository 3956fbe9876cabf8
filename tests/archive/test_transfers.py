"""What is read out of a ZIP of getImage: images, the licence, and the MD5 list as evidence."""

from collections.abc import Mapping

import pytest

from downloader.archive.nbia.transfers import ZipImages, limits_for, parse_md5_list
from downloader.completeness import Evidence
from downloader.errors import CorruptZipError, TruncatedZipError, UnsafeMemberError
from downloader.model import ImageData, ImageEnded, ImageEvent, ImageStarted, LicenseReceived, Series, TextStarted
from downloader.zipstream import ZipLimits
from tests.archive.transfers import zip_of

MD5 = "0123456789abcdef0123456789abcdef"
LIST = f"Filename,MD5Hash\n1-1.dcm,{MD5}\n".encode()
LISTED = {"LICENSE": b"be kind", "1-1.dcm": b"pixels", "md5hashes.csv": LIST}


def read(images: ZipImages, content: bytes, *, chunk_bytes: int = 7) -> list[ImageEvent]:
    """All events of a ZIP that comes in small chunks."""
    return list(images.read(content[start : start + chunk_bytes] for start in range(0, len(content), chunk_bytes)))


def evidence_of(members: Mapping[str, bytes]) -> Evidence:
    """What a whole ZIP with these members gives for the proof."""
    images = ZipImages(ZipLimits(), has_md5_list=True)
    read(images, zip_of(members))
    return images.evidence()


def test_images_and_licence_are_told_from_the_md5_list() -> None:
    """The list is evidence; that something follows the last image shows that this one was whole."""
    images = ZipImages(ZipLimits(), has_md5_list=True)
    assert read(images, zip_of(LISTED)) == [
        TextStarted(),
        LicenseReceived(b"be kind"),
        ImageStarted("1-1.dcm"),
        ImageData(b"pixels"),
        ImageEnded(),
        TextStarted(),
    ]
    assert images.evidence() == Evidence(digests_expected=True, digests={"1-1.dcm": MD5})
    assert images.brought_md5_list


@pytest.mark.parametrize(
    ("members", "flaw"),
    [
        ({"1-1.dcm": b"x"}, "the MD5 list that ends every whole ZIP is missing"),
        ({"md5hashes.csv": LIST, "1-1.dcm": b"x"}, "members follow the MD5 list"),
        ({"1-1.dcm": b"x", "md5hashes.csv": b"<html>"}, "the MD5 list has no valid first line"),
        ({"1-1.dcm": b"x", "md5hashes.csv": LIST + b"no comma\n"}, "the MD5 list has a broken line or a name twice"),
        ({"1-1.dcm": b"x", "md5hashes.csv": LIST + b"1-1.dcm,\n"}, "the MD5 list has a broken line or a name twice"),
    ],
)
def test_a_list_that_is_not_the_last_word_has_a_flaw(members: Mapping[str, bytes], flaw: str) -> None:
    """Only as the last member it proves that the archive's loop ended (docs/archives.md#failed-downloads)."""
    assert evidence_of(members) == Evidence(digests_expected=True, digests_flaw=flaw)


def test_a_list_without_images_shows_nothing_of_a_deployment() -> None:
    """A failing archive sends one, too."""
    images = ZipImages(ZipLimits(), has_md5_list=True)
    read(images, zip_of({"md5hashes.csv": LIST}))
    assert not images.brought_md5_list


def test_old_hashes_lack_leading_zeros_and_names_may_hold_commas() -> None:
    """Hashes written before 2021 are shorter than 32 digits."""
    content = f"Filename,MD5Hash\na,b.dcm,{'A' * 31}\nc.dcm,null\n".encode()
    assert parse_md5_list(content) == {"a,b.dcm": "0" + "a" * 31, "c.dcm": ""}


@pytest.mark.parametrize("body", [zip_of(LISTED)[:-1], zip_of(LISTED)[:20], b""])
def test_there_is_no_evidence_without_a_whole_zip(body: bytes) -> None:
    """Its central directory has to be there."""
    images = ZipImages(ZipLimits())
    read(images, body)
    with pytest.raises(TruncatedZipError):
        images.evidence()


def test_nothing_may_follow_a_zip() -> None:
    """Whatever it is, the archive did not send it."""
    with pytest.raises(CorruptZipError):
        read(ZipImages(ZipLimits()), zip_of(LISTED) + b"x")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../b", "a\\..\\b", "..", "/etc/passwd", "\\x", "C:x", "c:\\x", "a\nb", "a\x1b[2J", "", "x" * 2000],
)
def test_a_name_that_climbs_is_refused(name: str) -> None:
    """No honest archive sends it (docs/archives.md#zip-bytes); the message shows it harmlessly."""
    with pytest.raises(UnsafeMemberError) as refused:
        read(ZipImages(ZipLimits()), zip_of({name: b"x"}))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["00000001.5/IMG1", "00000001.DCM", "image", "..dcm", "a..b", "license", "x/LICENSE", "ü.dcm"])
def test_an_odd_name_is_only_odd(name: str) -> None:
    """Real archives have such."""
    assert read(ZipImages(ZipLimits()), zip_of({name: b"x"}))[0] == ImageStarted(name)


def test_a_name_that_comes_twice_is_refused() -> None:
    """The archive stops before it would write one twice (docs/archives.md#failed-downloads)."""
    body = zip_of({"1-1.dcm": b"x", "1-2.dcm": b"x"}).replace(b"1-2.dcm", b"1-1.dcm")
    with pytest.raises(UnsafeMemberError, match="two members"):
        read(ZipImages(ZipLimits()), body)


def test_an_endless_licence_is_refused() -> None:
    """It is kept in memory, so it is bounded."""
    with pytest.raises(UnsafeMemberError, match="LICENSE"):
        read(ZipImages(ZipLimits()), zip_of({"LICENSE": b"x" * 1_048_577}), chunk_bytes=65_536)


def test_limits_follow_the_catalogue() -> None:
    """With a margin; the absolute ones hold where it says nothing."""
    assert limits_for(Series(series_instance_uid="1.2")) == ZipLimits()
    small = limits_for(Series(series_instance_uid="1.2", image_count=10, file_size_bytes=1000))
    assert small == ZipLimits(member_count=1_011, member_bytes=64 * 1024 * 1024 + 1100, total_bytes=64 * 1024 * 1024 + 1100)
