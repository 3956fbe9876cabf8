"""The bandwidth limit by time of day."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from itertools import combinations
from typing import Final

from downloader.config.messages import kind_of, quote
from downloader.config.quantities import parse_rate

DEFAULT_KEY: Final = "default"
WINDOW_PATTERN: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9] *- *(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
EXAMPLE: Final = '40MB/s, or {default: 40MB/s, "08:00-18:00": 5MB/s}'
_WINDOW: Final = re.compile(r"(\d\d):(\d\d) *- *(\d\d):(\d\d)", re.ASCII)
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthWindow:
    """A part of each day, in minutes since midnight, with its own limit; one that ends before it begins goes over midnight."""

    begins_minute: int
    ends_minute: int
    bytes_per_second: int | None

    def contains(self, minute: int) -> bool:
        """Whether the time is in the window; the end itself is not."""
        if self.begins_minute < self.ends_minute:
            return self.begins_minute <= minute < self.ends_minute
        return minute >= self.begins_minute or minute < self.ends_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthPlan:
    """A limit, and others for some windows of the day that do not overlap. None is no limit."""

    bytes_per_second: int | None = None
    windows: tuple[BandwidthWindow, ...] = ()

    def rate_at(self, local: time) -> int | None:
        """The limit in force at that time of the day, local."""
        minute = local.hour * 60 + local.minute
        for window in self.windows:
            if window.contains(minute):
                return window.bytes_per_second
        return self.bytes_per_second


NO_LIMIT: Final = BandwidthPlan()


def parse_bandwidth(value: object) -> BandwidthPlan:
    """The plan that a rate, or a mapping of windows to rates, describes.

    Raises:
        ValueError: neither of the two.
    """
    if isinstance(value, BandwidthPlan):
        return value
    if isinstance(value, str):
        return BandwidthPlan(bytes_per_second=parse_rate(value))
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a value such as {EXAMPLE}, not {kind_of(value)}")  # noqa: TRY004 - pydantic takes ValueError only
    rates = {key: _rate_of(key, rate) for key, rate in value.items()}
    default = rates.pop(DEFAULT_KEY, None)
    windows = tuple(_window_of(key, rate) for key, rate in rates.items())
    for one, other in combinations(windows, 2):
        if one.contains(other.begins_minute) or other.contains(one.begins_minute):
            raise ValueError("two of the time ranges overlap")
    return BandwidthPlan(bytes_per_second=default, windows=windows)


def _rate_of(key: object, rate: object) -> int | None:
    if not isinstance(rate, str):
        raise ValueError(f"{key}: expected a rate such as 5MB/s, not {kind_of(rate)}")  # noqa: TRY004 - pydantic takes ValueError only
    try:
        return parse_rate(rate)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _window_of(key: object, rate: int | None) -> BandwidthWindow:
    match = _WINDOW.fullmatch(key) if isinstance(key, str) else None
    if not match:
        raise ValueError(f"{quote(str(key))} is neither {DEFAULT_KEY} nor a time range such as 08:00-18:00")
    hours, minutes, end_hours, end_minutes = map(int, match.groups())
    begins, ends = hours * 60 + minutes, end_hours * 60 + end_minutes
    if minutes > 59 or end_minutes > 59 or begins >= _DAY_MINUTES or ends > _DAY_MINUTES:
        raise ValueError(f"{quote(match[0])} is not a valid time of day")
    if begins == ends % _DAY_MINUTES:
        raise ValueError(f"{quote(match[0])} ends when it begins")
    return BandwidthWindow(begins_minute=begins, ends_minute=ends % _DAY_MINUTES, bytes_per_second=rate)
