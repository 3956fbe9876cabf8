"""The rules by which a series is complete."""

from dataclasses import replace

import pytest

from downloader.completeness import Evidence, match_catalogue, prove, prove_merged, series_digests
from downloader.errors import (
    DigestMismatchError,
    IncompleteSeriesError,
    TciadError,
    UnexpectedReplyError,
    WrongSeriesError,
)
from downloader.model import Md5Mode, Proof, Series, StagedImage

SERIES = Series(series_instance_uid="1.2.3", image_count=3, file_size_bytes=300)


def image(position: int) -> StagedImage:
    return StagedImage(
        position=position,
        member_name=f"1-{position}.dcm",
        sop_instance_uid=f"1.2.3.{position}",
        series_instance_uid="1.2.3",
        instance_number=position,
        acquisition_number=1,
        size_bytes=100,
        md5=f"{position:032x}",
        ends_whole=True,
    )


IMAGES = tuple(image(position) for position in (1, 2, 3))


ALL = {one.member_name: one.md5 for one in IMAGES}
WHOLE = Evidence(digests_expected=True, digests=ALL)
NO_LIST = Evidence()


def test_a_whole_series_is_proven_by_size_and_every_md5() -> None:
    """The ordinary case: all information of the archive matches."""
    proof = prove(SERIES, IMAGES, WHOLE, md5=Md5Mode.AUTO)
    assert proof == Proof(size=True, md5_images=3, md5_blank=0, md5_list=True)


def test_without_a_list_count_and_size_prove_the_series() -> None:
    """Count, size and identity suffice for an archive without hashes."""
    assert prove(SERIES, IMAGES, NO_LIST, md5=Md5Mode.AUTO) == Proof(size=True, md5_images=0, md5_blank=3, md5_list=False)


def test_a_header_that_announces_other_images_is_believed() -> None:
    """The API of 2013 announces the number of images before it sends them; it has no MD5s."""
    assert prove(SERIES, IMAGES, Evidence(announced_images=3), md5=Md5Mode.AUTO).size
    with pytest.raises(IncompleteSeriesError, match="3 images received, but the reply header announced 4"):
        prove(SERIES, IMAGES, Evidence(announced_images=4), md5=Md5Mode.AUTO)


ONE, TWO, THREE = IMAGES


def listed(**digests: str) -> Evidence:
    """Evidence with other digests, by the number of the image."""
    return replace(WHOLE, digests={f"1-{name[1:]}.dcm": md5 for name, md5 in digests.items()})


@pytest.mark.parametrize(
    ("images", "evidence", "error"),
    [
        ((ONE, TWO), WHOLE, IncompleteSeriesError),
        ((ONE, TWO, replace(THREE, size_bytes=50)), WHOLE, IncompleteSeriesError),
        (IMAGES, replace(WHOLE, digests={}, digests_flaw="the list is missing"), IncompleteSeriesError),
        (IMAGES, replace(WHOLE, digests_flaw="members follow the list"), IncompleteSeriesError),
        (IMAGES, listed(_1=ONE.md5, _2=TWO.md5), IncompleteSeriesError),
        (IMAGES, listed(_1=ONE.md5, _2=TWO.md5, _3=THREE.md5, _4="0" * 32), IncompleteSeriesError),
        (IMAGES, listed(_1=ONE.md5, _2=TWO.md5, _3="f" * 32), DigestMismatchError),
        ((ONE, TWO, replace(THREE, series_instance_uid="1.2.4")), WHOLE, WrongSeriesError),
        ((ONE, TWO, replace(THREE, sop_instance_uid="1.2.3.1")), WHOLE, WrongSeriesError),
    ],
)
def test_anything_less_is_not_complete(images: tuple[StagedImage, ...], evidence: Evidence, error: type[TciadError]) -> None:
    """Each known way in which an archive fails half-way has its own error, which names the series."""
    with pytest.raises(error) as caught:
        prove(SERIES, images, evidence, md5=Md5Mode.AUTO)
    assert caught.value.series_instance_uid == "1.2.3"


def test_a_series_without_images_is_never_complete() -> None:
    """Not even if the catalogue lists a count of 0."""
    with pytest.raises(IncompleteSeriesError):
        match_catalogue(replace(SERIES, image_count=0, file_size_bytes=0), ())


def test_a_series_of_unknown_count_is_never_complete() -> None:
    """Without a count, no number of images can be proven to be all."""
    with pytest.raises(IncompleteSeriesError, match="gives no image count"):
        match_catalogue(replace(SERIES, image_count=None), IMAGES)


def test_blank_hashes_are_unverified_and_only_require_refuses_them() -> None:
    """A blank hash is not a mismatch (docs/archives.md#md5s)."""
    blank = listed(_1=ONE.md5, _2=TWO.md5, _3="")
    assert prove(SERIES, IMAGES, blank, md5=Md5Mode.AUTO) == Proof(size=True, md5_images=2, md5_blank=1, md5_list=True)
    with pytest.raises(DigestMismatchError, match="no MD5 for 1 of 3"):
        prove(SERIES, IMAGES, blank, md5=Md5Mode.REQUIRE)


