"""Time as a parameter: code that waits or needs the date receives a clock, so that tests need not sleep."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio


class Clock(Protocol):
    """The source of time of all other modules."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back; for durations."""
        ...

    def steady_now(self) -> datetime:
        """The time of `now` at the start of the process, advanced by `monotonic`.

        For due times and leases, which are stored as dates: setting the wall clock while the process runs neither lengthens nor
        ends them. It lags behind `now` after a suspend of the machine, on systems whose monotonic clock stops then.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        ...


_BEGAN_AT = datetime.now(UTC)
_BEGAN = time.monotonic()


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)

    # called a dozen times for each series
    monotonic = staticmethod(time.monotonic)

    def steady_now(self) -> datetime:
        """The same for all instances in the process."""
        return _BEGAN_AT + timedelta(seconds=time.monotonic() - _BEGAN)

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        await anyio.sleep(seconds)


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
