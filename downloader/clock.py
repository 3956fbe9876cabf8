"""Time as a parameter: whoever waits or dates something is given a clock, so that tests need not sleep."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio


class Clock(Protocol):
    """What the rest of tciad knows of time."""

    def now(self) -> datetime:
        """The date and time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward; for durations."""
        ...

    def steady_now(self) -> datetime:
        """The date and time that passes as `monotonic` does, from what `now` was when the process began.

        For due times and leases: they are kept as dates, and a wall clock that is set while the process lives must neither
        lengthen nor end them. It lags behind `now` where the machine slept, on systems whose monotonic clock stands still then.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        ...


_BEGAN_AT = datetime.now(UTC)
_BEGAN = time.monotonic()


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The date and time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""
        return time.monotonic()

    def steady_now(self) -> datetime:
        """The same for every clock of the process."""
        return _BEGAN_AT + timedelta(seconds=time.monotonic() - _BEGAN)

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        await anyio.sleep(seconds)
