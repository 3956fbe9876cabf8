"""What all attempts work with, and the state of one of them."""

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
    """Do nothing."""


def _hold() -> None:
    """Hold the series: no other worker has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptContext:
    """What all attempts at series of one archive work with.

    Attributes:
        archive: where images come from.
        library: where they go.
        threads: bounds how many attempts use the processor at once.
        md5: as the manifest says.
        listener: gets what came in, for the progress.
        throttle: gets how many bytes came in, and returns how many seconds to wait; None where no bandwidth is set.
        answered: gets how many seconds the archive took to begin its reply, once images of a series really come.
        claim_id: of the claim under which one attempt works, where there is one.
        expect_claim: raises LeaseLostError where that claim is another worker's now; called in a thread before a series is
            published.
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
        """Call what blocks, in one of the threads."""
        return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self.threads)


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt at one series: where its images are staged, and what came in.

    `first_byte_seconds` is how long the archive took to begin its reply.
    """

    series: Series
    staging: Staging
    context: AttemptContext
    received_bytes: int = 0
    first_byte_seconds: float = 0.0

    async def note_received(self, portion: Portion) -> None:
        """Count and report what came over the line; wait where a bandwidth is set."""
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
