"""Runs that are killed, and what must hold after each: nothing lost, nothing believed."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.acceptance.archives import ServedArchive, assert_mirrors, assert_mirrors_as_zips, receipts_of, write_manifest
from tests.acceptance.command import COMMAND, Ended, clean_environment, end_of, run_command, start_command, wait_until
from tests.waiting import LONGEST_WAIT_SECONDS

KILLED = -9
DOWNLOADS = frozenset({"getImage", "getImageWithMD5Hash", "getSingleImage"})
LONGEST_TRACED_SECONDS = 2 * LONGEST_WAIT_SECONDS


def how_many(in_ci: int, variable: str = "TEST_TCIAD_CRASHES") -> int:
    """How many crashes a test makes: `make soak` asks for more."""
    return int(os.environ.get(variable, in_ci))


def store_says_complete(library: Path) -> set[str]:
    """The series that the store calls complete, read from a copy: what the crash left is not touched."""
    with tempfile.TemporaryDirectory() as folder:
        copies = [shutil.copy2(path, folder) for path in (library / ".tciad").glob("state.db*")]
        if not copies:
            return set()
        with closing(sqlite3.connect(Path(folder) / "state.db")) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'series'").fetchone()
            if not tables[0]:
                return set()
            return {row[0] for row in connection.execute("SELECT series_instance_uid FROM series WHERE state = 'complete'")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A library, the archive that it mirrors, and the manifest that says so."""

    archive: ServedArchive
    manifest: Path
    library: Path
    storage: str = "images"

    def run(self) -> Ended:
        """Run to the end."""
        return run_command("run", self.manifest, "-o", self.library, "--json")

    def run_and_kill(self, after_requests: int) -> bool:
        """Run, and kill -9 once this many more requests have reached the archive. False when it ended before."""
        asked_before = len(self.archive.sandbox.requests)
        with start_command("run", self.manifest, "-o", self.library, "--quiet") as process:
            wait_until(
                lambda: len(self.archive.sandbox.requests) >= asked_before + after_requests or process.poll() is not None,
                poll_seconds=0.0005,
            )
            process.kill()
            end_of(process)
        return process.returncode == KILLED

    def run_traced(self, inject: str, *more: str) -> int:
        """Run under strace, which meddles with the calls that `inject` names. Returns the exit code; a signal's is below zero."""
        traced = [
            "strace",
            "-f",
            "-qq",
            "-e",
            "signal=none",
            "-e",
            f"trace={inject.partition(':')[0]}",
            "-e",
            f"inject={inject}",
            "-o",
            os.devnull,
            *COMMAND,
            "run",
            str(self.manifest),
            "-o",
            str(self.library),
            *more,
        ]
        ended = subprocess.run(
            traced, env=clean_environment(), capture_output=True, timeout=LONGEST_TRACED_SECONDS, check=False, text=True
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode

    def assert_goes_on(self) -> None:
        """The next run completes, and asks for nothing that lay proven in the library or that the store called complete."""
        complete = store_says_complete(self.library)
        receipts = receipts_of(self.library)
        assert complete <= set(receipts)
        stored = {name for name, (_, receipt) in receipts.items() if self.archive.holds(name, receipt)}
        asked_before = len(self.archive.sandbox.requests)

        ended = self.run()

        assert ended.exit_code == 0, ended.stdout + ended.stderr
        assert ended.document["outcome"] == "complete"
        asked = self.archive.sandbox.requests[asked_before:]
        assert {request.series_instance_uid for request in asked if request.endpoint in DOWNLOADS}.isdisjoint(stored)
        self.assert_whole()
        assert store_says_complete(self.library) == set(self.archive.public_series())

    def assert_whole(self) -> None:
        """The library holds what the archive does, as images or as ZIPs, and nothing half-made."""
        check = assert_mirrors_as_zips if self.storage == "zip" else assert_mirrors
        check(self.library, self.archive)


def mirror_of(archive: ServedArchive, folder: Path, *more: str, storage: str = "images") -> Mirror:
    """A mirror of everything that the archive holds, into a library that is not there yet."""
    folder.mkdir(exist_ok=True)
    output = [] if storage == "images" else [f"output: {{format: {storage}}}"]
    manifest = write_manifest(folder / "all.yaml", archive.sandbox.base_url, *more, *output)
    return Mirror(archive=archive, manifest=manifest, library=folder / "library", storage=storage)


def moments(random: Random, requests: int) -> Sequence[int]:
    """After how many requests a run and those that follow it are killed: once, or up to three times in a row."""
    return [random.randint(0, requests) for _ in range(random.choice((1, 1, 2, 3)))]
