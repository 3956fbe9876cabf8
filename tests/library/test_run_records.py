"""What runs said, read again for reports."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from downloader.library.model import RUNS
from downloader.library.run_records import RunRecord, RunRecords, read_runs, run_document
from downloader.library.state.records import read_records, write_record
from downloader.own_folder import OWN_FOLDER


@pytest.fixture(autouse=True)
def library(tmp_path: Path) -> None:
    """Records are kept in a library that is there; writing one makes none."""
    (tmp_path / OWN_FOLDER).mkdir()


STARTED_AT = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "manifest": "lung-ct",
    "outcome": "complete",
    "series": {"completed": 12, "failed": 0},
    "received_bytes": 4000,
    "elapsed_seconds": 2.0,
    "error": "",
}


def write(root: Path, started_at: datetime, document: dict[str, Any]) -> None:
    write_record(root, RUNS, started_at, run_document(started_at, document))


def read(root: Path, newest: int) -> RunRecords:
    return read_runs(read_records(root, RUNS, limit=newest))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """With the throughput of the whole run."""
    write(tmp_path, STARTED_AT, DOCUMENT)
    (run,) = read(tmp_path, 10).runs
    assert run == RunRecord(
        started_at=STARTED_AT,
        manifest="lung-ct",
        outcome="complete",
        completed=12,
        failed=0,
        received_bytes=4000,
        elapsed_seconds=2.0,
        error="",
    )
    assert run.bytes_per_second == 2000


def test_the_newest_are_read_oldest_first(tmp_path: Path) -> None:
    """As many as are asked for."""
    for hours in (2, 0, 1):
        write(tmp_path, STARTED_AT + timedelta(hours=hours), DOCUMENT)
    started = [run.started_at for run in read(tmp_path, 2).runs]
    assert started == [STARTED_AT + timedelta(hours=1), STARTED_AT + timedelta(hours=2)]


def test_a_run_of_no_time_has_no_throughput(tmp_path: Path) -> None:
    """Rather than an endless one."""
    write(tmp_path, STARTED_AT, {**DOCUMENT, "elapsed_seconds": 0})
    assert read(tmp_path, 1).runs[0].bytes_per_second == 0


@pytest.mark.parametrize(
    "broken",
    [{"elapsed_seconds": "NaN"}, {"series": None}, {"series": {}}, {"received_bytes": "many"}, {"started_at": "yesterday"}],
)
def test_a_record_that_says_something_else_is_named(tmp_path: Path, broken: dict[str, Any]) -> None:
    """And the others are read."""
    write(tmp_path, STARTED_AT, DOCUMENT)
    folder = tmp_path / ".tciad" / "runs"
    (folder / "20270101T000000.000000Z.json").write_text(json.dumps({"started_at": "2027-01-01", **DOCUMENT, **broken}))
    records = read(tmp_path, 10)
    assert len(records.runs) == 1
    assert records.unreadable == ("20270101T000000.000000Z",)


def test_a_library_without_runs_has_no_records(tmp_path: Path) -> None:
    """Nor has one that was only looked at."""
    assert read(tmp_path, 10) == RunRecords()
