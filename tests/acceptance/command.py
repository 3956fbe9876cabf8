"""Starts the real command as a process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import LONGEST_WAIT_SECONDS

COMMAND = (sys.executable, "-m", "downloader")
LONGEST_RUN_SECONDS = LONGEST_WAIT_SECONDS
POLL_SECONDS = 0.01
# One certificate authority, whose key is gone. Reading the hundreds of a system is a fifth of what a short command costs.
AUTHORITY = Path(__file__).with_name("authority.pem")
_OTHERS = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "no_color", "force_color", "columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended. A signal's exit code is its number below zero."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """The one JSON document on stdout; anything else there is an error."""
        return json.loads(self.stdout)


def clean_environment(**more: str) -> dict[str, str]:
    """This process' environment without what would change how tciad runs or looks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TCIAD_") and name.lower() not in _OTHERS}
    return {**kept, "NO_PROXY": "*", "SSL_CERT_FILE": str(AUTHORITY), **more}


def run_command(*arguments: str | Path, directory: Path | None = None, environment: Mapping[str, str] | None = None) -> Ended:
    """Run the command to its end."""
    ended = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=directory,
        env=clean_environment(**(environment or {})),
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )
    return Ended(exit_code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr)


@contextmanager
def start_command(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start the command; it is killed at the end of the block if it still runs then."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=clean_environment(**(environment or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def end_of(process: subprocess.Popen[str]) -> Ended:
    """Wait until the process has ended."""
    stdout, stderr = process.communicate(timeout=LONGEST_WAIT_SECONDS)
    return Ended(exit_code=process.returncode, stdout=stdout, stderr=stderr)


def wait_until(condition: Callable[[], bool], poll_seconds: float = POLL_SECONDS) -> None:
    """Return as soon as the condition holds.

    It polls, since another process does not report what it does to its files, and a kill at a chosen moment cannot wait for
    output.
    """
    give_up_at = time.monotonic() + LONGEST_WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at, "what the test waits for did not come"
        time.sleep(poll_seconds)
