"""Progress of a run: bars on a terminal, a plain line at intervals elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from downloader.clock import Clock
from downloader.model import BytesReceived, Event, SeriesTally
from downloader.results.amounts import size_text
from downloader.results.counter import RunCounter
from downloader.results.listeners import RunListener

PLAIN_INTERVAL_SECONDS = 10.0


class SilentProgress:
    """Shows nothing."""

    def begin(self, manifest: str, tally: SeriesTally) -> None:
        """Show nothing."""

    def take(self, event: Event) -> None:
        """Show nothing."""


class PlainProgress:
    """Writes a line to stderr, at most one every `PLAIN_INTERVAL_SECONDS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counter = RunCounter()
        self._manifest = ""
        self._tally = SeriesTally()
        self._began = self._last_line = clock.monotonic()

    def begin(self, manifest: str, tally: SeriesTally) -> None:
        """Write how many series the manifest selects."""
        self._manifest, self._tally, self._counter = manifest, tally, RunCounter()
        self._began = self._last_line = self._clock.monotonic()
        to_fetch = tally.selected - tally.complete
        print(  # noqa: T201
            f"{manifest}: {tally.selected:,} series wanted, {tally.complete:,} complete, {to_fetch:,} to fetch",
            file=sys.stderr,
        )

    def take(self, event: Event) -> None:
        """Count, and write a line when one is due."""
        self._counter.take(event)
        now = self._clock.monotonic()
        if now - self._last_line < PLAIN_INTERVAL_SECONDS:
            return
        self._last_line = now
        rate = self._counter.received_bytes / max(now - self._began, 1e-9)
        print(  # noqa: T201
            f"{self._manifest}: {self._tally.complete + self._counter.completed:,} of {self._tally.selected:,} series, "
            f"{self._tally.images + self._counter.images:,} images, {len(self._counter.failures):,} failed, "
            f"{size_text(self._counter.received_bytes)} received, {size_text(rate)}/s",
            file=sys.stderr,
        )


class BarProgress:
    """Bars of series, images and bytes on a terminal."""

    def __init__(self, progress: Progress, clock: Clock) -> None:
        self._progress = progress
        self._clock = clock
        self._counter = RunCounter()
        self._tally = SeriesTally()
        self._began = clock.monotonic()
        self._bars: dict[str, TaskID] = {}

    def begin(self, manifest: str, tally: SeriesTally) -> None:
        """Draw the bars of a manifest in place of the last one's."""
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        self._tally, self._counter, self._began = tally, RunCounter(), self._clock.monotonic()
        self._bars = {
            "series": self._add(f"{manifest}: series", tally.selected, tally.complete),
            "images": self._add("images", tally.expected_images, tally.images),
            "bytes": self._add("bytes", tally.expected_bytes, tally.stored_bytes, sized=True),
        }

    def _add(self, description: str, total: int, completed: int, *, sized: bool = False) -> TaskID:
        return self._progress.add_task(description, total=total or None, completed=completed, sized=sized, note="")

    def take(self, event: Event) -> None:
        """Move the bars."""
        self._counter.take(event)
        rate = self._counter.received_bytes / max(self._clock.monotonic() - self._began, 1e-9)
        if isinstance(event, BytesReceived):
            note = f"{size_text(self._counter.received_bytes)} received, {size_text(rate)}/s"
            self._progress.update(self._bars["bytes"], note=note)
            self._progress.update(self._bars["images"], completed=self._tally.images + self._counter.images)
            return
        failed = len(self._counter.failures)
        self._progress.update(
            self._bars["series"],
            completed=self._tally.complete + self._counter.completed,
            note=f"{failed:,} failed" if failed else "",
        )
        self._progress.update(self._bars["images"], completed=self._tally.images + self._counter.images)
        self._progress.update(self._bars["bytes"], completed=self._tally.stored_bytes + self._counter.completed_bytes)


class _AmountColumn(ProgressColumn):
    """Done of total, as sizes or as counts."""

    def render(self, task: Task) -> Text:
        show = size_text if task.fields["sized"] else lambda amount: f"{int(amount):,}"
        total = "?" if task.total is None else show(task.total)
        return Text(f"{show(task.completed)} of {total}")


@contextmanager
def open_progress(clock: Clock, *, silent: bool) -> Iterator[RunListener]:
    """The progress view for stderr: bars on a terminal, plain lines elsewhere, nothing when silent."""
    console = Console(stderr=True)
    if silent:
        yield SilentProgress()
        return
    if not console.is_terminal:
        yield PlainProgress(clock)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _AmountColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield BarProgress(progress, clock)
