"""How many series at once: additive increase, multiplicative decrease, below a ceiling that the user set.

The archive says that it is too much in two ways: it pushes back (429, 503), or its first bytes come later and later. Either
halves the figure or holds it. Errors never raise it: error pages are fast, and speed bought with them is none.
"""

from dataclasses import dataclass

GENTLE_START = 4
SETTLE_SECONDS = 10.0
LATENCY_WEIGHT = 0.2
SLOW_FACTOR = 2.0
SLOW_SECONDS = 0.5
CONGESTED_FACTOR = 4.0
CONGESTED_SECONDS = 2.0


@dataclass(slots=True)
class _Latency:
    """The usual delay of the first byte, and how it is now; seconds."""

    best: float = float("inf")
    smoothed: float | None = None

    def observe(self, seconds: float) -> None:
        if self.smoothed is None:
            self.smoothed = seconds
        self.smoothed += LATENCY_WEIGHT * (seconds - self.smoothed)
        # the best is forgotten slowly, so that an archive which became slower for good is not held against itself
        self.best = min(self.best * 1.01, self.smoothed)

    def exceeds(self, factor: float, margin_seconds: float) -> bool:
        return self.smoothed is not None and self.smoothed > self.best * factor + margin_seconds


class ConcurrencyPace:
    """The running figure of series at once. `now` is monotonic seconds throughout.

    Args:
        ceiling: the most that the user allows; the figure is between 1 and this.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._figure = float(min(ceiling, GENTLE_START))
        self._settles_at = 0.0
        self._latency = _Latency()

    @property
    def limit(self) -> int:
        """How many series may be under way now."""
        return int(self._figure)

    def succeeded(self, first_byte_seconds: float, now: float) -> None:
        """An attempt went through: about one more series at once for each round of them, unless the archive is slowing down."""
        self._latency.observe(first_byte_seconds)
        if now < self._settles_at:
            return
        if self._latency.exceeds(CONGESTED_FACTOR, CONGESTED_SECONDS):
            self._decrease(0.75, now)
        elif not self._latency.exceeds(SLOW_FACTOR, SLOW_SECONDS):
            self._figure = min(float(self._ceiling), self._figure + 1.0 / self._figure)

    def pushed_back(self, now: float) -> None:
        """The archive asked for less. Whatever else was under way at that moment will say the same: it counts once."""
        if now >= self._settles_at:
            self._decrease(0.5, now)

    def _decrease(self, factor: float, now: float) -> None:
        self._figure = max(1.0, self._figure * factor)
        self._settles_at = now + SETTLE_SECONDS
