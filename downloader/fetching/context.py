"""What every attempt works with, and the count of what one of them takes in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from downloader.archive.port import Archive
from downloader.clock import Clock
from downloader.library.port import Library
from downloader.model import BytesReceived, Md5Mode

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _nothing(_first_byte_seconds: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every attempt works with.

    `threads` bounds how many attempts use the processor at once; `throttle` is told how many bytes came in and may take its time.
    `answered` is told how long the archive took to begin its reply, in seconds, once images of a series really come.
    """

    archive: Archive
    library: Library
    clock: Clock
    threads: CapacityLimiter
    md5: Md5Mode
    throttle: Callable[[int], float]
    listener: Callable[[BytesReceived], None]
    answered: Callable[[float], None] = _nothing

    async def in_thread(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Call what blocks, in one of the threads."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self.threads)


class Intake:
    """Counts and paces what comes over the line in one attempt.

    `first_byte_seconds` is how long the archive took to begin its reply; whoever asked sets it.
    """

    __slots__ = ("_bench", "_series_instance_uid", "first_byte_seconds", "received_bytes")

    def __init__(self, series_instance_uid: str, bench: Bench) -> None:
        self._series_instance_uid = series_instance_uid
        self._bench = bench
        self.received_bytes = 0
        self.first_byte_seconds = 0.0

    async def count(self, batch: Sequence[bytes], images: int) -> None:
        """Bytes of a body came in, and `images` have been written in this attempt; waits where a bandwidth is set."""
        batch_bytes = sum(map(len, batch))
        if not self.received_bytes:
            self._bench.answered(self.first_byte_seconds)
        self.received_bytes += batch_bytes
        self._bench.listener(
            BytesReceived(series_instance_uid=self._series_instance_uid, received_bytes=batch_bytes, images=images)
        )
        pause_seconds = self._bench.throttle(batch_bytes)
        if pause_seconds > 0:
            await self._bench.clock.sleep(pause_seconds)
