"""Growth of a library: what became complete in each hour, day, month or year."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from downloader.store.holdings import HeldAmount

MOST_PERIODS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPeriod:
    """What was added in a period, and the total at its end."""

    began_at: datetime
    added: HeldAmount
    total: HeldAmount


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The periods in which something was added; `unit` is how long each is, `form` how its beginning is written."""

    unit: str
    form: str
    periods: tuple[GrowthPeriod, ...]


_HOURS: Final = ("hour", "%Y-%m-%d %H:00")
_LONGER: Final = (("day", "%Y-%m-%d"), ("month", "%Y-%m"), ("year", "%Y"))


def growth_of(hours: Mapping[datetime, HeldAmount]) -> Growth:
    """The growth by the shortest unit that needs no more than MOST_PERIODS of them."""
    unit, form = _HOURS
    amounts = dict(hours)
    for longer, longer_form in _LONGER:
        if len(amounts) <= MOST_PERIODS:
            break
        amounts, unit, form = _gather(amounts, longer), longer, longer_form
    periods: list[GrowthPeriod] = []
    total = HeldAmount()
    for began_at, added in sorted(amounts.items()):
        total += added
        periods.append(GrowthPeriod(began_at=began_at, added=added, total=total))
    return Growth(unit=unit, form=form, periods=tuple(periods))


def _gather(amounts: Mapping[datetime, HeldAmount], unit: str) -> dict[datetime, HeldAmount]:
    gathered: dict[datetime, HeldAmount] = defaultdict(HeldAmount)
    for began_at, amount in amounts.items():
        gathered[_beginning(began_at, unit)] += amount
    return gathered


def _beginning(at: datetime, unit: str) -> datetime:
    day = at.replace(hour=0)
    if unit == "day":
        return day
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)
