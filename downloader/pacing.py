"""How fast, how many, how soon again: arithmetic on a clock that is passed in.

Nothing here waits. Each function or object says what should be done; the scheduler does it.
"""

from dataclasses import dataclass

FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPace:
    """Exponential back-off: `first_seconds` doubled with each attempt, never more than `longest_seconds`."""

    first_seconds: float = FIRST_DELAY_SECONDS
    longest_seconds: float = LONGEST_DELAY_SECONDS

    def delay_seconds(self, attempt: int, draw: float, retry_after_seconds: float | None = None) -> float:
        """How long to wait after failed attempt number `attempt` (from 1).

        `draw` is a random number in [0, 1): half of the delay is jitter, so that workers which failed together do not come back
        together. The archive's own Retry-After is a floor, never shortened.
        """
        # the exponent is bounded so that no number of attempts overflows
        whole = min(self.first_seconds * 2.0 ** min(attempt - 1, 60), self.longest_seconds)
        return max(whole * (0.5 + draw / 2), retry_after_seconds or 0.0)


class BandwidthPace:
    """A token bucket: at most `bytes_per_second` over any stretch longer than a second."""

    def __init__(self, bytes_per_second: float) -> None:
        self._bytes_per_second = bytes_per_second
        self._paid_until: float | None = None

    def delay_seconds(self, received_bytes: int, now: float) -> float:
        """How long the reader should pause after it received so many bytes; `now` is monotonic seconds."""
        if self._paid_until is None or self._paid_until < now - 1.0:
            # idle time earns one second of burst, not more
            self._paid_until = now - 1.0
        self._paid_until += received_bytes / self._bytes_per_second
        return max(0.0, self._paid_until - now)
