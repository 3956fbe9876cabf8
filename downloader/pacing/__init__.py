"""How fast, how many, how soon again: arithmetic on a clock that is passed in.

`bandwidth.py` shares bytes per second, `concurrency.py` feels its way to how many downloads an archive takes at once,
`breaker.py` tells an archive that is out, `rate_watch.py` a transfer that is too slow, `retry.py` gives pauses between attempts.

Nothing here waits. Each object says what should be done; scheduler and transport do it.
"""

from downloader.pacing.bandwidth import BandwidthPace
from downloader.pacing.breaker import BreakerState, CircuitBreaker
from downloader.pacing.concurrency import ConcurrencyPace
from downloader.pacing.rate_watch import RateWatch
from downloader.pacing.retry import RetryPace

__all__ = ["BandwidthPace", "BreakerState", "CircuitBreaker", "ConcurrencyPace", "RateWatch", "RetryPace"]
