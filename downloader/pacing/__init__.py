"""How fast, how many, how soon again: arithmetic on a clock that is passed in.

Nothing here waits. Each object says what should be done; scheduler and transport do it.
"""

from downloader.pacing.bandwidth import BandwidthPace
from downloader.pacing.breaker import BreakerState, CircuitBreaker
from downloader.pacing.concurrency import ConcurrencyPace
from downloader.pacing.rate_watch import RateWatch
from downloader.pacing.retry import RetryPace

__all__ = ["BandwidthPace", "BreakerState", "CircuitBreaker", "ConcurrencyPace", "RateWatch", "RetryPace"]
