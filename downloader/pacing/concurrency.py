"""Adaptive concurrency: how many series one archive sends at once, up to the user's ceiling (docs/decisions/0020).

The limit grows exponentially at first, then by one at a time. It shrinks on either sign of overload: refusals (429, 503), or a
growing delay of the first byte. Errors never raise the limit, although error pages arrive fast. A single refusal among many
responses is treated as a transient fault of the archive, and lowers the limit only a little; several refusals halve it.
"""

from dataclasses import dataclass

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
    """The current limit of concurrent series of one archive. `now` is monotonic seconds throughout.

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
