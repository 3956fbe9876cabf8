"""Quantities mean what their units say, and nothing else is taken for one."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloader.config.quantities import (
    SIZE_UNITS,
    format_size,
    parse_duration,
    parse_minimum_rate,
    parse_percent,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1kB", 1000),
        ("2GB", 2_000_000_000),
        ("1.5 MB", 1_500_000),
        ("1TB", 10**12),
        ("1KiB", 1024),
        ("512MiB", 2**29),
        ("1GiB", 2**30),
        ("2TiB", 2**41),
    ],
)
def test_sizes_count_in_thousands_or_in_1024s(text: str, size_bytes: int) -> None:
    """As the unit says."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("90m", 5400.0), ("6h", 21600.0), ("1d", 86400.0), ("0.5h", 1800.0)]
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    """Of four units."""
    assert parse_duration(text) == seconds


def test_a_rate_is_bytes_per_second_or_unlimited() -> None:
    """No limit is a word, not a number."""
    assert parse_rate("40MB/s") == 40_000_000
    assert parse_rate("1 KiB/s") == 1024
    assert parse_rate("unlimited") is None


def test_a_minimum_rate_may_be_nothing() -> None:
    """That switches it off."""
    assert parse_minimum_rate("0") == 0
    assert parse_minimum_rate("1kB/s") == 1000


def test_a_percentage_lies_between_nothing_and_all() -> None:
    """Both included."""
    assert [parse_percent(text) for text in ("0%", "2.5 %", "100%")] == [0.0, 2.5, 100.0]


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (parse_size, "2", "'2' is not a size such as 2GB or 512MiB"),
        (parse_size, "2gb", "unknown unit 'gb' (did you mean 'GB'?); the units are kB MB GB TB KiB MiB GiB TiB"),
        (parse_size, "999999999TB", "999999999TB is larger than any disk"),
        (parse_size, "1e3MB", "'1e3MB' is not a size such as 2GB or 512MiB"),
        (parse_rate, "40MB", "'40MB' is not a rate such as 40MB/s or 500kB/s, nor unlimited"),
        (parse_rate, "0kB/s", "0kB/s would stop every download; use unlimited for no limit"),
        (parse_minimum_rate, "unlimited", "'unlimited' is not a rate such as 1kB/s, nor 0"),
        (parse_duration, "6", "'6' is not a duration such as 30s, 90m, 6h or 1d"),
        (parse_duration, "0s", "0s is not a duration greater than zero"),
        (parse_duration, "400d", "400d is longer than a year"),
        (parse_percent, "5", "'5' is not a percentage such as 5%"),
        (parse_percent, "101%", "101% is more than 100%"),
    ],
)
def test_what_is_no_quantity_says_what_one_looks_like(parse: Callable[[str], object], text: str, sentence: str) -> None:
    """The sentence goes to the user as it is."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole sentence is compared
        parse(text)
    assert str(caught.value) == sentence


@given(amount=st.integers(1, 10**6), unit=st.sampled_from([unit for unit in SIZE_UNITS if "i" not in unit]))
def test_a_size_is_shown_as_it_is_read(amount: int, unit: str) -> None:
    """What defaults look like in the schema."""
    size_bytes = amount * SIZE_UNITS[unit]
    assert parse_size(format_size(size_bytes)) == size_bytes
