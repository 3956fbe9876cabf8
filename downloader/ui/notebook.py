"""Progress below the cell of a notebook, without widgets: one picture, redrawn at intervals."""

import html
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Protocol, TypeVar

from downloader.clock import Clock
from downloader.model import Event, SeriesTally
from downloader.results.amounts import duration_text, size_text
from downloader.results.counter import RunCounter
from downloader.results.listeners import CountListener, RunListener
from downloader.ui.counting import open_count
from downloader.ui.progress import SilentProgress, open_progress
from downloader.ui.texts import printable

DRAWN_EVERY_SECONDS = 0.5


class Picture(Protocol):
    """Something shown below the cell that can be replaced: IPython's display handle."""

    def update(self, shown: object) -> None:
        """Show this instead."""
        ...


class Html:
    """A picture in HTML, with the same as plain text for front ends that show no HTML."""

    def __init__(self, content: str, text: str) -> None:
        self._content = content
        self._text = text

    def _repr_html_(self) -> str:
        return self._content

    def __repr__(self) -> str:
        return self._text


class _Canvas:
    """Where a view draws: a picture below the cell, that is drawn again now and then."""

    def __init__(self, clock: Clock, show: Callable[[Html], Picture]) -> None:
        self._clock = clock
        self._show = show
        self._picture: Picture | None = None
        self._drawn_at = clock.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time to draw again."""
        return self._clock.monotonic() - self._drawn_at >= DRAWN_EVERY_SECONDS

    def begin(self, drawing: Html) -> None:
        """Show a new picture; it is the one that is drawn again from now on."""
        self._picture = self._show(drawing)

    def draw(self, drawing: Html) -> None:
        """Draw the picture again, where there is one."""
        self._drawn_at = self._clock.monotonic()
        if self._picture is not None:
            self._picture.update(drawing)


class NotebookProgress:
    """A bar and a line of figures below the cell."""

    def __init__(self, clock: Clock, show: Callable[[Html], Picture]) -> None:
        self._clock = clock
        self._canvas = _Canvas(clock, show)
        self._manifest = ""
        self._tally = SeriesTally()
        self._counter = RunCounter()
        self._began = clock.monotonic()

    def begin(self, manifest: str, tally: SeriesTally) -> None:
        """Draw the bar of a manifest."""
        self._manifest, self._tally, self._counter = manifest, tally, RunCounter()
        self._began = self._clock.monotonic()
        self._canvas.begin(self._draw())

    def take(self, event: Event) -> None:
        """Count, and draw when it is time."""
        self._counter.take(event)
        if self._canvas.is_due:
            self.draw()

    def draw(self) -> None:
        """Show the current state."""
        self._canvas.draw(self._draw())

    def _draw(self) -> Html:
        counter, tally = self._counter, self._tally
        elapsed_seconds = self._clock.monotonic() - self._began
        rate = counter.received_bytes / max(elapsed_seconds, 1e-9)
        done = tally.complete + counter.completed
        figures = [
            f"{done:,} of {tally.selected:,} series",
            f"{tally.images + counter.images:,} images",
            f"{size_text(counter.received_bytes)} received, {size_text(rate)}/s",
            duration_text(elapsed_seconds),
        ]
        if counter.failures:
            figures.insert(1, f"{len(counter.failures):,} failed")
        return _draw_bar(f"{printable(self._manifest)}: {', '.join(figures)}", done, tally.selected)


class NotebookCount:
    """The same for work that counts series and reads bytes, such as a verification."""

    def __init__(self, clock: Clock, show: Callable[[Html], Picture]) -> None:
        self._clock = clock
        self._canvas = _Canvas(clock, show)
        self._has_begun = False
        self._title = ""
        self._total: int | None = None
        self._series = self._read_bytes = 0
        self._began = clock.monotonic()

    def begin(self, title: str, total: int | None) -> None:
        """Redraw a bar; without a known total it only shows that work continues."""
        self._title, self._total = title, total
        self._series = self._read_bytes = 0
        self._began = self._clock.monotonic()
        if not self._has_begun:
            self._has_begun = True
            self._canvas.begin(self._draw())
        self.draw()

    def advance(self, series: int, read_bytes: int = 0) -> None:
        """Count, and draw when it is time."""
        self._series += series
        self._read_bytes += read_bytes
        if self._canvas.is_due:
            self.draw()

    def draw(self) -> None:
        """Show the current state."""
        self._canvas.draw(self._draw())

    def _draw(self) -> Html:
        elapsed_seconds = self._clock.monotonic() - self._began
        total = "" if self._total is None else f" of {self._total:,}"
        figures = [f"{self._series:,}{total} series"]
        if self._read_bytes:
            figures.append(f"{size_text(self._read_bytes)} read, {size_text(self._read_bytes / max(elapsed_seconds, 1e-9))}/s")
        figures.append(duration_text(elapsed_seconds))
        return _draw_bar(f"{printable(self._title)}: {', '.join(figures)}", self._series, self._total)


def _draw_bar(line: str, done: int, total: int | None) -> Html:
    """A bar with its line of figures. HTML's own bar without a value shows that something goes on."""
    extent = "" if total is None else f'max="{max(total, 1)}" value="{done}" '
    bar = f'<progress {extent}style="width: 20em"></progress>'
    return Html(f'<div class="tciad-progress">{bar} <span>{html.escape(line)}</span></div>', line)


_View = TypeVar("_View", NotebookProgress, NotebookCount)


@contextmanager
def open_python_progress(clock: Clock, *, silent: bool) -> Iterator[RunListener]:
    """The progress view: below the cell in a notebook, elsewhere that of the command line."""
    if silent:
        yield SilentProgress()
        return
    show = _find_notebook()
    if show is None:
        with open_progress(clock, silent=False) as progress:
            yield progress
        return
    with _drawn_in_the_end(NotebookProgress(clock, show)) as notebook:
        yield notebook


@contextmanager
def open_python_count(clock: Clock, *, silent: bool) -> Iterator[CountListener]:
    """The same for work that counts series."""
    show = None if silent else _find_notebook()
    if show is None:
        with open_count(clock, silent=silent) as count:
            yield count
        return
    with _drawn_in_the_end(NotebookCount(clock, show)) as notebook:
        yield notebook


@contextmanager
def _drawn_in_the_end(view: _View) -> Iterator[_View]:
    """Also shows what came after the last drawing."""
    try:
        yield view
    finally:
        view.draw()


def _find_notebook() -> Callable[[Html], Picture] | None:
    """How to show something below the cell; None outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    display: Callable[..., Picture] = import_module("IPython.display").display
    return partial(display, display_id=True)