def test_require_refuses_an_archive_without_lists() -> None:
    """The user requires more proof than this archive offers."""
    with pytest.raises(UnexpectedReplyError, match="auto"):
        prove(SERIES, IMAGES, NO_LIST, md5=Md5Mode.REQUIRE)


def test_half_an_image_is_seen_by_its_structure_where_nothing_else_vouches_for_it() -> None:
    """Without FileSize and MD5, a cut image can have a valid CRC-32, so its structure decides."""
    series = replace(SERIES, file_size_bytes=None)
    cut = (ONE, TWO, replace(THREE, ends_whole=False))
    with pytest.raises(IncompleteSeriesError, match="ends in the middle"):
        prove(series, cut, NO_LIST, md5=Md5Mode.OFF)


def test_an_image_that_is_odd_upstream_is_accepted_when_its_size_or_md5_vouches_for_it() -> None:
    """Some archives have files whose last element is short; such files are what the archive has."""
    odd = (ONE, TWO, replace(THREE, ends_whole=False))
    assert prove(SERIES, odd, WHOLE, md5=Md5Mode.AUTO).md5_images == 3


# over the three hashes, and over "123"
SERIES_MD5 = "cdfce847f38ed7b58b635f28c1d40313"
OLD_SERIES_MD5 = "202cb962ac59075b964b07152d234b70"
MD5_BY_IMAGE = {one.sop_instance_uid: one.md5 for one in IMAGES}


def test_the_digest_of_a_series_is_that_of_its_sorted_digests() -> None:
    """With leading zeros, or without them where the archive lost them: `123` for these three (docs/archives.md#md5s)."""
    assert series_digests(image.md5 for image in reversed(IMAGES)) == {SERIES_MD5, OLD_SERIES_MD5}


def test_parts_are_proven_by_the_digest_of_the_series() -> None:
    """Then no image is requested."""
    for digest in (SERIES_MD5, OLD_SERIES_MD5):
        proof = prove_merged(SERIES, IMAGES, md5=Md5Mode.REQUIRE, series_md5=digest, image_md5s={})
        assert proof == Proof(size=True, md5_images=3, md5_blank=0, merged=True, md5_list=False)


def test_parts_are_proven_image_by_image_where_the_digest_of_the_series_does_not_fit() -> None:
    """The archive's digest includes hidden images, so a mismatch proves nothing; blank digests are unverified."""
    for digest in ("", "f" * 32):
        proof = prove_merged(SERIES, IMAGES, md5=Md5Mode.REQUIRE, series_md5=digest, image_md5s=MD5_BY_IMAGE)
        assert proof.md5_images == 3
        proof = prove_merged(
            SERIES, IMAGES, md5=Md5Mode.AUTO, series_md5=digest, image_md5s={"1.2.3.1": "", "1.2.3.2": IMAGES[1].md5}
        )
        assert proof == Proof(size=True, md5_images=1, md5_blank=2, merged=True, md5_list=False)


def test_parts_need_no_digest_where_none_is_wanted() -> None:
    """A wrong digest is ignored."""
    proof = prove_merged(SERIES, IMAGES, md5=Md5Mode.OFF, series_md5="f" * 32, image_md5s={"1.2.3.1": "f" * 32})
    assert proof == Proof(size=True, md5_images=0, md5_blank=3, merged=True, md5_list=False)


@pytest.mark.parametrize(
    ("images", "md5", "image_md5s", "error"),
    [
        (IMAGES[:2], Md5Mode.AUTO, MD5_BY_IMAGE, IncompleteSeriesError),
        ((*IMAGES[:2], replace(IMAGES[2], size_bytes=99)), Md5Mode.AUTO, MD5_BY_IMAGE, IncompleteSeriesError),
        ((*IMAGES[:2], replace(IMAGES[2], series_instance_uid="1.2.4")), Md5Mode.AUTO, MD5_BY_IMAGE, WrongSeriesError),
        ((*IMAGES[:2], IMAGES[1]), Md5Mode.AUTO, MD5_BY_IMAGE, WrongSeriesError),
        (IMAGES, Md5Mode.AUTO, {**MD5_BY_IMAGE, "1.2.3.2": "f" * 32}, DigestMismatchError),
        (IMAGES, Md5Mode.REQUIRE, {**MD5_BY_IMAGE, "1.2.3.2": ""}, DigestMismatchError),
    ],
)
def test_parts_that_are_not_the_series_are_not_complete(
    images: tuple[StagedImage, ...], md5: Md5Mode, image_md5s: dict[str, str], error: type[TciadError]
) -> None:
    """Each rule holds for the merged series as for one ZIP."""
    with pytest.raises(error):
        prove_merged(SERIES, images, md5=md5, series_md5="", image_md5s=image_md5s)


def test_half_an_image_among_parts_is_seen_by_its_structure() -> None:
    """Without FileSize and MD5, its structure decides."""
    cut = (*IMAGES[:2], replace(IMAGES[2], ends_whole=False))
    with pytest.raises(IncompleteSeriesError, match="ends in the middle"):
        prove_merged(replace(SERIES, file_size_bytes=None), cut, md5=Md5Mode.AUTO, series_md5="", image_md5s={})
