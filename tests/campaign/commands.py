"""Starts the command, and disturbs it: signals, kills, failing system calls, changes in the middle."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.acceptance.command import clean_environment
from tests.tools import can_trace
from tests.waiting import LONGEST_WAIT_SECONDS

EXIT_CODES: Final = frozenset({0, 1, 2, 3, 4, 5, 6, 130, 143})
_POLL_SECONDS: Final = 0.001
_WRITING_CALLS: Final = ("rename", "unlink", "rmdir", "mkdir", "fsync", "fdatasync", "unlinkat", "pwrite64", "write")
_MOVING_CALLS: Final = ("rename", "rename", "rename", "unlink", "unlinkat", "unlinkat", "rmdir", "mkdir", "fsync", "pwrite64")
# strace counts per thread, and maintenance verbs make few such calls
_EARLY: Final = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 10)
_ERRORS: Final = ("EIO", "ENOSPC", "EACCES", "EROFS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """A disturbance of a command; by default none.

    `signal_name` is sent after `after_requests` more requests have reached the archive, or `after_seconds` after the start if
    that is set. `call` is the system call that strace tampers with, `meddling` what strace does, at the call with number `when`
    (with `+`: from that call on). `no_exchange`: the file system cannot exchange two folders.
    """

    signal_name: str = ""
    after_requests: int = 0
    after_seconds: float | None = None
    call: str = ""
    meddling: str = ""
    when: str = ""
    no_exchange: bool = False

    def __str__(self) -> str:
        exchange = " without exchange" if self.no_exchange else ""
        if self.call:
            return f"{self.call}:{self.meddling}:when={self.when}{exchange}"
        if not self.signal_name:
            return exchange.strip()
        moment = f"{self.after_requests} requests" if self.after_seconds is None else f"{self.after_seconds:.2f} s"
        return f"{self.signal_name} after {moment}{exchange}"

    @property
    def is_any(self) -> bool:
        """Whether there is any disturbance."""
        return bool(self.signal_name or self.call or self.no_exchange)

    @property
    def word(self) -> str:
        """The kind of the disturbance, for counting."""
        return (self.call and f"{self.meddling.partition('=')[0]} at {self.call}") or self.signal_name or "no exchange"


UNDISTURBED: Final = Disturbance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended. `hung`: it was killed after a time-out."""

    arguments: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    disturbance: Disturbance = UNDISTURBED
    hung: bool = False

    @property
    def was_killed(self) -> bool:
        """Whether it was killed."""
        return self.exit_code in {-signal.SIGKILL, 128 + signal.SIGKILL}

    @property
    def was_hindered(self) -> bool:
        """Whether calls failed in it, or it was killed."""
        return self.disturbance.meddling.startswith("error") or self.exit_code not in {0, 3}

    def documents(self) -> list[dict[str, Any]]:
        """The reports of `--json`, one per manifest; empty if there was no output."""
        if not self.stdout.strip():
            return []
        document = json.loads(self.stdout)
        return document if isinstance(document, list) else [document]


def draw_disturbance(random: Random, *, asks_archive: bool, moves: bool = False) -> Disturbance:
    """A kill, a signal, or a system call that kills or fails. `moves`: for a verb that moves folders."""
    often = "killing call" if moves else "signal"
    kind = random.choice(("signal", "killing call", "failing call", often))
    call = random.choice(_MOVING_CALLS if moves else _WRITING_CALLS)
    number = random.choice(_EARLY) if moves else random.randint(1, 40)
    no_exchange = random.random() < 0.4
    if kind == "signal":
        name = random.choice(("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"))
        if asks_archive and random.random() < 0.8:
            return Disturbance(signal_name=name, after_requests=random.randint(0, 40))
        return Disturbance(signal_name=name, after_seconds=random.uniform(0.2, 1.2))
    if kind == "killing call":
        return Disturbance(call=call, meddling="signal=KILL", when=str(number), no_exchange=no_exchange)
    lasting = "+" if random.random() < 0.5 else ""
    error = random.choice(_ERRORS)
    return Disturbance(call=call, meddling=f"error={error}", when=f"{number}{lasting}", no_exchange=no_exchange)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An action to take after that many more requests have reached the archive."""

    after_requests: int
    do: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commander:
    """Starts commands. `code`: the tree with the `downloader` to start; `requests` counts requests that reached the archive."""

    code: Path
    folder: Path
    environment: Mapping[str, str]
    requests: Callable[[], int]

    def run(self, *arguments: str | Path, disturbance: Disturbance = UNDISTURBED, happenings: Sequence[Happening] = ()) -> Ended:
        """Run the command until it ends or is killed."""
        words = tuple(map(str, arguments))
        environment = clean_environment(**self.environment, PYTHONPATH=str(self.code))
        command = [*_tracing(disturbance), sys.executable, "-m", "downloader", *words]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            before = self.requests()
            with subprocess.Popen(command, env=environment, cwd=self.folder, stdout=out, stderr=err) as process:
                hung = self._attend(process, before, disturbance, list(happenings))
            out.seek(0)
            err.seek(0)
            return Ended(
                arguments=words,
                exit_code=process.returncode,
                stdout=out.read().decode(errors="replace"),
                stderr=err.read().decode(errors="replace"),
                disturbance=disturbance,
                hung=hung,
            )

    def _attend(
        self, process: subprocess.Popen[bytes], before: int, disturbance: Disturbance, happenings: list[Happening]
    ) -> bool:
        """Take the actions at their times; whether the command had to be killed after a time-out.

        It polls, because a request that reaches the archive does not notify this thread.
        """
        began = time.monotonic()
        is_due = bool(disturbance.signal_name)
        while process.poll() is None:
            elapsed, came = time.monotonic() - began, self.requests() - before
            for happening in [one for one in happenings if came >= one.after_requests]:
                happenings.remove(happening)
                happening.do()
            after = disturbance.after_seconds
            if is_due and (elapsed >= after if after is not None else came > disturbance.after_requests):
                is_due = False
                process.send_signal(getattr(signal, disturbance.signal_name))
            if elapsed > LONGEST_WAIT_SECONDS:
                process.kill()
                return True
            time.sleep(_POLL_SECONDS)
        for happening in happenings:
            happening.do()
        return False


def _tracing(disturbance: Disturbance) -> list[str]:
    """The strace command line for the disturbance; empty if no system call is affected."""
    injections = [f"{disturbance.call}:{disturbance.meddling}:when={disturbance.when}"] if disturbance.call else []
    if disturbance.no_exchange:
        injections.append("renameat2:error=EINVAL")
    if not injections or not can_trace():
        return []
    traced = ",".join(injection.partition(":")[0] for injection in injections)
    words = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "signal=none", "-e", f"trace={traced}", "-o", os.devnull]
    return [*words, *(word for injection in injections for word in ("-e", f"inject={injection}"))]
