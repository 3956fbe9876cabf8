"""Rate limits, adaptive concurrency, circuit breaker, and back-off: arithmetic on a clock that the caller passes in.

Nothing here waits or sends requests: scheduler and transport act on the results. No class is thread-safe.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class BandwidthLimiter:
    """A token bucket: at most `bytes_per_second` over any period longer than a second. The limit may change between calls."""

    def __init__(self) -> None:
        self._paid_until: float | None = None

    def delay_seconds(self, received_bytes: int, bytes_per_second: float | None, now: float) -> float:
        """Seconds that the reader must pause after it received these bytes; a limit of None is no limit.

        `now` is monotonic seconds.
        """
        if bytes_per_second is None:
            self._paid_until = None
            return 0.0
        if self._paid_until is None or self._paid_until < now - 1.0:
            # idle time earns at most one second of burst
            self._paid_until = now - 1.0
        self._paid_until += received_bytes / bytes_per_second
        return max(0.0, self._paid_until - now)


class RateWatch:
    """Detects a body that arrives too slowly, over a sliding window of the time spent waiting for it."""

    def __init__(self, *, minimum_bytes_per_second: float, window_seconds: float) -> None:
        self._minimum_bytes_per_second = minimum_bytes_per_second
        self._window_seconds = window_seconds
        self._spans: deque[tuple[float, int]] = deque()
        self._waited_seconds = 0.0
        self._received_bytes = 0

    def is_too_slow(self, waited_seconds: float, received_bytes: int) -> bool:
        """Record the bytes of one read and its wait; true if a whole window brought fewer bytes than the minimum rate."""
        self._waited_seconds += waited_seconds
        self._received_bytes += received_bytes
        # a fast body takes millions of reads: short waits share an entry, so that the window has a few dozen entries
        if self._spans and self._spans[-1][0] < self._window_seconds / 32:
            last_seconds, last_bytes = self._spans.pop()
            waited_seconds, received_bytes = waited_seconds + last_seconds, received_bytes + last_bytes
        self._spans.append((waited_seconds, received_bytes))
        while self._waited_seconds - self._spans[0][0] >= self._window_seconds:
            old_seconds, old_bytes = self._spans.popleft()
            self._waited_seconds -= old_seconds
            self._received_bytes -= old_bytes
        minimum_bytes = self._minimum_bytes_per_second * self._waited_seconds
        return self._waited_seconds >= self._window_seconds and self._received_bytes < minimum_bytes


GENTLE_START = 4
GENTLE_SHARE = 0.25
"""The initial share of the user's ceiling; the initial limit is at least `GENTLE_START`."""
SETTLE_SECONDS = 5.0
LONE_SETTLE_SECONDS = 1.0
LONE_SHARE = 0.9
REFUSED_WEIGHT = 0.12
MEANT_SHARE = 0.3
"""Three consecutive refusals reach this share, or one refusal in three of the latest responses."""
LATENCY_WEIGHT = 0.2
SLOW_FACTOR = 2.0
SLOW_SECONDS = 0.5
CONGESTED_FACTOR = 4.0
CONGESTED_SECONDS = 2.0
CONGESTED_SHARE = 0.75


@dataclass(slots=True)
class _Latency:
    """The best and the smoothed delay of the first byte, in seconds."""

    best: float = float("inf")
    smoothed: float | None = None

    def observe(self, seconds: float) -> None:
        if self.smoothed is None:
            self.smoothed = seconds
        self.smoothed += LATENCY_WEIGHT * (seconds - self.smoothed)
        # the best delay ages slowly, so that an archive that became slower for good does not count as congested permanently
        self.best = min(self.best * 1.01, self.smoothed)

    def exceeds(self, factor: float, margin_seconds: float) -> bool:
        return self.smoothed is not None and self.smoothed > self.best * factor + margin_seconds


