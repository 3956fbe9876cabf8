"""The delay before the next attempt."""

from dataclasses import dataclass

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
