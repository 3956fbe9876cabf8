"""What the archive writes is shown on a terminal, never obeyed: names, descriptions, error bodies, names in ZIPs, headers."""

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind, catalogue_of
from tests.acceptance.archives import ServedArchive, serve_archive, small_series, write_manifest
from tests.acceptance.command import COMMAND, Ended, clean_environment, run_command

pytestmark = pytest.mark.acceptance

# sets the title, rings, clears the screen, turns the text around, is a CSI in one byte, hides what follows
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m\x1b[8m"
OBEYED = ("\x1b]0;", "\x07", "\x1b[2J", "\u202e", "\x9b", "\x1b[8m")
PAGE = f"<html><h1>{HOSTILE}</h1></html>"


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    """Every text that an archive can send holds terminal escapes, and some series fail with more of them."""
    listed = [replace(one, series_description=HOSTILE) for one in small_series(6)]
    catalogue = catalogue_of(listed, collection=f"Evil {HOSTILE}", patient_id=f"P {HOSTILE}")
    series = list(catalogue.holdings)
    faults = [
        Fault(kind=FaultKind.ESCAPE_TEXT),
        Fault(kind=FaultKind.STATUS, status=500, text=HOSTILE, series_instance_uid=series[0]),
        Fault(kind=FaultKind.STATUS, status=418, text=PAGE, series_instance_uid=series[1]),
        Fault(kind=FaultKind.HTML, text=PAGE, series_instance_uid=series[2]),
        Fault(kind=FaultKind.UNSAFE_NAME, text=HOSTILE, series_instance_uid=series[3]),
        Fault(kind=FaultKind.NOT_DICOM, text=HOSTILE, series_instance_uid=series[4]),
    ]
    with serve_archive(catalogue, faults) as served:
        yield served


def assert_harmless(ended: Ended, exit_code: int) -> None:
    """Nothing but plain signs and line ends came out."""
    assert ended.exit_code == exit_code, ended.stderr
    assert ended.stdout + ended.stderr
    for text in (ended.stdout, ended.stderr):
        assert [line for line in text.split("\n") if not line.isprintable()] == []
    assert "Traceback" not in ended.stderr


def test_no_verb_hands_escapes_on(archive: ServedArchive, tmp_path: Path) -> None:
    """In tables, sentences, logs and JSON."""
    library = tmp_path / "library"
    manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
    misspelt = write_manifest(tmp_path / "misspelt.yaml", archive.sandbox.base_url, collection="Evil")

    assert_harmless(run_command("plan", manifest, "-o", library), 0)
    assert_harmless(run_command("plan", manifest, "-o", library, "--json"), 0)
    assert_harmless(run_command("run", misspelt, "-o", library, "-v"), 2)
    assert_harmless(run_command("run", manifest, "-o", library, "-v", "--attempts", "1"), 3)
    for verb in ("status", "failures", "verify"):
        assert_harmless(run_command(verb, "-o", library), 0)
        assert_harmless(run_command(verb, "-o", library, "--json"), 0)
    failures = run_command("failures", "-o", library)
    assert failures.stdout.count("owned") >= 3, "the archive's words are shown, as escapes"
    assert_harmless(run_command("run", manifest, "-o", library, "--json", "--attempts", "1"), 3)
    as_json = {"TCIAD_LOG_FORMAT": "json", "TCIAD_LOG_LEVEL": "debug"}
    assert_harmless(run_command("run", manifest, "-o", library, "--attempts", "1", environment=as_json), 3)


def test_progress_bars_on_a_terminal_hand_no_escapes_on(archive: ServedArchive, tmp_path: Path) -> None:
    """Their own colours and moves are all that the terminal gets."""
    manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
    shown = run_on_terminal("run", str(manifest), "-o", str(tmp_path / "library"), "-v", "--attempts", "1")
    assert "owned" in shown
    assert [sign for sign in OBEYED if sign in shown] == []


def run_on_terminal(*arguments: str) -> str:
    """All that the command writes when stdout and stderr are a terminal."""
    here, terminal = pty.openpty()
    environment = clean_environment(TERM="xterm-256color")
    with subprocess.Popen([*COMMAND, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=environment):
        os.close(terminal)
        written = bytearray()
        # a terminal whose last writer has left says EIO where a pipe says that it is empty
        with suppress(OSError):
            while data := os.read(here, 65536):
                written += data
        os.close(here)
    return written.decode()
