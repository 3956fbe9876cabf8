"""Runs a program and measures its cost."""

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.archive import Figures


class BenchmarkError(Exception):
    """A run failed, so its measurements are invalid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one run. CPU is user and system time of all its processes, `peak_bytes` the memory of the largest of them."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    archive_cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of some runs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Requires at least one value."""
        return cls(statistics.median(figures), min(figures), max(figures))

    def text(self, form: str = ".2f") -> str:
        """Such as `1.20 (1.15 to 1.31)`."""
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended with an expected exit code."""

    cost: Cost
    output: str


def run(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)
) -> Finished:
    """Run a program to its end; its standard error is written to `log`.

    The peak is correct only while this process is small: a child inherits the memory that it had before exec.

    Raises:
        BenchmarkError: it ended with none of `codes`.
    """
    os.sync()  # write back what the previous run left, so that this run does not pay for it
    output = log.with_suffix(".out")
    with output.open("w+") as out, log.open("w") as errors:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=_installed(environment or os.environ))
        _, status, usage = os.wait4(process.pid, 0)
        wall_seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise BenchmarkError(f"{' '.join(command)[:200]} ended with {process.returncode}: {log.read_text()[-2000:]}")
    cost = Cost(wall_seconds=wall_seconds, cpu_seconds=usage.ru_utime + usage.ru_stime, peak_bytes=usage.ru_maxrss * 1024)
    return Finished(cost, output.read_text())


def _installed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which Python has cached bytecode, as for installed programs."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[str]:
    """An archive over a folder of replies, in its own process; yields its address."""
    command = [sys.executable, "-m", "benchmarks.archive", str(folder), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def ask_figures(address: str) -> Figures:
    """The counts of an archive so far."""
    with urllib.request.urlopen(f"{address}/figures", timeout=60) as reply:  # noqa: S310 - our own server
        return Figures(**json.load(reply))
