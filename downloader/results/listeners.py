"""Listeners to work that goes on: progress views, and whatever else wants to know."""

from typing import Protocol

from downloader.model import Event, SeriesTally


class RunListener(Protocol):
    """Hears of a run. Called on the event loop, so it must not block."""

    def begin(self, manifest: str, tally: SeriesTally) -> None:
        """The manifest has been resolved; `tally` is how its series stand before anything is fetched."""
        ...

    def take(self, event: Event) -> None:
        """Something happened."""
        ...


class CountListener(Protocol):
    """Hears how far work is that counts series. Called on any thread, so it must not block."""

    def begin(self, title: str, total: int | None) -> None:
        """Work begins. `total` is the number of series to come, None where it is not known."""
        ...

    def advance(self, series: int, read_bytes: int = 0) -> None:
        """This many more series are done, and this many more bytes were read for them."""
        ...
