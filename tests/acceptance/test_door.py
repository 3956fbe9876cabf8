"""The service where strangers can reach it: what they do costs them, and not the mirror."""

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.archives import serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import COMMAND, clean_environment, end_of, run_command
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
OPEN_FILES = 256
STRANGERS = 300


@contextmanager
def serving_with_few_files(folder: Path, library: Path) -> Iterator[subprocess.Popen[str]]:
    """The service in a shell that allows it few open files, and no more."""
    process = subprocess.Popen(
        ["sh", "-c", f'ulimit -n {OPEN_FILES}; exec "$@"', "sh", *COMMAND, "serve", str(folder), "-o", str(library)],
        env=clean_environment(TCIAD_LOG_FORMAT="json", TCIAD_LISTEN="127.0.0.1:0"),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """The next log line of that event; no other may be an error."""
    assert process.stderr is not None
    for line in process.stderr:
        entry: dict[str, Any] = json.loads(line)
        assert entry["level"] not in {"error", "critical"}, entry
        if entry["event"] == event:
            return entry
    pytest.fail(f"the service ended before {event}")


def test_idle_connections_stop_neither_health_checks_nor_cycles(tmp_path: Path) -> None:
    """More of them than the process may have open files."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    with serve_archive(small_catalogue(3)) as archive, serving_with_few_files(folder, tmp_path / "library") as process:
        address = until(process, "listening")["address"]
        port = int(address.rpartition(":")[2])
        with ExitStack() as stack:
            for _ in range(STRANGERS):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), LONGEST_WAIT_SECONDS))
            write_manifest(folder / "m.yaml", archive.sandbox.base_url)
            process.send_signal(signal.SIGHUP)
            for path in ("/healthz", "/readyz", "/metrics"):
                with urllib.request.urlopen(f"{address}{path}", timeout=LONGEST_WAIT_SECONDS) as reply:  # noqa: S310 - our own address
                    assert reply.status == 200
            assert until(process, "run ended")["outcome"] == "complete"
        process.send_signal(signal.SIGTERM)
        assert end_of(process).exit_code == 0


@pytest.mark.parametrize("token", ["abc", "fifteen letters"])
def test_a_token_that_can_be_guessed_is_refused_at_the_start(token: str, tmp_path: Path) -> None:
    """It says how long one has to be and how to make one, and not what it was."""
    (tmp_path / "token").write_text(token + "\n")
    (tmp_path / "manifests").mkdir()
    by_file = run_command("serve", tmp_path / "manifests", "--token-file", tmp_path / "token")
    by_variable = run_command("serve", tmp_path / "manifests", environment={"TCIAD_SERVE_TOKEN": token})
    for ended, named in ((by_file, "--token-file"), (by_variable, "TCIAD_SERVE_TOKEN")):
        assert ended.exit_code == 2
        assert named in ended.stderr
        assert "16" in ended.stderr
        assert "openssl rand -hex 32" in ended.stderr
        assert token not in ended.stderr
