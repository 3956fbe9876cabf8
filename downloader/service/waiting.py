"""Waits for events with a time-out, on a clock that is a parameter."""

import anyio

from downloader.clock import Clock


async def wait_for(event: anyio.Event, clock: Clock, seconds: float) -> bool:
    """Whether the event came within that time."""
    async with anyio.create_task_group() as group:

        async def expire() -> None:
            await clock.sleep(seconds)
            group.cancel_scope.cancel()

        group.start_soon(expire)
        await event.wait()
        group.cancel_scope.cancel()
    return event.is_set()


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
