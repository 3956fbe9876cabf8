"""A circuit breaker for outages of the whole archive, so that a storm of some hours does not use up every series' attempts.

One broken series and a broken archive look alike from inside one attempt. So after a few faults in a row, with no success
between them, the breaker asks for a probe: a small question that any healthy archive answers. Only a failed probe opens it.
"""

from enum import StrEnum

FAULTS_BEFORE_PROBE = 3
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 600.0


class BreakerState(StrEnum):
    """Closed: work goes on. Suspicious: probe before the next attempt. Open: nothing is asked but probes."""

    CLOSED = "closed"
    SUSPICIOUS = "suspicious"
    OPEN = "open"


class CircuitBreaker:
    """The state of one archive's circuit."""

    def __init__(self) -> None:
        self._state = BreakerState.CLOSED
        self._faults = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    @property
    def state(self) -> BreakerState:
        """What may be done now."""
        return self._state

    def succeeded(self) -> None:
        """An attempt or a probe went through."""
        self._state = BreakerState.CLOSED
        self._faults = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def faulted(self) -> None:
        """An attempt met a fault that may be the whole archive's."""
        self._faults += 1
        if self._state is BreakerState.CLOSED and self._faults >= FAULTS_BEFORE_PROBE:
            self._state = BreakerState.SUSPICIOUS

    def probe_failed(self, retry_after_seconds: float | None = None) -> float:
        """The archive does not answer: open. Returns the seconds until the next probe, longer each time."""
        self._state = BreakerState.OPEN
        pause_seconds = max(self._pause_seconds, retry_after_seconds or 0.0)
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        return pause_seconds
