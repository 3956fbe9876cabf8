"""Sizes, rates, durations and percentages as people write them in manifests, flags and the environment.

Every function here raises ValueError with a sentence for the user; the caller adds where the value is.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SIZE_UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "kB": 1000,
        "MB": 1000**2,
        "GB": 1000**3,
        "TB": 1000**4,
        "KiB": 1024,
        "MiB": 1024**2,
        "GiB": 1024**3,
        "TiB": 1024**4,
    }
)
DURATION_UNITS: Final[Mapping[str, int]] = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
UNLIMITED: Final = "unlimited"
LARGEST_SIZE_BYTES: Final = 2**63 - 1
LONGEST_DURATION_SECONDS: Final = 366 * 86400

_AMOUNT: Final = r"(?P<amount>[0-9]{1,18}(\.[0-9]{1,9})?) *"
_QUANTITY: Final = re.compile(rf"{_AMOUNT}(?P<unit>[A-Za-z]+)")
_RATE: Final = re.compile(rf"{_AMOUNT}(?P<unit>[A-Za-z]+)/s")
_PERCENT: Final = re.compile(rf"{_AMOUNT}(?P<unit>%)")

# Patterns for the JSON Schema of the manifest: what editors can check while one types.
SIZE_PATTERN: Final = rf"^(0|[0-9]+(\.[0-9]+)? *({'|'.join(SIZE_UNITS)}))$"
RATE_PATTERN: Final = rf"^({UNLIMITED}|[0-9]+(\.[0-9]+)? *({'|'.join(SIZE_UNITS)})/s)$"
DURATION_PATTERN: Final = rf"^[0-9]+(\.[0-9]+)? *({'|'.join(DURATION_UNITS)})$"
PERCENT_PATTERN: Final = r"^[0-9]+(\.[0-9]+)? *%$"


def parse_size(text: str) -> int:
    """Bytes in a size such as `2GB` or `512 MiB`; `0` needs no unit.

    Raises:
        ValueError: not a size.
    """
    if text == "0":
        return 0
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a size such as 2GB or 512MiB")
    size_bytes = round(float(match["amount"]) * _unit(match["unit"], SIZE_UNITS))
    if size_bytes > LARGEST_SIZE_BYTES:
        raise ValueError(f"{text} is larger than any disk")
    return size_bytes


def parse_rate(text: str) -> int | None:
    """Bytes per second in a rate such as `40MB/s`; None for `unlimited`.

    Raises:
        ValueError: not a rate, or less than one byte per second.
    """
    if text == UNLIMITED:
        return None
    match = _RATE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a rate such as 40MB/s or 500kB/s, nor {UNLIMITED}")
    rate = round(float(match["amount"]) * _unit(match["unit"], SIZE_UNITS))
    if rate < 1:
        raise ValueError(f"{text} would stop every download; use {UNLIMITED} for no limit")
    return min(rate, LARGEST_SIZE_BYTES)


def parse_minimum_rate(text: str) -> int:
    """Bytes per second below which a body counts as stalled; `0` never does.

    Raises:
        ValueError: neither 0 nor a rate.
    """
    if text == "0":
        return 0
    if not _RATE.fullmatch(text):
        raise ValueError(f"{text!r} is not a rate such as 1kB/s, nor 0")
    return parse_rate(text) or 0


def parse_duration(text: str) -> float:
    """Seconds in a duration such as `30s`, `90m`, `6h` or `1d`.

    Raises:
        ValueError: not a duration, none at all, or more than a year.
    """
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration such as 30s, 90m, 6h or 1d")
    seconds = float(match["amount"]) * _unit(match["unit"], DURATION_UNITS)
    if seconds <= 0:
        raise ValueError(f"{text} is not a duration greater than zero")
    if seconds > LONGEST_DURATION_SECONDS:
        raise ValueError(f"{text} is longer than a year")
    return seconds


def parse_percent(text: str) -> float:
    """The number in a percentage such as `5%`.

    Raises:
        ValueError: not a percentage, or more than 100 %.
    """
    match = _PERCENT.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a percentage such as 5%")
    percent = float(match["amount"])
    if percent > 100:
        raise ValueError(f"{text} is more than 100%")
    return percent


def format_size(size_bytes: int) -> str:
    """The size as `parse_size` reads it, in the largest unit of 1000 that divides it."""
    for unit in ("TB", "GB", "MB", "kB"):
        if size_bytes and size_bytes % SIZE_UNITS[unit] == 0:
            return f"{size_bytes // SIZE_UNITS[unit]}{unit}"
    return f"{size_bytes / 1000:g}kB"


def _unit(unit: str, units: Mapping[str, int]) -> int:
    if unit in units:
        return units[unit]
    near = [known for known in units if known.casefold() == unit.casefold()]
    suggestion = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"unknown unit {unit!r}{suggestion}; the units are {' '.join(units)}")
