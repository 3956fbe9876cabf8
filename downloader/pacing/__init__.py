"""Rate limits, adaptive concurrency, circuit breaker, and back-off: arithmetic on a clock that the caller passes in.

`bandwidth.py` limits bytes per second, `concurrency.py` adapts how many downloads run against one archive, `breaker.py` detects
an archive outage, `rate_watch.py` detects a transfer that is too slow, and `retry.py` computes the delay between attempts.

Nothing here waits or sends requests: scheduler and transport act on the results. No class is thread-safe.
"""

from downloader.pacing.bandwidth import BandwidthLimiter
from downloader.pacing.breaker import BreakerState, CircuitBreaker
from downloader.pacing.concurrency import AdaptiveConcurrency
from downloader.pacing.rate_watch import RateWatch
from downloader.pacing.retry import Backoff

__all__ = ["AdaptiveConcurrency", "Backoff", "BandwidthLimiter", "BreakerState", "CircuitBreaker", "RateWatch"]
