"""What keeps a scheduler from claiming: an archive that is out or wants a rest, a disk without room."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from downloader.archive.port import Archive
from downloader.clock import Clock
from downloader.errors import (
    ArchiveBusyError,
    ArchiveError,
    ArchiveFaultError,
    ArchiveUnreachableError,
    NoSpaceError,
    TciadError,
    TransferError,
    Verdict,
)
from downloader.pacing import BreakerState, CircuitBreaker

ROOM_PAUSE_SECONDS = 60.0
"""How long nothing is claimed after there was no room."""
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Door:
    archive: Archive
    breaker: CircuitBreaker


class Gate:
    """Is passed before each claim. Claims come from one queue, so all wait until each archive answers again.

    Args:
        archives: those that the claims may be of, by name.
        outage_seconds: how long an archive may be out of reach before that is an error.
    """

    def __init__(self, archives: Mapping[str, Archive], clock: Clock, outage_seconds: float) -> None:
        self._doors = {name: _Door(archive, CircuitBreaker()) for name, archive in archives.items()}
        self._clock = clock
        self._outage_seconds = outage_seconds
        self._rests_until = 0.0
        self._pauses_for_room = False
        self.short_of_room = False

    @property
    def state(self) -> BreakerState:
        """That of the archive that is worst off."""
        states = {door.breaker.state for door in self._doors.values()}
        return next(state for state in reversed(BreakerState) if state in states)

    async def pass_through(self) -> None:
        """Return once each archive can be believed to work, and the disk may have room again.

        Raises:
            ArchiveError, TransferError: one has been out for longer than is borne, or refuses the credentials.
        """
        for name, door in self._doors.items():
            await self._wait_until_back(name, door)
        if self._pauses_for_room:
            # the next claim shows whether there still is none
            await self._clock.sleep(ROOM_PAUSE_SECONDS)
            self._pauses_for_room = False

    async def let_rest(self) -> None:
        """Ask nothing for as long as an archive wants to be left alone: Retry-After is the archive's word, not the series'."""
        while (rest_seconds := self._rests_until - self._clock.monotonic()) > 0:
            _log.warning("the archive asks for a rest", rest_seconds=round(rest_seconds, 1))
            await self._clock.sleep(rest_seconds)

    def is_out(self, archive: str) -> bool:
        """Whether the archive as a whole is known not to work, so that what a series of it met is no fault of the series."""
        return self._doors[archive].breaker.state is not BreakerState.CLOSED

    def note_success(self, archive: str) -> None:
        """A series came and was stored."""
        self.short_of_room = False
        self._doors[archive].breaker.succeeded()

    def note_fault(self, archive: str, error: TciadError) -> None:
        """Hear of errors that may be the whole archive's."""
        if isinstance(error, ArchiveBusyError):
            self._rests_until = max(self._rests_until, self._clock.monotonic() + (error.retry_after_seconds or 0.0))
        if isinstance(error, ArchiveBusyError | ArchiveFaultError | ArchiveUnreachableError):
            self._doors[archive].breaker.faulted()

    def note_no_room(self, series_instance_uid: str, error: NoSpaceError) -> None:
        """There was no room for a series: nothing is claimed for a while."""
        if not self.short_of_room:
            _log.warning("no room", series_instance_uid=series_instance_uid, message=str(error))
        self.short_of_room = self._pauses_for_room = True

    async def _wait_until_back(self, name: str, door: _Door) -> None:
        """Probe an archive that is out, less and less often, until it answers."""
        began = self._clock.monotonic()
        while door.breaker.state is not BreakerState.CLOSED:
            try:
                await door.archive.find_collections()
            except (ArchiveError, TransferError) as error:
                outage_seconds = self._clock.monotonic() - began
                if error.verdict is not Verdict.RETRY or outage_seconds > self._outage_seconds:
                    raise
                pause_seconds = door.breaker.probe_failed(retry_after_of(error))
                _log.warning(
                    "archive is out",
                    archive=name,
                    message=str(error),
                    outage_seconds=outage_seconds,
                    next_probe_seconds=pause_seconds,
                )
                await self._clock.sleep(pause_seconds)
            else:
                door.breaker.succeeded()


def retry_after_of(error: TciadError) -> float | None:
    """How many seconds the archive asked to wait, where it did."""
    return error.retry_after_seconds if isinstance(error, ArchiveBusyError) else None
