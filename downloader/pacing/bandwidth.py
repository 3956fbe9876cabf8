"""How long a reader pauses so that a limit on bytes per second holds."""


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
