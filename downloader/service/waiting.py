"""To wait for something that may not come, on a clock that is passed in."""

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


class Bell:
    """Wakes whoever waits; rung while nobody does, it wakes the next one at once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake."""
        self._event.set()

    async def wait(self, clock: Clock, seconds: float) -> bool:
        """Wait until it rings, or for that time; whether it rang."""
        rang = await wait_for(self._event, clock, seconds)
        self._event = anyio.Event()
        return rang
