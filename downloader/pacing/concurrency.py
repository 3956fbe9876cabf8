"""How many series at once, below a ceiling that the user set (docs/decisions/0020).

It doubles at first, then grows one by one. The archive says that it is too much in two ways: it pushes back (429, 503), or its
first bytes come later and later. Errors never raise the figure: error pages are fast, and speed bought with them is none. A
refusal now and then among many answers is the archive's own weakness, and costs little; several mean what they say.
"""

from dataclasses import dataclass

GENTLE_START = 4
GENTLE_SHARE = 0.25
"""It begins at this share of what the user allows, and at `GENTLE_START` at least."""
SETTLE_SECONDS = 5.0
LONE_SETTLE_SECONDS = 1.0
LONE_SHARE = 0.9
REFUSED_WEIGHT = 0.12
MEANT_SHARE = 0.3
"""Reached by three refusals in a row, or by one in three of the newest answers."""
LATENCY_WEIGHT = 0.2
SLOW_FACTOR = 2.0
SLOW_SECONDS = 0.5
CONGESTED_FACTOR = 4.0
CONGESTED_SECONDS = 2.0
CONGESTED_SHARE = 0.75


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
        self._figure = float(min(ceiling, max(GENTLE_START, int(ceiling * GENTLE_SHARE))))
        self._doubles_to = float(ceiling)
        self._settles_at = 0.0
        self._before_refusal = 0.0
        self._refused_share = 0.0
        self._latency = _Latency()

    @property
    def limit(self) -> int:
        """How many series may be under way now."""
        return int(self._figure)

    def answered(self, first_byte_seconds: float, now: float) -> None:
        """Images of a series have begun to come, so many seconds after they were asked for."""
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
        """The archive asked for less. Whatever else was under way at that moment will say the same: it counts once."""
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
        """Go down to a share of what it was; up to another share the way back is short."""
        self._figure = max(1.0, before * share)
        self._doubles_to = before * hurries_back_to
        self._settles_at = settles_at
