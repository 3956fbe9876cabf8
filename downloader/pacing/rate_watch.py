"""Detection of response bodies that arrive too slowly."""

from collections import deque


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
