"""Converts values of a reply, which are text or numbers, with dates in four forms. All functions raise UnreadableError.

Source: docs/archives.md#json-replies, #dates.
"""

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from downloader.model import LARGEST_FIGURE


class UnreadableError(ValueError):
    """A value that is invalid for its attribute."""


def to_text(value: object) -> str:
    """Unchanged text: blanks at its ends belong to it (docs/archives.md#json-replies)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    raise UnreadableError


_LONGEST_WHOLE_DIGITS: Final = 19
_WHOLE: Final = re.compile(r"\s*(-?[0-9]{1,19})(?:\.0*)?\s*", re.ASCII)


def to_number_text(value: object) -> str:
    """A number in its shortest form, so that 1, "1" and "1.000000" are equal; any other text unchanged."""
    if type(value) is str and value.isdigit() and value.isascii() and value[0] != "0" and len(value) < _LONGEST_WHOLE_DIGITS:
        return value
    text = to_text(value)
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text


def to_count(value: object) -> int | None:
    """A count or size; None for blank text."""
    if type(value) is int and 0 <= value <= LARGEST_FIGURE:
        return value
    text = to_text(value)
    if not text.strip():
        return None
    whole = _WHOLE.fullmatch(text)
    if whole is None or isinstance(value, bool) or not 0 <= int(whole[1]) <= LARGEST_FIGURE:
        raise UnreadableError
    return int(whole[1])


_TIME: Final = r"(?:[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?Z?)?"
_YEAR_FIRST: Final = re.compile(rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}}){_TIME}", re.ASCII)
_MONTH_FIRST: Final = re.compile(rf"([0-9]{{2}})-([0-9]{{2}})-([0-9]{{4}}){_TIME}", re.ASCII)


def to_datetime(value: object) -> datetime | None:
    """`2006-09-07 00:00:00.0`, `2006-09-07` or `09-07-2006` (docs/archives.md#dates), as UTC; None for blank text."""
    text = to_text(value).strip()
    return _parse_datetime(text) if text else None


@lru_cache(maxsize=4096)  # a catalogue repeats a few thousand dates a million times
def _parse_datetime(text: str) -> datetime:
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day, *time = found.groups()
    elif found := _MONTH_FIRST.fullmatch(text):
        month, day, year, *time = found.groups()
    else:
        raise UnreadableError
    hour, minute, second = (int(part or 0) for part in time)
    try:
        return datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise UnreadableError from error


def to_date(value: object) -> date | None:
    """The date of what `to_datetime` reads."""
    moment = to_datetime(value)
    return moment.date() if moment else None
