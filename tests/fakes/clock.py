"""A clock for tests: nothing sleeps, and time jumps to the next sleeper when every task waits."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

START_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FakeClock:
    """Implements `downloader.clock.Clock`; `slept` lists every requested pause in seconds.

    `wall_step_seconds` is how far the wall clock was set forward since the start.

    While one of `threads` works, a `turning_clock` does not advance: tasks that wait for a thread are not idle.
    """

    def __init__(self) -> None:
        self.threads: anyio.CapacityLimiter | None = None
        self.elapsed_seconds = 0.0
        self.wall_step_seconds = 0.0
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._count = 0

    def now(self) -> datetime:
        """The start plus the elapsed time, plus the step of the wall clock."""
        return START_AT + timedelta(seconds=self.elapsed_seconds + self.wall_step_seconds)

    def steady_now(self) -> datetime:
        """The start plus the elapsed time."""
        return START_AT + timedelta(seconds=self.elapsed_seconds)

    def monotonic(self) -> float:
        """The elapsed seconds."""
        return self.elapsed_seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until the test's clock has advanced that far."""
        self.slept.append(seconds)
        self._count += 1
        woken = anyio.Event()
        heapq.heappush(self._sleepers, (self.elapsed_seconds + seconds, self._count, woken))
        await woken.wait()

    def advance(self) -> None:
        """Jump to the next sleeper, if there is one."""
        if self._sleepers:
            due, _, woken = heapq.heappop(self._sleepers)
            self.elapsed_seconds = max(self.elapsed_seconds, due)
            woken.set()


@asynccontextmanager
async def turning_clock(clock: FakeClock | None = None) -> AsyncIterator[FakeClock]:
    """A clock that advances by itself when all tasks wait."""
    clock = clock or FakeClock()

    async def turn() -> None:
        while True:
            await anyio.wait_all_tasks_blocked()
            if clock.threads is None or not clock.threads.borrowed_tokens:
                clock.advance()
            await anyio.lowlevel.checkpoint()

    turning = asyncio.create_task(turn())
    try:
        yield clock
    finally:
        turning.cancel()
        await asyncio.wait([turning])
