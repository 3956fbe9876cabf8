"""How long a reader pauses so that a limit on bytes per second holds."""


class BandwidthPace:
    """A token bucket: at most `bytes_per_second` over any stretch longer than a second. The limit may change as time goes on."""

    def __init__(self) -> None:
        self._paid_until: float | None = None

    def delay_seconds(self, received_bytes: int, bytes_per_second: float | None, now: float) -> float:
        """How long the reader should pause after it received so many bytes under the limit of this moment; None is no limit.

        `now` is monotonic seconds.
        """
        if bytes_per_second is None:
            self._paid_until = None
            return 0.0
        if self._paid_until is None or self._paid_until < now - 1.0:
            # idle time earns one second of burst, not more
            self._paid_until = now - 1.0
        self._paid_until += received_bytes / bytes_per_second
        return max(0.0, self._paid_until - now)
