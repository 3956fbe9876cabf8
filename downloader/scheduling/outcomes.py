"""Records attempts that did not complete their series, in the store and for the listener."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from downloader.errors import LeaseLostError, NoSpaceError, TciadError, retry_after_of
from downloader.model import Claim, Event, Failure, SeriesFailed, SeriesGivenBack, SeriesSetBack
from downloader.pacing import Backoff
from downloader.scheduling.decision import Ending
from downloader.store.port import Queue

NO_ROOM_PAUSE_SECONDS: Final = 600.0
"""The delay before a series that found too little free space is tried again, so that smaller ones come first."""
LONGEST_NO_ROOM_PAUSE_SECONDS: Final = 86_400.0
REST: Final = Backoff(first_seconds=3600.0, longest_seconds=7 * 86_400.0)
"""The back-off before a failed series is retried, by consecutive failed rounds."""
_log = structlog.get_logger(__name__)


class Outcomes:
    """Ends attempts in the store.

    An attempt either counts, and the policy limits their number, or it is returned without counting. Each reason for not counting
    is limited in another way:

    - an interruption, and an error that stops the run, end the run;
    - an attempt that an archive outage ended: claiming stops until a probe succeeds, and before it stops again a few attempts
    have counted (pacing.py), so there are no more rounds than attempts;
    - too little free space: the series is tried again only when there is as much space as it needs, and after pauses that double
    with each download in vain, up to a day (`WAIT_FOR_SPACE`).
    """

    def __init__(self, *, store: Queue, retry: Backoff, draw: Callable[[], float], listener: Callable[[Event], None]) -> None:
        self._store = store
        self._retry = retry
        self._draw = draw
        self._listener = listener

    async def record(self, claim: Claim, error: TciadError, ending: Ending) -> bool:
        """Record the end of the attempt. False if the lease was lost: then the other worker's result counts."""
        match ending:
            case Ending.SET_BACK:
                return await self._set_back(claim, error)
            case Ending.GIVE_BACK:
                return await self.give_back(claim, error)
            case Ending.WAIT_FOR_SPACE:
                return await self._wait_for_space(claim, error)
            case Ending.FAIL:
                return await self.fail(claim, error)
            case Ending.DROP:
                self.report_given_back(claim)
                return False

    async def give_back(self, claim: Claim, error: TciadError | None = None) -> bool:
        """Return the claim: the attempt does not count. Returns as `record`."""
        return await self._take_back(claim, error, pause_seconds=0.0)

    async def fail(self, claim: Claim, error: TciadError) -> bool:
        """Mark the series as failed in this run. Returns as `record`."""
        name, message = type(error).__name__, str(error)
        failure = Failure(
            series_instance_uid=claim.series.series_instance_uid, error=name, message=message, attempts=claim.attempt
        )
        with self._dropped_if_lost(claim) as outcome:
            rest_seconds = REST.delay_seconds(claim.failed_rounds + 1, self._draw())
            await self._store.fail(claim, error=name, message=message, rest_seconds=rest_seconds)
            self._listener(SeriesFailed(failure=failure))
        return outcome.is_recorded

    async def _set_back(self, claim: Claim, error: TciadError) -> bool:
        """Count the attempt, and make the series due after a delay."""
        delay_seconds = self._retry.delay_seconds(claim.attempt, self._draw(), retry_after_of(error))
        name, message = type(error).__name__, str(error)
        with self._dropped_if_lost(claim) as outcome:
            await self._store.set_back(claim, delay_seconds=delay_seconds, error=name, message=message, count_attempt=True)
            self._listener(
                SeriesSetBack(
                    series_instance_uid=claim.series.series_instance_uid,
                    attempt=claim.attempt,
                    error=name,
                    message=message,
                    delay_seconds=delay_seconds,
                )
            )
        return outcome.is_recorded

    async def _wait_for_space(self, claim: Claim, error: TciadError) -> bool:
        """Return the claim after a full disk: the attempt does not count, but its download does."""
        came_in_vain = isinstance(error, NoSpaceError) and error.received_bytes > 0
        rounds = claim.rounds_without_room + came_in_vain
        pause_seconds = min(NO_ROOM_PAUSE_SECONDS * 2.0 ** max(0, rounds - 1), LONGEST_NO_ROOM_PAUSE_SECONDS)
        return await self._take_back(claim, error, pause_seconds=pause_seconds)

    async def _take_back(self, claim: Claim, error: TciadError | None, *, pause_seconds: float) -> bool:
        needed_bytes = None
        if isinstance(error, NoSpaceError) and error.received_bytes:
            needed_bytes = max(error.needed_bytes, claim.needed_bytes)
        with self._dropped_if_lost(claim) as outcome:
            await self._store.set_back(
                claim,
                delay_seconds=pause_seconds,
                error=type(error).__name__ if error else "",
                message=str(error) if error else "",
                count_attempt=False,
                needed_bytes=needed_bytes,
            )
            self.report_given_back(claim)
        return outcome.is_recorded

    @contextmanager
    def _dropped_if_lost(self, claim: Claim) -> Iterator["_Outcome"]:
        """Skip the block's events if another worker has the series now."""
        outcome = _Outcome()
        try:
            yield outcome
        except LeaseLostError as lost:
            outcome.is_recorded = False
            note_lost(lost)
            self.report_given_back(claim)

    def report_given_back(self, claim: Claim) -> None:
        """Report that the attempt ended without counting."""
        self._listener(SeriesGivenBack(series_instance_uid=claim.series.series_instance_uid))


@dataclass(slots=True)
class _Outcome:
    is_recorded: bool = True


def note_lost(lost: LeaseLostError) -> None:
    """Log that another worker has the series."""
    _log.warning("lease lost", series_instance_uid=lost.series_instance_uid, message=str(lost))
