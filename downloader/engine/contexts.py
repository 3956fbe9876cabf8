"""Makes what attempts at series of each archive work with."""

from collections.abc import Callable, Mapping
from typing import Final

from anyio import CapacityLimiter

from downloader.archive.port import Source
from downloader.clock import Clock
from downloader.config.bandwidth_schedule import NO_LIMIT, BandwidthPlan
from downloader.config.options import RunOptions
from downloader.fetching.context import AttemptContext
from downloader.library.port import Library
from downloader.pacing import BandwidthLimiter

WORKER_THREADS: Final = 4


def make_contexts(
    archives: Mapping[str, Source], library: Library, options: RunOptions, clock: Clock
) -> Mapping[str, AttemptContext]:
    """One context per archive of a run, by name: they share threads and bandwidth."""
    threads = CapacityLimiter(WORKER_THREADS)
    throttle = _make_throttle(options.bandwidth, clock)
    return {
        name: make_context(archive, library, options, clock, threads=threads, throttle=throttle)
        for name, archive in archives.items()
    }


def make_context(
    archive: Source,
    library: Library,
    options: RunOptions,
    clock: Clock,
    *,
    threads: CapacityLimiter,
    throttle: Callable[[int], float] | None = None,
) -> AttemptContext:
    """The context of attempts at series of one archive. Archives of the same run share `threads` and `throttle`."""
    return AttemptContext(
        archive=archive,
        library=library,
        clock=clock,
        threads=threads,
        md5=options.md5,
        throttle=throttle or _make_throttle(options.bandwidth, clock),
        listener=lambda _event: None,
    )


def _make_throttle(plan: BandwidthPlan, clock: Clock) -> Callable[[int], float] | None:
    """What delays downloads to keep the plan; None for a plan without any limit."""
    if plan == NO_LIMIT:
        return None
    limiter = BandwidthLimiter()

    def throttle(received_bytes: int) -> float:
        # without an argument, astimezone converts to the machine's own zone
        rate = plan.rate_at(clock.now().astimezone().time())
        return limiter.delay_seconds(received_bytes, rate, clock.monotonic())

    return throttle
