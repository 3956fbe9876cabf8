"""Looks at one library without depending on it: a network file system that hangs may never answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
from anyio import CapacityLimiter

from downloader.clock import Clock, wait_for
from downloader.engine.holding import refuse_identity
from downloader.engine.mirror import disk_usage_at
from downloader.errors import LibraryError


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySight:
    """What a look at a library found: why it cannot be used, empty if it can, and bytes of its file system, None if unknown."""

    problem: str = ""
    free_bytes: int | None = None
    capacity_bytes: int | None = None


def look_at_library(root: Path, identity: str) -> LibrarySight:
    """Whether the folder is the library of this id, which is empty before the library was opened. Blocks, and writes nothing."""
    problem = ""
    try:
        if identity:
            refuse_identity(root, identity)
    except LibraryError as error:
        problem = str(error)
    try:
        usage = disk_usage_at(root)
        return LibrarySight(problem=problem, free_bytes=usage.free, capacity_bytes=usage.total)
    except OSError:
        return LibrarySight(problem=problem)


class LibraryLook:
    """One look at a time, on one thread that nothing else needs, however many tasks ask.

    Args:
        directory: the library, for messages.
        look: blocks, and may never return.
        answer_seconds: how long a task waits for a look before it gets the answer that the library does not answer.
    """

    def __init__(self, directory: Path, look: Callable[[], LibrarySight], clock: Clock, answer_seconds: float) -> None:
        self._directory = directory
        self._look = look
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._asked = anyio.Event()
        self._ended = anyio.Event()
        self._began_at: datetime | None = None
        self._began = 0.0
        self._is_kept = False
        self._sight = LibrarySight()

    async def keep(self) -> None:
        """Look whenever `sight` asks, until cancelled. A look that hangs then is left to its thread."""
        limiter = CapacityLimiter(1)
        self._is_kept = True
        try:
            while True:
                await self._asked.wait()
                self._asked = anyio.Event()
                self._began, self._began_at = self._clock.monotonic(), self._clock.now()
                self._sight = await anyio.to_thread.run_sync(self._look, abandon_on_cancel=True, limiter=limiter)
                self._began_at = None
                self._ended.set()
                self._ended = anyio.Event()
        finally:
            self._is_kept = False

    async def sight(self) -> LibrarySight:
        """What a look finds now; a task that asks during a look waits for that one. The last sight where nothing looks."""
        if not self._is_kept:
            return self._sight
        left_seconds = self._answer_seconds
        if self._began_at is None:
            self._asked.set()
        else:
            left_seconds -= self._clock.monotonic() - self._began
        if left_seconds > 0 and await wait_for(self._ended, self._clock, left_seconds):
            return self._sight
        since_at = (self._began_at or self._clock.now()).astimezone(UTC)
        return LibrarySight(
            problem=f"{self._directory} has not answered since {since_at:%Y-%m-%d %H:%M:%S} UTC; look at its mount, such as NFS"
        )
