"""stdout and stderr that are full, closed, or cannot hold every character; and Ctrl-C before the command has begun."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.archives import ServedArchive, serve_archive, write_manifest
from tests.acceptance.command import COMMAND, LONGEST_RUN_SECONDS, clean_environment, end_of, run_command, start_command

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


@pytest.fixture(scope="module")
def archive() -> Iterator[ServedArchive]:
    with serve_archive() as served:
        yield served


def ended_with(redirection: str, *arguments: str | Path, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command, ended, with one of its streams redirected by a shell."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *COMMAND, *map(str, arguments)],
        cwd=directory,
        env=clean_environment(PYTHONPATH=str(Path(__file__).parents[2])),
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("arguments", [("schema",), ("query", "series"), ("query", "series", "--json")], ids=" ".join)
def test_results_that_find_no_room_are_an_error(arguments: tuple[str, ...], archive: ServedArchive) -> None:
    """Exit 5 and one sentence; a shell script that saves the result does not go on with half of it."""
    asked = ("--archive", archive.sandbox.base_url) if "query" in arguments else ()

    ended = ended_with(">/dev/full", *arguments, *asked)

    assert ended.returncode == 5, ended.stderr
    assert ended.stderr == "tciad: stdout cannot be written: No space left on device; free some space, or send it elsewhere\n"


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&-"])
def test_a_run_does_not_mind_what_becomes_of_its_log(redirection: str, archive: ServedArchive, tmp_path: Path) -> None:
    """A full disk of logs, or a stream that a scheduler has closed, is no reason to leave series out."""
    manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url, collection="Sandbox-Lung")

    ended = ended_with(redirection, "run", manifest, "-o", tmp_path / "library", "--verbose")

    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert "m: complete" in ended.stdout
    assert run_command("verify", "--deep", "-o", tmp_path / "library").exit_code == 0


VERBS = (
    "--version",
    "--help",
    "schema",
    "plan m.yaml -o library",
    "plan m.yaml -o library --json",
    "run m.yaml -o library",
    "run m.yaml -o library --json",
    "query series --archive {archive}",
    "doctor --manifest m.yaml -o library",
    "status -o library",
    "failures -o library",
    "verify -o library",
    "retry -o library",
    "pause -o library",
    "resume -o library",
    "relayout flat -o library --dry-run",
    "report -o library --format csv --to -",
    "report -o library --format csv",
    "store backup copy.db -o library",
    "store rebuild -o library",
)


@pytest.fixture(scope="module")
def mirrored(archive: ServedArchive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest and the library that it fills."""
    folder = tmp_path_factory.mktemp("mirrored")
    write_manifest(folder / "m.yaml", archive.sandbox.base_url, collection="Sandbox-Lung")
    assert run_command("run", "m.yaml", "-o", "library", directory=folder).exit_code == 0
    return folder


@pytest.mark.parametrize(("redirection", "reason"), [(">&-", "it is closed"), (">/dev/full", "No space left on device")])
@pytest.mark.parametrize("verb", VERBS)
def test_results_that_reach_nobody_are_an_error_of_every_verb(
    verb: str, redirection: str, reason: str, archive: ServedArchive, mirrored: Path
) -> None:
    """Whatever was done is done, but a script must not take the silence for an answer."""
    ended = ended_with(redirection, *verb.format(archive=archive.sandbox.base_url).split(), directory=mirrored)

    assert ended.returncode == 5, ended.stderr
    assert f"stdout cannot be written: {reason}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_run_whose_report_reaches_nobody_has_still_done_its_work(archive: ServedArchive, tmp_path: Path) -> None:
    """As under a scheduler that closes the streams of its jobs."""
    manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url, collection="Sandbox-Lung")

    ended = ended_with(">&-", "run", manifest, "-o", tmp_path / "library")

    assert ended.returncode == 5
    assert run_command("verify", "--deep", "-o", tmp_path / "library").exit_code == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_the_same_in_every_encoding(encoding: str, archive: ServedArchive) -> None:
    """What an encoding cannot hold is an escape of JSON."""
    ended = subprocess.run(
        [*COMMAND, "query", "series", "--json", "--archive", archive.sandbox.base_url],
        env=clean_environment(PYTHONIOENCODING=encoding),
        capture_output=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    descriptions = {row.get("SeriesDescription") for row in json.loads(ended.stdout.decode(encoding))}
    assert {"1.5 µm/thin, axial", "T2² trace"} <= descriptions


def ended_unheard(stream: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, ended, with `stdout` or `stderr` a pipe that has no reader any more."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: closed}
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=clean_environment(),
            text=True,
            timeout=LONGEST_RUN_SECONDS,
            check=False,
            **streams,
        )


@pytest.mark.parametrize("arguments", [("schema",), ("query", "series"), ("query", "series", "--json")], ids=" ".join)
def test_a_reader_that_goes_away_ends_the_command_quietly(arguments: tuple[str, ...], archive: ServedArchive) -> None:
    """As after `tciad schema | head -1`: 141, and not a word."""
    asked = ("--archive", archive.sandbox.base_url) if "query" in arguments else ()

    ended = ended_unheard("stdout", *arguments, *asked)

    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_run_goes_on_when_nobody_reads_its_log(archive: ServedArchive, tmp_path: Path) -> None:
    """As when the program that gathers the logs dies."""
    manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url, collection="Sandbox-Lung")

    ended = ended_unheard("stderr", "run", manifest, "-o", tmp_path / "library", "--verbose")

    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, "m: complete")


def test_an_interrupt_before_the_command_has_begun_is_no_traceback(tmp_path: Path) -> None:
    """While Python still imports what the command needs, which is most of a short command; here one import stands still."""
    (tmp_path / "structlog.py").write_text("import os, signal\nos.write(1, b'here')\nsignal.pause()\n", encoding="utf-8")
    with start_command("status", environment={"PYTHONPATH": str(tmp_path)}) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == "here"
        process.send_signal(signal.SIGINT)
        ended = end_of(process)

    assert (ended.exit_code, ended.stderr) == (130, "")
