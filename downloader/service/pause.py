"""Whether one library is paused: as it was ordered here, and as the file says that `tciad pause` writes."""

from collections.abc import Callable
from pathlib import Path

import anyio
import structlog

from downloader.clock import Clock
from downloader.errors import LibraryError
from downloader.library.port import LibraryState

_log = structlog.get_logger(__name__)


class LibraryPause:
    """The pause of the library in `directory`. It counts as paused until `settle` has looked for the first time.

    An order holds at once. Where the library cannot be written, such as while it is not mounted, the order is kept in mind and
    written when it can be.

    Args:
        resumed: is called when a pause ends.
    """

    def __init__(self, directory: Path, state: LibraryState, clock: Clock, resumed: Callable[[], None]) -> None:
        self._directory = directory
        self._state = state
        self._clock = clock
        self._resumed = resumed
        self._opened = anyio.Event()
        self._unwritten: bool | None = None
        # what an older look at the file says must not undo a newer order
        self._looking = anyio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether nothing is claimed."""
        return not self._opened.is_set()

    async def pass_through(self) -> None:
        """Return once the library is not paused."""
        while self.is_on:
            await self._opened.wait()

    async def order(self, *, paused: bool) -> str:
        """Pause, or go on. Returns why the order cannot be written yet, empty where it is written."""
        self._set(paused)
        async with self._looking:
            self._unwritten = paused
            self._set(paused)
            try:
                await self._write()
            except LibraryError as error:
                _log.warning("order waits for its library", library=str(self._directory), paused=paused, message=str(error))
                return str(error)
        return ""

    async def settle(self) -> None:
        """Write an order that waits, and go by what the library says."""
        async with self._looking:
            try:
                await self._write()
                paused = await self._state.is_paused()
            except LibraryError as error:
                _log.warning("pause state not readable", library=str(self._directory), message=str(error))
                return
            self._set(paused)

    async def watch(self, every_seconds: float) -> None:
        """Settle from time to time, until cancelled."""
        while True:
            await self._clock.sleep(every_seconds)
            await self.settle()

    async def _write(self) -> None:
        if self._unwritten is None:
            return
        if self._unwritten:
            await self._state.pause(self._clock.now())
        else:
            await self._state.resume()
        self._unwritten = None

    def _set(self, paused: bool) -> None:
        if paused and not self.is_on:
            self._opened = anyio.Event()
        elif not paused and self.is_on:
            self._opened.set()
            self._resumed()
