"""A circuit breaker for outages of a whole archive, so that an outage of some hours does not use up the attempts of every series.

One attempt cannot distinguish a broken series from a broken archive. So after a few consecutive faults, the breaker requests a
probe: a cheap request that any healthy archive answers. Only a failed probe opens the circuit.
"""

from enum import StrEnum

FAULTS_BEFORE_PROBE = 3
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 600.0


class BreakerState(StrEnum):
    """CLOSED: attempts run. SUSPICIOUS: send a probe before the next attempt. OPEN: send only probes."""

    CLOSED = "closed"
    SUSPICIOUS = "suspicious"
    OPEN = "open"


class CircuitBreaker:
    """The circuit breaker of one archive."""

    def __init__(self) -> None:
        self._state = BreakerState.CLOSED
        self._faults = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    @property
    def state(self) -> BreakerState:
        """The current state, which decides whether attempts may run."""
        return self._state

    def succeeded(self) -> None:
        """Record that an attempt or a probe succeeded: this closes the circuit."""
        self._state = BreakerState.CLOSED
        self._faults = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def faulted(self) -> None:
        """Record an attempt that failed with a fault that may affect the whole archive."""
        self._faults += 1
        if self._state is BreakerState.CLOSED and self._faults >= FAULTS_BEFORE_PROBE:
            self._state = BreakerState.SUSPICIOUS

    def probe_failed(self, retry_after_seconds: float | None = None) -> float:
        """Record a failed probe: this opens the circuit. Returns the seconds until the next probe, doubled with each failure."""
        self._state = BreakerState.OPEN
        pause_seconds = max(self._pause_seconds, retry_after_seconds or 0.0)
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        return pause_seconds
