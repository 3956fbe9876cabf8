"""When manifests run: from the start of one cycle to the next, or at the times that cron says, local."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from downloader.manifest import Schedule
from downloader.service.schedule import describe_schedule, local_zone, next_run_at, retry_at

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def test_what_never_ran_is_due_at_once() -> None:
    """With and without a schedule."""
    assert next_run_at(None, None, NOW, UTC) == next_run_at(Schedule.model_validate({"every": "6h"}), None, NOW, UTC) == NOW


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21_600), ("90m", 5_400), ("1d", 86_400)])
def test_every_counts_from_the_start_of_the_last_cycle(text: str, seconds: int) -> None:
    """A cycle that took longer than that is followed by the next at once."""
    schedule = Schedule.model_validate({"every": text})
    began = NOW - timedelta(seconds=60)
    assert next_run_at(schedule, began, NOW, UTC) == began + timedelta(seconds=seconds)
    assert next_run_at(schedule, NOW - timedelta(days=9), NOW, UTC) == NOW


def test_cron_is_kept_to_the_minute_in_local_time() -> None:
    """What was missed is not made up for, and a new manifest waits for its time."""
    schedule = Schedule.model_validate({"cron": "0 3 * * *"})
    expected = datetime(2026, 11, 24, 3, 0, tzinfo=BERLIN)
    assert next_run_at(schedule, None, NOW, BERLIN) == expected
    assert next_run_at(schedule, NOW - timedelta(days=3), NOW, BERLIN) == expected


def test_cron_follows_the_change_of_the_clocks() -> None:
    """Three in the morning is three in the morning, in winter and in summer; a time that does not come that night is not lost."""
    schedule = Schedule.model_validate({"cron": "0 3 * * *"})
    at = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
    hours = []
    for _ in range(3):
        at = next_run_at(schedule, None, at, BERLIN)
        hours.append((at.day, at.hour))
    assert hours == [(28, 2), (29, 1), (30, 1)]
    missing = Schedule.model_validate({"cron": "30 2 * * *"})
    assert next_run_at(missing, None, datetime(2026, 3, 29, 0, 0, tzinfo=UTC), BERLIN).day == 29


def retries(schedule: dict[str, str] | None, *, needs_person: bool = False) -> list[float]:
    """The minutes from the end of the first to sixth failed cycle to the next."""
    made = Schedule.model_validate(schedule) if schedule else None
    due = [retry_at(made, NOW, failed_cycles, needs_person=needs_person) for failed_cycles in range(1, 7)]
    return [(at - NOW) / timedelta(minutes=1) for at in due]


def test_retries_have_growing_pauses() -> None:
    """Up to an hour, unless the manifest says otherwise; the first is never cut short."""
    assert retries(None) == retries({"every": "1d"}) == [5, 10, 20, 40, 60, 60]
    assert retries({"every": "1d", "retry_after": "1m", "max_retry_after": "3m"}) == [1, 2, 3, 3, 3, 3]
    assert retries({"cron": "0 3 * * *", "retry_after": "2h"}) == [120] * 6


def test_what_a_person_has_to_correct_is_tried_again_more_rarely() -> None:
    """After the longest pause, and then less and less often: the next scheduled cycle comes before the last of these."""
    assert retries(None, needs_person=True) == [60, 120, 240, 480, 960, 1920]


def test_no_number_of_failures_is_too_many() -> None:
    """For the calendar."""
    assert retry_at(None, NOW, 10_000, needs_person=True) - NOW < timedelta(days=60)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"every": "6h"}, "every 6h"),
        ({"every": "90m"}, "every 90m"),
        ({"every": "30s"}, "every 30s"),
        ({"every": "2d"}, "every 2d"),
        ({"cron": "0 3 * * *"}, "cron 0 3 * * *"),
        (None, "every 1d"),
    ],
)
def test_a_schedule_is_told_as_it_was_written(given: dict[str, str] | None, told: str) -> None:
    """In the largest unit that fits."""
    assert describe_schedule(Schedule.model_validate(given) if given else None) == told


def test_the_local_zone_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid name means the offset of this moment."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == BERLIN
    monkeypatch.setenv("TZ", "No/Where")
    assert local_zone().utcoffset(NOW) == NOW.astimezone().utcoffset()
