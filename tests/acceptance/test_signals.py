"""SIGINT and SIGTERM: what is in flight is set back, the report says interrupted, and the next run goes on."""

import json
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import ServedArchive, receipts_of, serve_archive, small_catalogue
from tests.acceptance.command import end_of, start_command, wait_until
from tests.acceptance.crashes import Mirror, mirror_of

pytestmark = pytest.mark.acceptance

SERIES = 6
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
OFTEN_ASKED = 1000


def stalled(archive: ServedArchive) -> None:
    archive.wait_for_stall()


def refused_once(archive: ServedArchive) -> None:
    wait_until(lambda: any(request.fault for request in archive.sandbox.requests))


MOMENTS: dict[str, tuple[Fault, Callable[[ServedArchive], None]]] = {
    "while the catalogue comes": (Fault(kind=FaultKind.STALL, endpoints=("getSeries",), times=1), stalled),
    "while a ZIP comes": (Fault(kind=FaultKind.STALL, at_bytes=1_000, times=2), stalled),
    "before a ZIP begins": (Fault(kind=FaultKind.STALL, at_bytes=0, times=2), stalled),
    "in the pause that the archive asked for": (
        Fault(kind=FaultKind.STATUS, status=429, retry_after_seconds=600, times=OFTEN_ASKED, endpoints=("getSeries",)),
        refused_once,
    ),
    "in an outage": (Fault(kind=FaultKind.STATUS, status=503, times=OFTEN_ASKED), refused_once),
}


def assert_set_back(mirror: Mirror) -> None:
    """Nothing is claimed any more, and only attempts count that the archive refused before the signal came."""
    with closing(sqlite3.connect(mirror.library / ".tciad" / "state.db")) as connection:
        rows = connection.execute("SELECT series_instance_uid, state, attempts FROM series").fetchall()
    refused = Counter(
        request.series_instance_uid
        for request in mirror.archive.sandbox.requests
        if request.fault and request.fault.kind is FaultKind.STATUS
    )
    for series_instance_uid, state, attempts in rows:
        assert state in {"pending", "complete"}
        assert state == "complete" or attempts <= refused[series_instance_uid]


def records_of(library: Path) -> list[dict[str, object]]:
    """What the runs left, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted((library / ".tciad" / "runs").iterdir())]


@pytest.mark.parametrize("number", EXIT_CODES, ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_a_run_in_order(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    """Whatever the run was doing."""
    fault, has_come = MOMENTS[moment]
    with serve_archive(small_catalogue(SERIES), faults=[fault]) as archive:
        mirror = mirror_of(archive, tmp_path)
        with start_command("run", mirror.manifest, "-o", mirror.library, "--json") as process:
            has_come(archive)
            process.send_signal(number)
            ended = end_of(process)

        assert ended.exit_code == EXIT_CODES[number], ended.stderr
        report = ended.document
        assert (report["outcome"], report["exit_code"]) == ("interrupted", EXIT_CODES[number])
        assert report["series"]["completed"] == len(receipts_of(mirror.library))
        assert report["series"]["failed"] == 0
        assert [record["outcome"] for record in records_of(mirror.library)] == ["interrupted"]
        assert "Traceback" not in ended.stderr
        assert_set_back(mirror)

    with serve_archive(small_catalogue(SERIES)) as healthy:
        mirror_of(healthy, tmp_path).assert_goes_on()


@pytest.mark.parametrize("number", EXIT_CODES, ids=lambda number: signal.Signals(number).name)
def test_a_second_signal_leaves_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """Whichever of the two it dies of, the next run goes on."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=1_000, times=2)
    with serve_archive(small_catalogue(SERIES), faults=[stall]) as archive:
        mirror = mirror_of(archive, tmp_path)
        with start_command("run", mirror.manifest, "-o", mirror.library) as process:
            archive.wait_for_stall()
            process.send_signal(number)
            process.send_signal(number)
            ended = end_of(process)
        assert ended.exit_code in {EXIT_CODES[number], -number}

    with serve_archive(small_catalogue(SERIES)) as healthy:
        mirror_of(healthy, tmp_path).assert_goes_on()


def wait_for_lines(process: subprocess.Popen[str], word: str, count: int) -> None:
    """Read the log of the command until this many lines contain the word."""
    assert process.stderr is not None
    found = 0
    for line in process.stderr:
        found += word in line
        if found == count:
            return
    raise AssertionError("the log ended before")


def test_what_was_complete_before_the_signal_is_kept(tmp_path: Path) -> None:
    """And counted: the report of the interrupted run tells of it, the next one asks for the rest only."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=0, times=SERIES, after=3)
    with serve_archive(small_catalogue(SERIES), faults=[stall]) as archive:
        mirror = mirror_of(archive, tmp_path)
        with start_command("run", mirror.manifest, "-o", mirror.library, "--json", "--verbose") as process:
            # a receipt lies in the library before the series counts as complete: the log tells when it does
            wait_for_lines(process, "] series completed ", 3)
            archive.wait_for_stall()
            process.send_signal(signal.SIGTERM)
            ended = end_of(process)

        assert (ended.exit_code, ended.document["series"]["completed"]) == (143, 3)
        assert ended.document["series"]["pending"] == SERIES - 3
        archive.release()
    with serve_archive(small_catalogue(SERIES)) as healthy:
        mirror_of(healthy, tmp_path).assert_goes_on()
        assert healthy.downloads == SERIES - 3


def test_several_manifests_are_interrupted_together(tmp_path: Path) -> None:
    """The one under way says so; those that had no turn have no report."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=0, times=2)
    with serve_archive(small_catalogue(SERIES), faults=[stall]) as archive:
        first, second = mirror_of(archive, tmp_path / "a"), mirror_of(archive, tmp_path / "b", "name: other")
        with start_command("run", first.manifest, second.manifest, "-o", first.library, "--json") as process:
            archive.wait_for_stall()
            process.send_signal(signal.SIGINT)
            ended = end_of(process)
        assert ended.exit_code == 130
        document = ended.document
        reports = document if isinstance(document, list) else [document]
        assert [report["manifest"] for report in reports if report["outcome"] == "interrupted"] == ["all"]
