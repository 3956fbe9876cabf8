"""An event for one task that waits again and again, with a time-out on a clock that is a parameter."""

import anyio

from downloader.clock import Clock, wait_for


class AutoResetEvent:
    """An event that clears itself once a task was woken by it; set while no task waits, it wakes the next one at once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the task that waits."""
        self._event.set()

    async def wait(self, clock: Clock, seconds: float) -> bool:
        """Wait until it is set, or for that time; returns whether it was set."""
        was_set = await wait_for(self._event, clock, seconds)
        self._event = anyio.Event()
        return was_set
