"""Tells the store, and whoever listens, how an attempt at a series ended when it did not complete it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog

from downloader.clock import Clock
from downloader.errors import LeaseLostError, NoSpaceError, TciadError, retry_after_of
from downloader.model import Claim, Event, Failure, SeriesFailed, SeriesGivenBack, SeriesSetBack
from downloader.pacing import RetryPace
from downloader.store.port import Queue

NO_ROOM_PAUSE_SECONDS: Final = 600.0
"""How long a series that found no room waits, so that smaller ones get their turn."""
LONGEST_NO_ROOM_PAUSE_SECONDS: Final = 86_400.0
REST: Final = RetryPace(first_seconds=3600.0, longest_seconds=7 * 86_400.0)
"""How long a series that failed is left alone by those who let it rest, by the rounds in which it did."""
_log = structlog.get_logger(__name__)


class Outcomes:
    """Ends attempts in the store.

    An attempt either counts, and the policy bounds how many there are, or it is given back uncounted. Each uncounted way back is
    bounded by something else:

    - an interruption, and an error that stops the run, end the run; what follows is the next run;
    - an attempt that an outage cut off: claiming from the archive stops until a probe is answered, and before it stops again a
      few more attempts have counted (pacing/breaker.py), so there are no more rounds than attempts;
    - want of room: the series is begun again only when there is as much room as it is known to need, and after pauses that double
      with each download that was in vain, up to a day (`wait_for_room`).

    Due times are on the clock's steady time: a wall clock that steps makes no series wait for longer, or come sooner.
    """

    def __init__(
        self, *, store: Queue, clock: Clock, retry: RetryPace, draw: Callable[[], float], listener: Callable[[Event], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._retry = retry
        self._draw = draw
        self._listener = listener

    async def set_back(self, claim: Claim, error: TciadError) -> None:
        """The attempt counts, and another one follows after a pause."""
        delay_seconds = self._retry.delay_seconds(claim.attempt, self._draw(), retry_after_of(error))
        name, message = type(error).__name__, str(error)
        with self._dropped_if_lost(claim):
            await self._store.set_back(claim, due_at=self._after(delay_seconds), error=name, message=message, count_attempt=True)
            self._listener(
                SeriesSetBack(
                    series_instance_uid=claim.series.series_instance_uid,
                    attempt=claim.attempt,
                    error=name,
                    message=message,
                    delay_seconds=delay_seconds,
                )
            )

    async def give_back(self, claim: Claim, error: TciadError | None = None) -> None:
        """The attempt did not get its chance: it does not count."""
        await self._take_back(claim, error, pause_seconds=0.0)

    async def wait_for_room(self, claim: Claim, error: NoSpaceError) -> None:
        """There was no room for the series: that is nothing that it did, so the attempt does not count, but its download does."""
        rounds = claim.rounds_without_room + (error.received_bytes > 0)
        pause_seconds = min(NO_ROOM_PAUSE_SECONDS * 2.0 ** max(0, rounds - 1), LONGEST_NO_ROOM_PAUSE_SECONDS)
        await self._take_back(claim, error, pause_seconds=pause_seconds)

    async def fail(self, claim: Claim, error: TciadError) -> None:
        """The series is not tried again in this run."""
        name, message = type(error).__name__, str(error)
        rest_seconds = REST.delay_seconds(claim.failed_rounds + 1, self._draw())
        # a rest is of hours and days, and is compared with the wall clock of a later resolve
        rests_until_at = self._clock.now() + timedelta(seconds=rest_seconds)
        failure = Failure(
            series_instance_uid=claim.series.series_instance_uid, error=name, message=message, attempts=claim.attempt
        )
        with self._dropped_if_lost(claim):
            await self._store.fail(claim, error=name, message=message, rests_until_at=rests_until_at)
            self._listener(SeriesFailed(failure=failure))

    async def _take_back(self, claim: Claim, error: TciadError | None, *, pause_seconds: float) -> None:
        needed_bytes = None
        if isinstance(error, NoSpaceError) and error.received_bytes:
            needed_bytes = max(error.needed_bytes, claim.needed_bytes)
        with self._dropped_if_lost(claim):
            await self._store.set_back(
                claim,
                due_at=self._after(pause_seconds),
                error=type(error).__name__ if error else "",
                message=str(error) if error else "",
                count_attempt=False,
                needed_bytes=needed_bytes,
            )
            self.tell_given_back(claim)

    @contextmanager
    def _dropped_if_lost(self, claim: Claim) -> Iterator[None]:
        """What there is to say of an attempt is not said when another worker has its series by now."""
        try:
            yield
        except LeaseLostError as lost:
            note_lost(lost)
            self.tell_given_back(claim)

    def tell_given_back(self, claim: Claim) -> None:
        """The attempt is over, and nothing of it counts."""
        self._listener(SeriesGivenBack(series_instance_uid=claim.series.series_instance_uid))

    def _after(self, seconds: float) -> datetime:
        return self._clock.steady_now() + timedelta(seconds=seconds)


def note_lost(lost: LeaseLostError) -> None:
    """Log that another worker has the series."""
    _log.warning("lease lost", series_instance_uid=lost.series_instance_uid, message=str(lost))
