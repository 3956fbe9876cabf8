"""When a manifest runs next. Pure: time and time zone are passed in."""

import os
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from downloader.manifest import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, Schedule

DAILY_SECONDS: Final = 86_400.0
"""How often a manifest runs that does not say when."""
_MOST_DOUBLINGS: Final = 10
"""Of a pause; the next scheduled cycle comes before longer ones."""
_LOCAL_TIME: Final = Path("/etc/localtime")


def next_run_at(schedule: Schedule | None, last_began_at: datetime | None, now: datetime, zone: tzinfo) -> datetime:
    """When the manifest is to run next; not after `now` when that is at once.

    `every` counts from the start of the last cycle, and a manifest that never ran is due at once. `cron` is kept to the minute,
    in the zone: runs that were missed while the service was stopped are not made up for.
    """
    if schedule is not None and schedule.cron is not None:
        return next(CronSim(schedule.cron, now.astimezone(zone))).astimezone(UTC)
    if last_began_at is None:
        return now
    return max(now, last_began_at + timedelta(seconds=_every_seconds(schedule)))


def retry_at(schedule: Schedule | None, ended_at: datetime, failed_cycles: int, *, needs_person: bool) -> datetime:
    """When a manifest is tried again, `failed_cycles` of which failed in a row, the last at `ended_at`.

    The pauses double from `retry_after` to `max_retry_after`. Where only a person can correct the cause, they double from
    `max_retry_after` on, so that an archive is not queried often without success.
    """
    first_seconds = FIRST_RETRY_SECONDS if schedule is None else schedule.retry_after_seconds
    longest_seconds = max(first_seconds, LONGEST_RETRY_SECONDS if schedule is None else schedule.max_retry_after_seconds)
    doubled = 2.0 ** min(failed_cycles - 1, _MOST_DOUBLINGS)
    pause_seconds = longest_seconds * doubled if needs_person else min(first_seconds * doubled, longest_seconds)
    return ended_at + timedelta(seconds=pause_seconds)


def describe_schedule(schedule: Schedule | None) -> str:
    """The schedule for people."""
    if schedule is not None and schedule.cron is not None:
        return f"cron {schedule.cron}"
    seconds = _every_seconds(schedule)
    for unit, unit_seconds in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= unit_seconds and seconds % unit_seconds == 0:
            return f"every {seconds / unit_seconds:g}{unit}"
    return f"every {seconds:g}s"


def local_zone() -> tzinfo:
    """The zone of this machine, with its changes between summer and winter where its name can be found.

    The name is in TZ, or in the link that /etc/localtime is; without either, the offset of this moment holds.
    """
    name = os.environ.get("TZ", "").lstrip(":")
    if not name and _LOCAL_TIME.is_symlink():
        name = str(_LOCAL_TIME.resolve()).rpartition("zoneinfo/")[2]
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return datetime.now(UTC).astimezone().tzinfo or UTC


def _every_seconds(schedule: Schedule | None) -> float:
    return DAILY_SECONDS if schedule is None or schedule.every_seconds is None else schedule.every_seconds
