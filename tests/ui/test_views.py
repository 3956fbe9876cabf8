"""What people and programs see."""

import json

import pytest

from downloader.model import BytesReceived, Failure, Series, SeriesCompleted, SeriesFailed, SeriesSetBack, SeriesTally
from downloader.results.amounts import count_text, duration_text, size_text
from downloader.results.counter import RunCounter
from downloader.results.run import Outcome, RunReport, judge
from downloader.ui.run import render_run
from downloader.ui.texts import json_text, printable
from tests.store.examples import receipt

KEYS = {
    "manifest",
    "outcome",
    "exit_code",
    "series",
    "images",
    "stored_bytes",
    "received_bytes",
    "elapsed_seconds",
    "failures",
}


def report_of(tally: SeriesTally, *, unproven: bool = False, failures: tuple[Failure, ...] = ()) -> RunReport:
    return judge(
        manifest="m",
        tally=tally,
        counter=RunCounter(completed=1),
        failures=failures,
        elapsed_seconds=1.0,
        warnings=(),
        unproven=unproven,
    )


@pytest.mark.parametrize(
    ("tally", "unproven", "outcome", "exit_code"),
    [
        (SeriesTally(complete=3), False, Outcome.COMPLETE, 0),
        (SeriesTally(complete=3, withdrawn=1), False, Outcome.COMPLETE, 0),
        (SeriesTally(complete=3), True, Outcome.INCOMPLETE, 3),
        (SeriesTally(complete=2, failed=1), False, Outcome.INCOMPLETE, 3),
        (SeriesTally(complete=2, pending=1), False, Outcome.INCOMPLETE, 3),
        (SeriesTally(), False, Outcome.INCOMPLETE, 3),
    ],
)
def test_only_a_whole_selection_is_complete(tally: SeriesTally, unproven: bool, outcome: Outcome, exit_code: int) -> None:
    """Nothing selected is not everything fetched, and a catalogue in doubt proves nothing."""
    report = report_of(tally, unproven=unproven)
    assert (report.outcome, report.exit_code) == (outcome, exit_code)


def test_the_document_has_the_keys_of_the_contract() -> None:
    """Programs rely on them; others may be added."""
    failure = Failure(series_instance_uid="1.2", error="CutTransferError", message="cut", attempts=6)
    document = report_of(SeriesTally(complete=2, failed=1), failures=(failure,)).as_json()
    assert document.keys() >= KEYS
    assert document["series"] == {
        "selected": 3,
        "completed": 1,
        "already_complete": 1,
        "failed": 1,
        "withdrawn": 0,
        "pending": 0,
    }
    assert document["failures"] == [{"series_instance_uid": "1.2", "error": "CutTransferError", "message": "cut", "attempts": 6}]


def test_what_the_archive_wrote_is_shown_and_never_obeyed() -> None:
    """Escapes, bells, line breaks and right-to-left marks become visible."""
    assert printable("chest µ ²") == "chest µ ²"
    assert printable("a\x1b[2Jb\x07c\nd\u202ee") == "a\\x1b[2Jb\\x07c\\nd\\u202ee"
    failure = Failure(series_instance_uid="1.2", error="E", message="\x1b]0;owned\x07", attempts=1)
    assert "\x1b" not in render_run(report_of(SeriesTally(failed=1), failures=(failure,)))


@pytest.mark.parametrize("text", ["µ ² ä", "\x1b[2J\x9b2J\u202e\x07", "\ud800", "\U000e0001", 'a\n"b"\\\\'])
def test_json_is_shown_and_never_obeyed(text: str) -> None:
    """It says the same, and neither a terminal nor an encoding stumbles over it."""
    document = {"a": [text], text: {}}
    shown = json_text(document)
    assert json.loads(shown) == document
    assert shown.replace("\n", "").isprintable()
    assert ("µ ² ä" in shown) == ("µ" in text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1_410_000_000, "1.41 GB"), (512_000, "512 kB"), (29_200_000_000_000, "29.2 TB")],
)
def test_sizes_are_read_at_a_glance(size_bytes: int, text: str) -> None:
    """Three digits and a unit of 1000."""
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.21, "3.2 s"), (125, "2 min 5 s"), (7_500, "2 h 5 min")])
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """Nobody wants the seconds of an hour."""
    assert duration_text(seconds) == text


def test_counts_agree_with_their_nouns() -> None:
    """One image, two images, three series."""
    assert [count_text(1, "image"), count_text(2_685, "image"), count_text(3, "series", "series")] == [
        "1 image",
        "2,685 images",
        "3 series",
    ]


def test_images_count_as_they_come() -> None:
    """Each once: those of a series under way until it is complete, and not any more when its attempt came to nothing."""
    counter = RunCounter()

    def came(series_instance_uid: str, images: int) -> int:
        counter.take(BytesReceived(series_instance_uid=series_instance_uid, received_bytes=1, images=images))
        return counter.images

    assert [came("1.2.3", 0), came("1.2.3", 1), came("1.2.4", 2), came("1.2.3", 2)] == [0, 1, 3, 4]
    counter.take(SeriesSetBack(series_instance_uid="1.2.4", attempt=1, error="E", message="m", delay_seconds=1.0))
    assert counter.images == 2
    whole = receipt(Series(series_instance_uid="1.2.3", collection="C"), images=3)
    counter.take(SeriesCompleted(receipt=whole, attempt=1, elapsed_seconds=1.0))
    assert counter.images == counter.completed_images == 3
    assert came("1.2.4", 1) == 4
    counter.take(SeriesFailed(failure=Failure(series_instance_uid="1.2.4", error="E", message="m", attempts=2)))
    assert counter.images == 3