class AdaptiveConcurrency:
    """How many series one archive sends at once, up to the user's ceiling (docs/decisions/0020).

    The limit grows exponentially at first, then by one at a time. It shrinks on either sign of overload: refusals (429, 503), or
    a growing delay of the first byte. Errors never raise the limit, although error pages arrive fast. A single refusal among many
    responses is treated as a transient fault of the archive, and lowers the limit only a little; several refusals halve it.
    `now` is monotonic seconds throughout.

    Args:
        ceiling: the user's limit; the current limit stays between 1 and this.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._figure = float(min(ceiling, max(GENTLE_START, int(ceiling * GENTLE_SHARE))))
        self._doubles_to = float(ceiling)
        self._settles_at = 0.0
        self._before_refusal = 0.0
        self._refused_share = 0.0
        self._latency = _Latency()

    @property
    def limit(self) -> int:
        """How many series may be in flight now."""
        return int(self._figure)

    def answered(self, first_byte_seconds: float, now: float) -> None:
        """Record that the first images of a series arrived, `first_byte_seconds` after the request."""
        self._refused_share *= 1.0 - REFUSED_WEIGHT
        self._latency.observe(first_byte_seconds)
        if now < self._settles_at:
            return
        if self._latency.exceeds(CONGESTED_FACTOR, CONGESTED_SECONDS):
            self._decrease(CONGESTED_SHARE, self._figure, now + SETTLE_SECONDS, hurries_back_to=0.0)
        elif not self._latency.exceeds(SLOW_FACTOR, SLOW_SECONDS):
            step = 1.0 if self._figure < self._doubles_to else 1.0 / self._figure
            self._figure = min(float(self._ceiling), self._figure + step)

    def pushed_back(self, now: float) -> None:
        """Record a refusal. Requests that were in flight at that moment are refused as well: together they count as one."""
        self._refused_share += REFUSED_WEIGHT * (1.0 - self._refused_share)
        settling = now < self._settles_at
        if settling and not self._before_refusal:
            return
        before = self._before_refusal if settling else self._figure
        if self._refused_share > MEANT_SHARE:
            self._before_refusal = 0.0
            self._decrease(0.5, before, now + SETTLE_SECONDS, hurries_back_to=0.75)
        elif not settling:
            self._before_refusal = before
            self._decrease(LONE_SHARE, before, now + LONE_SETTLE_SECONDS, hurries_back_to=1.0)

    def _decrease(self, share: float, before: float, settles_at: float, *, hurries_back_to: float) -> None:
        """Reduce the limit to a share of `before`; up to the share `hurries_back_to` it grows fast again."""
        self._figure = max(1.0, before * share)
        self._doubles_to = before * hurries_back_to
        self._settles_at = settles_at


FAULTS_BEFORE_PROBE = 3
FIRST_PROBE_PAUSE_SECONDS = 15.0
LONGEST_PROBE_PAUSE_SECONDS = 600.0


class BreakerState(StrEnum):
    """CLOSED: attempts run. SUSPICIOUS: send a probe before the next attempt. OPEN: send only probes."""

    CLOSED = "closed"
    SUSPICIOUS = "suspicious"
    OPEN = "open"


class CircuitBreaker:
    """The circuit breaker of one archive, so that an outage of some hours does not use up the attempts of every series.

    One attempt cannot distinguish a broken series from a broken archive. So after a few consecutive faults, the breaker requests
    a probe: a cheap request that any healthy archive answers. Only a failed probe opens the circuit.
    """

    def __init__(self) -> None:
        self._state = BreakerState.CLOSED
        self._faults = 0
        self._pause_seconds = FIRST_PROBE_PAUSE_SECONDS

    @property
    def state(self) -> BreakerState:
        """The current state, which decides whether attempts may run."""
        return self._state

    def succeeded(self) -> None:
        """Record that an attempt or a probe succeeded: this closes the circuit."""
        self._state = BreakerState.CLOSED
        self._faults = 0
        self._pause_seconds = FIRST_PROBE_PAUSE_SECONDS

    def faulted(self) -> None:
        """Record an attempt that failed with a fault that may affect the whole archive."""
        self._faults += 1
        if self._state is BreakerState.CLOSED and self._faults >= FAULTS_BEFORE_PROBE:
            self._state = BreakerState.SUSPICIOUS

    def probe_failed(self, retry_after_seconds: float | None = None) -> float:
        """Record a failed probe: this opens the circuit. Returns the seconds until the next probe, doubled with each failure."""
        self._state = BreakerState.OPEN
        pause_seconds = max(self._pause_seconds, retry_after_seconds or 0.0)
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PROBE_PAUSE_SECONDS)
        return pause_seconds


FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential back-off: `first_seconds`, doubled with each attempt up to `longest_seconds`."""

    first_seconds: float = FIRST_DELAY_SECONDS
    longest_seconds: float = LONGEST_DELAY_SECONDS

    def delay_seconds(self, attempt: int, draw: float, retry_after_seconds: float | None = None) -> float:
        """Seconds to wait after the failed attempt number `attempt` (from 1).

        `draw` is a random number in [0, 1): half of the delay is jitter, so that workers that failed at the same time do not
        retry at the same time. The archive's Retry-After is a minimum.
        """
        # the exponent is bounded to avoid overflow
        whole = min(self.first_seconds * 2.0 ** min(attempt - 1, 60), self.longest_seconds)
        return max(whole * (0.5 + draw / 2), retry_after_seconds or 0.0)
