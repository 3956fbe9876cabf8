"""The resources that attempts share, and the state of one attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from downloader.archive.port import Source
from downloader.clock import Clock
from downloader.library.port import Library
from downloader.library.sink import Staging
from downloader.model import BytesReceived, Md5Mode, Portion, Series

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _ignore(_first_byte_seconds: float) -> None:
    """The default of `answered`."""


def _hold() -> None:
    """Hold the series: no other worker has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptContext:
    """The resources of all attempts at series of one archive.

    Attributes:
        archive: the source of the images.
        library: their destination.
        threads: limits how many attempts use the processor at once.
        md5: the mode that the manifest sets.
        throttle: called with the bytes received; returns how many seconds to wait. None if the bandwidth is not limited.
        listener: receives progress events.
        answered: called with the seconds until the archive began its response, once images of a series arrive.
        claim_id: the claim of the attempt; empty if there is none.
        expect_claim: raises LeaseLostError if another worker has the claim now; called in a thread before a series is published.
    """

    archive: Source
    library: Library
    clock: Clock
    threads: CapacityLimiter
    md5: Md5Mode
    listener: Callable[[BytesReceived], None]
    throttle: Callable[[int], float] | None = None
    answered: Callable[[float], None] = _ignore
    claim_id: str = ""
    expect_claim: Callable[[], None] = _hold

    async def in_thread(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Call a blocking function in one of the threads."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self.threads)


@dataclass(slots=True, kw_only=True)
class Attempt:
    """The state of one attempt at one series.

    `first_byte_seconds` is the time until the archive began its response.
    """

    series: Series
    staging: Staging
    context: AttemptContext
    received_bytes: int = 0
    first_byte_seconds: float = 0.0

    async def note_received(self, portion: Portion) -> None:
        """Count and report received bytes; wait if the bandwidth is limited."""
        if not portion.received_bytes:
            return
        context = self.context
        if not self.received_bytes:
            context.answered(self.first_byte_seconds)
        self.received_bytes += portion.received_bytes
        context.listener(
            BytesReceived(
                series_instance_uid=self.series.series_instance_uid,
                received_bytes=portion.received_bytes,
                images=self.staging.images_written,
            )
        )
        if context.throttle is not None and (pause_seconds := context.throttle(portion.received_bytes)) > 0:
            await context.clock.sleep(pause_seconds)
