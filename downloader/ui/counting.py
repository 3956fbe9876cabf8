"""Progress of work that counts series and reads bytes: bars on a terminal, a plain line at intervals elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from downloader.clock import Clock
from downloader.results.amounts import size_text
from downloader.results.listeners import CountListener
from downloader.ui.progress import PLAIN_INTERVAL_SECONDS


class SilentCount:
    """Shows nothing."""

    def begin(self, title: str, total: int | None) -> None:
        """Show nothing."""

    def advance(self, series: int, read_bytes: int = 0) -> None:
        """Show nothing."""


class PlainCount:
    """Writes a line to stderr, at most one every `PLAIN_INTERVAL_SECONDS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._title = ""
        self._total: int | None = None
        self._series = self._read_bytes = 0
        self._began = self._last_line = clock.monotonic()

    def begin(self, title: str, total: int | None) -> None:
        """Start to count."""
        self._title, self._total = title, total
        self._series = self._read_bytes = 0
        self._began = self._last_line = self._clock.monotonic()

    def advance(self, series: int, read_bytes: int = 0) -> None:
        """Count, and write a line when one is due."""
        self._series += series
        self._read_bytes += read_bytes
        now = self._clock.monotonic()
        if now - self._last_line < PLAIN_INTERVAL_SECONDS:
            return
        self._last_line = now
        total = "" if self._total is None else f" of {self._total:,}"
        rate = _rate_text(self._read_bytes, now - self._began)
        print(f"{self._title}: {self._series:,}{total} series{rate}", file=sys.stderr)  # noqa: T201


class BarCount:
    """A bar on a terminal."""

    def __init__(self, progress: Progress, clock: Clock) -> None:
        self._progress = progress
        self._clock = clock
        self._read_bytes = 0
        self._began = clock.monotonic()
        self._bar = progress.add_task("", total=None, note="", visible=False)

    def begin(self, title: str, total: int | None) -> None:
        """Redraw the bar."""
        self._read_bytes, self._began = 0, self._clock.monotonic()
        self._progress.reset(self._bar, total=total, description=title, note="", visible=True)

    def advance(self, series: int, read_bytes: int = 0) -> None:
        """Move the bar."""
        self._read_bytes += read_bytes
        note = _rate_text(self._read_bytes, self._clock.monotonic() - self._began)
        self._progress.update(self._bar, advance=series, note=note)


def _rate_text(read_bytes: int, elapsed_seconds: float) -> str:
    if not read_bytes:
        return ""
    return f", {size_text(read_bytes)} read, {size_text(read_bytes / max(elapsed_seconds, 1e-9))}/s"


@contextmanager
def open_count(clock: Clock, *, silent: bool) -> Iterator[CountListener]:
    """The progress view for stderr: a bar on a terminal, plain lines elsewhere, nothing when silent."""
    console = Console(stderr=True)
    if silent:
        yield SilentCount()
        return
    if not console.is_terminal:
        yield PlainCount(clock)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield BarCount(progress, clock)
