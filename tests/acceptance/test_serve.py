"""The service as a process: manifests that come, break, are mended and go; signals; the verbs that work beside it."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import (
    ServedArchive,
    assert_mirrors,
    assert_nothing_staged,
    receipts_of,
    serve_archive,
    small_catalogue,
    write_manifest,
)
from tests.acceptance.command import end_of, run_command, start_command, wait_until

pytestmark = pytest.mark.acceptance


@dataclass(frozen=True, slots=True)
class Served:
    """A running `tciad serve` and what it logs."""

    process: subprocess.Popen[str]

    def until(self, event: str, **figures: object) -> dict[str, Any]:
        """The next log line of that event with these figures; others are passed over."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] == event and figures.items() <= entry.items():
                return entry
        pytest.fail(f"the service ended before {event} {figures}")

    def next_line(self) -> dict[str, Any]:
        """The next log line."""
        assert self.process.stderr is not None
        line: dict[str, Any] = json.loads(self.process.stderr.readline())
        return line

    def reload(self) -> None:
        """Let it look at its manifests now."""
        self.process.send_signal(signal.SIGHUP)


@contextmanager
def serving(folder: Path, library: Path, *more: str) -> Iterator[Served]:
    """The service, with logs that programs can read."""
    environment = {"TCIAD_LOG_FORMAT": "json", "TCIAD_LISTEN": "127.0.0.1:0"}
    with start_command("serve", folder, "-o", library, *more, environment=environment) as process:
        yield Served(process)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the manifests go."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Where the series go."""
    return tmp_path / "library"


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    """Three small series."""
    with serve_archive(small_catalogue(3)) as served:
        yield served


def test_manifests_come_break_are_mended_and_go_while_it_runs(archive: ServedArchive, folder: Path, library: Path) -> None:
    """By SIGHUP at once, by looking after a few seconds; SIGTERM ends it with 0."""
    with serving(folder, library) as served:
        served.until("service started", manifests=0)
        path = write_manifest(folder / "m.yaml", archive.sandbox.base_url)
        served.reload()
        assert served.until("run ended", manifest="m")["outcome"] == "complete"
        assert_mirrors(library, archive)
        good = path.read_text()
        path.write_text(good.replace("select", "selct"))
        assert "did you mean 'select'?" in served.until("manifest invalid", in_force=True)["message"]
        path.write_text(good + "max_shrink: 50%\n")
        served.until("manifest active", manifest="m")
        served.until("run ended", manifest="m", outcome="complete", completed=0)
        path.unlink()
        served.reload()
        served.until("manifest removed", manifest="m")
        served.process.send_signal(signal.SIGTERM)
        served.until("service ended")
        assert end_of(served.process).exit_code == 0
    assert_mirrors(library, archive)


def test_sigterm_lets_what_is_in_flight_end(folder: Path, library: Path) -> None:
    """The rest waits for the next start, which goes on at once."""
    with serve_archive(small_catalogue(3), [Fault(kind=FaultKind.STALL, times=1)]) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url, "download: {concurrency: 1}")
        with serving(folder, library) as served:
            archive.wait_for_stall()
            served.process.send_signal(signal.SIGTERM)
            served.until("service draining")
            archive.release()
            assert served.until("run ended")["outcome"] == "interrupted"
            assert end_of(served.process).exit_code == 0
        assert len(receipts_of(library)) == 1
        with serving(folder, library) as served:
            assert served.until("run ended")["completed"] == 2
        assert_mirrors(library, archive)


def test_after_its_grace_what_is_in_flight_is_set_back(folder: Path, library: Path) -> None:
    """Without losing an attempt; a series that stalls for ever delays no shutdown."""
    with serve_archive(small_catalogue(2), [Fault(kind=FaultKind.STALL)]) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url)
        with serving(folder, library, "--grace", "0") as served:
            archive.wait_for_stall()
            served.process.send_signal(signal.SIGINT)
            assert end_of(served.process).exit_code == 0
    status = run_command("status", "-o", library, "--json").document
    assert status["series"] | {"pending": 2, "claimed": 0} == status["series"]
    assert status["manifests"][0]["last_cycle"]["outcome"] == "interrupted"


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_leaves_at_once(folder: Path, library: Path, number: signal.Signals, exit_code: int) -> None:
    """Whatever is still in flight; the next start goes on from there."""
    with serve_archive(small_catalogue(2), [Fault(kind=FaultKind.STALL, times=2)]) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url)
        with serving(folder, library, "--grace", "1h") as served:
            archive.wait_for_stall()
            served.process.send_signal(number)
            served.until("service draining")
            served.process.send_signal(number)
            assert end_of(served.process).exit_code == exit_code
        archive.release()
    with serve_archive(small_catalogue(2)) as recovered:
        write_manifest(folder / "m.yaml", recovered.sandbox.base_url)
        with serving(folder, library) as served:
            assert served.until("run ended")["outcome"] == "complete"
        assert_mirrors(library, recovered)
        assert_nothing_staged(library)


