"""A run that works beside others on one store: it takes no lock of the library, and its store is as many seconds ahead as told.

`python -m tests.acceptance.beside MANIFEST LIBRARY SECONDS` logs warnings to stderr, and exits as the run ended.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread

from downloader.api.keywords import prepare
from downloader.clock import SystemClock
from downloader.engine.holding import HeldLibrary, bind, open_session
from downloader.engine.mirror import decide_options, open_library, open_run
from downloader.engine.state_store import open_state
from downloader.manifest import load_manifest
from downloader.model import Event, SeriesTally
from downloader.ui.log import configure_unless_configured


class AheadClock(SystemClock):
    """The machine's clock, ahead by this many seconds."""

    def __init__(self, seconds: float) -> None:
        self._ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        """The date and time of the machine, and some more."""
        return datetime.now(UTC) + self._ahead

    def steady_now(self) -> datetime:
        """The same, as it passes for the process."""
        return super().steady_now() + self._ahead


class Silent:
    """Hears of a run, and says nothing."""

    def begin(self, manifest: str, tally: SeriesTally) -> None:
        """Say nothing."""

    def take(self, event: Event) -> None:
        """Say nothing."""


async def run(*arguments: str) -> int:
    """One run beside others; returns its exit code."""
    manifest_path, library, seconds = arguments
    clock = AheadClock(float(seconds))
    manifest = await anyio.to_thread.run_sync(load_manifest, Path(manifest_path))
    configure_unless_configured("auto", "warning")
    flags, settings = prepare({"output": library})
    options = decide_options(flags, settings, manifest)
    await open_library(options)
    async with open_state(options, clock) as store, open_session(store, is_alone=False) as session:
        await bind(options, store, clock)
        held = HeldLibrary(store=store, session=session)
        async with open_run(manifest, options, held, Silent(), clock=clock) as one:
            return int((await one.run()).exit_code)


if __name__ == "__main__":
    sys.exit(anyio.run(run, *sys.argv[1:]))
