"""Protocols of progress listeners."""

from typing import Protocol

from downloader.model import Event, SeriesTally


class RunListener(Protocol):
    """Receives the events of a run. Called on the event loop, so it must not block."""

    def begin(self, manifest: str, tally: SeriesTally) -> None:
        """The manifest has been resolved; `tally` is the state of its series before anything is fetched."""
        ...

    def take(self, event: Event) -> None:
        """Receive one event."""
        ...


class CountListener(Protocol):
    """Receives the progress of work that counts series. Called on any thread, so it must not block."""

    def begin(self, title: str, total: int | None) -> None:
        """Work begins. `total` is the expected number of series, None if it is unknown."""
        ...

    def advance(self, series: int, read_bytes: int = 0) -> None:
        """`series` more series are done, and `read_bytes` more bytes were read for them."""
        ...