def test_it_is_paused_asked_and_copied_from_the_command_line(archive: ServedArchive, folder: Path, library: Path) -> None:
    """None of them needs the network, or the service."""
    write_manifest(folder / "m.yaml", archive.sandbox.base_url, "schedule: {every: 1s}")
    with serving(folder, library) as served:
        served.until("run ended", outcome="complete")
        assert run_command("pause", "-o", library, "--json").document == {
            "library": str(library),
            "paused": True,
            "changed": True,
        }
        assert "was already paused" in run_command("pause", "-o", library).stdout
        assert "is no longer paused" in run_command("resume", "-o", library).stdout
        assert "was not paused" in run_command("resume", "-o", library).stdout
        assert run_command("pause", "-o", library).exit_code == 0
        assert run_command("status", "-o", library, "--json").document["paused"]
        copy = library.parent / "copy.db"
        ended = run_command("store", "backup", copy, "-o", library, "--json")
        assert (ended.exit_code, ended.document["bytes"]) == (0, copy.stat().st_size)
        refused = run_command("run", folder / "m.yaml", "-o", library)
        assert (refused.exit_code, "another run" in refused.stdout) == (6, True)
        assert run_command("resume", "-o", library, "--json").document["changed"]
        served.until("run ended", outcome="complete")
        served.process.send_signal(signal.SIGTERM)
        assert end_of(served.process).exit_code == 0


def test_a_restored_store_needs_no_download(archive: ServedArchive, folder: Path, library: Path) -> None:
    """What was completed after the backup is known by its receipts."""
    manifest = write_manifest(folder / "m.yaml", archive.sandbox.base_url)
    copy = library.parent / "copy.db"
    assert run_command("run", manifest, "-o", library).exit_code == 0
    assert run_command("store", "backup", copy, "-o", library).exit_code == 0
    archive.sandbox.replace_catalogue(small_catalogue(4))
    assert run_command("run", manifest, "-o", library).exit_code == 0
    downloads = archive.downloads
    for left in (library / ".tciad").glob("state.db*"):
        left.unlink()
    copy.rename(library / ".tciad" / "state.db")
    assert run_command("run", manifest, "-o", library).exit_code == 0
    assert archive.downloads == downloads
    assert_mirrors(library, archive)


def test_status_can_be_watched(archive: ServedArchive, folder: Path, library: Path) -> None:
    """One table after another where there is no terminal, until interrupted."""
    assert run_command("run", write_manifest(folder / "m.yaml", archive.sandbox.base_url), "-o", library).exit_code == 0
    with start_command("status", "--watch", "-o", library) as process:
        assert process.stdout is not None
        seen = 0
        while seen < 2:
            seen += "m: last run complete" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert end_of(process).exit_code == 0
    refused = run_command("status", "--watch", "--json", "-o", library)
    assert (refused.exit_code, "leave one out" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (("serve", "none"), 2, "none is not a folder"),
        (("serve", "manifests", "--grace", "soon"), 2, "--grace: 'soon' is not a duration"),
        (("pause", "-o", "none"), 5, "not a library of tciad"),
        (("store", "backup", "copy.db", "-o", "none"), 6, "has no state store"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(folder: Path, arguments: tuple[str, ...], exit_code: int, says: str) -> None:
    """With its exit code, and no traceback."""
    ended = run_command(*arguments, directory=folder.parent)
    assert ended.exit_code == exit_code
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_service_on_one_library_is_refused(archive: ServedArchive, folder: Path, library: Path) -> None:
    """It says who holds the library."""
    write_manifest(folder / "m.yaml", archive.sandbox.base_url)
    with serving(folder, library) as served:
        served.until("run ended")
        second = run_command("serve", folder, "-o", library)
        assert (second.exit_code, f"process {served.process.pid}" in second.stderr) == (6, True)
        wait_until(lambda: served.process.poll() is None)


def test_one_line_tells_each_attempt_and_each_cycle(folder: Path, library: Path) -> None:
    """With run, manifest and series bound, so that one search finds all of a series."""
    catalogue = small_catalogue(2)
    bad = next(iter(catalogue.holdings))
    with serve_archive(catalogue, [Fault(kind=FaultKind.WRONG_CRC, series_instance_uid=bad)]) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url, "download: {attempts: 2}")
        with serving(folder, library) as served:
            lines: list[dict[str, Any]] = []
            while not lines or lines[-1]["event"] != "run ended":
                lines.append(served.next_line())
    attempts = [line for line in lines if line["event"] in {"series completed", "series set back", "series failed"}]
    assert sorted((line["event"], line["series_instance_uid"] == bad) for line in attempts) == [
        ("series completed", False),
        ("series failed", True),
        ("series set back", True),
    ]
    ended = lines[-1]
    for line in [*attempts, ended]:
        assert (line["manifest"], line["run"], line["library"]) == ("m", ended["run"], str(library))
    assert (ended["outcome"], ended["completed"], ended["failed_series"]) == ("incomplete", 1, 1)
    assert {"selected", "received_bytes", "elapsed_seconds", "new_series"} <= ended.keys()
