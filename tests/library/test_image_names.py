"""File names of images."""

import random

import pytest

from downloader.library.names import name_images
from downloader.model import StagedImage


def image(
    sop_instance_uid: str, instance_number: int | None = None, acquisition_number: int | None = None, member_name: str = ""
) -> StagedImage:
    return StagedImage(
        position=0,
        member_name=member_name or f"{sop_instance_uid}.dcm",
        sop_instance_uid=sop_instance_uid,
        series_instance_uid="1.2",
        instance_number=instance_number,
        acquisition_number=acquisition_number,
        size_bytes=1,
        md5="0" * 32,
        ends_whole=True,
    )


def names(*images: StagedImage) -> dict[str, str]:
    return {name: staged.sop_instance_uid for name, staged in name_images(images).items()}


def test_the_archives_own_names_are_kept() -> None:
    """They come in the order of the names, whatever the order of the ZIP."""
    assert names(image("b", 1, 1, "1-02.dcm"), image("a", 2, 1, "1-01.dcm")) == {"1-01.dcm": "a", "1-02.dcm": "b"}


@pytest.mark.parametrize("odd", ["00000001.dcm", "1-01.DCM", "x/1-01.dcm", "1-01.dcm\n", "1-\u0661.dcm", "../1-1.dcm"])
def test_one_odd_name_and_all_are_made_anew(odd: str) -> None:
    """A mixture could give two images one name."""
    assert names(image("a", 1, 1, odd), image("b", 2, 1, "1-02.dcm")) == {"1-1.dcm": "a", "1-2.dcm": "b"}


def test_the_same_name_twice_and_all_are_made_anew() -> None:
    """Two partial streams of one series may use a name for different images."""
    assert names(image("a", 7, 1, "1-1.dcm"), image("b", 5, 1, "1-1.dcm")) == {"1-1.dcm": "b", "1-2.dcm": "a"}


def test_made_names_are_ranks_of_acquisition_and_instance() -> None:
    """Gaps and large numbers of the scanner do not show."""
    named = names(image("a", 900, 40), image("b", 17, 40), image("c", 17, 3))
    assert named == {"1-1.dcm": "c", "2-1.dcm": "b", "2-2.dcm": "a"}


def test_images_without_a_number_come_last() -> None:
    """By SOP instance UID, within their acquisition; an absent acquisition number is the last acquisition."""
    named = names(image("d"), image("c", None, 1), image("b", None, 1), image("a", 5, 1), image("e", 0, 1))
    assert named == {"1-1.dcm": "e", "1-2.dcm": "a", "1-3.dcm": "b", "1-4.dcm": "c", "2-1.dcm": "d"}


def test_ranks_are_padded_so_that_names_sort() -> None:
    """As many digits as the largest rank."""
    named = names(*(image(f"1.{number}", number) for number in range(120)))
    assert next(iter(named)) == "1-001.dcm"
    assert list(named) == sorted(named)
    assert len(named) == 120


def test_the_order_of_arrival_does_not_matter() -> None:
    """Another download of the same series gives every image the same name."""
    images = [image(f"1.{number}", number % 7 or None, number % 3 or None) for number in range(40)]
    expected = names(*images)
    random.Random(7).shuffle(images)
    assert names(*images) == expected


def test_no_images_have_no_names() -> None:
    """The rules of completeness speak of that, not the names."""
    assert names() == {}
