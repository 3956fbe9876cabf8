"""When a run counts as complete, and what its document has."""

import pytest

from downloader.model import Failure, SeriesTally
from downloader.results.counter import RunCounter
from downloader.results.run import Outcome, RunReport, judge

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
