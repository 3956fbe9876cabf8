"""The delay of a reader that keeps a limit on bytes per second."""


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
