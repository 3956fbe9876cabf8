"""Amounts in sentences."""

import pytest

from downloader.results.amounts import count_text, duration_text, size_text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1_410_000_000, "1.41 GB"), (512_000, "512 kB"), (29_200_000_000_000, "29.2 TB")],
)
def test_sizes_are_read_at_a_glance(size_bytes: int, text: str) -> None:
    """Three digits and a unit of 1000."""
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.21, "3.2 s"), (125, "2 min 5 s"), (7_500, "2 h 5 min")])
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """An hour is shown without seconds."""
    assert duration_text(seconds) == text


def test_counts_agree_with_their_nouns() -> None:
    """One image, two images, three series."""
    assert [count_text(1, "image"), count_text(2_685, "image"), count_text(3, "series", "series")] == [
        "1 image",
        "2,685 images",
        "3 series",
    ]
