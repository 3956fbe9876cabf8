"""What keeps a scheduler from claiming: an archive that is out or wants a rest, a disk without room."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import anyio
import structlog
from anyio import Event as Signal

from downloader.archive.port import Source
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
    retry_after_of,
)
from downloader.pacing import BreakerState, CircuitBreaker

ROOM_PAUSE_SECONDS = 60.0
"""How long nothing is claimed after there was no room."""
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Door:
    """One archive.

    `faulted` is set while it is to be probed, and `out_since_at` is when that began; `given_up` is what it said when that had
    lasted too long; `rests_until` is on the monotonic clock.
    """

    archive: Source
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    faulted: Signal = field(default_factory=Signal)
    given_up: ArchiveError | TransferError | None = None
    rests_until: float = 0.0
    out_since_at: datetime | None = None

    @property
    def is_out(self) -> bool:
        return self.breaker.state is not BreakerState.CLOSED

    @property
    def is_open(self) -> bool:
        """Whether it was probed in vain."""
        return self.breaker.state is BreakerState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Of which archives series may be claimed, None is of all; and when on the monotonic clock the next one ends its rest."""

    archives: frozenset[str] | None
    widens_at: float | None


class Gate:
    """Is asked before each claim. Each archive holds back its own series only.

    Args:
        archives: those that the claims may be of, by name.
        outage_seconds: how long an archive may be out of reach before that is an error.
        changed: is called when an archive that was out has answered, or is given up.
    """

    def __init__(self, archives: Mapping[str, Source], clock: Clock, outage_seconds: float, changed: Callable[[], None]) -> None:
        self._doors = {name: _Door(archive) for name, archive in archives.items()}
        self._clock = clock
        self._outage_seconds = outage_seconds
        self._changed = changed
        self._pauses_for_room = False
        self.room_problem = ""

    @property
    def short_of_room(self) -> bool:
        """Whether a series found no room, and none has been stored since; `room_problem` is what it needs."""
        return bool(self.room_problem)

    @property
    def state(self) -> BreakerState:
        """That of the archive that is worst off."""
        states = {door.breaker.state for door in self._doors.values()}
        return next(state for state in reversed(BreakerState) if state in states)

    @property
    def archives_out(self) -> frozenset[str]:
        """Those that were probed in vain."""
        return frozenset(name for name, door in self._doors.items() if door.is_open)

    @property
    def out_since_at(self) -> datetime | None:
        """When the first of the archives that are out stopped answering."""
        return min((door.out_since_at for door in self._doors.values() if door.is_open and door.out_since_at), default=None)

    def opening(self) -> Opening:
        """What may be claimed now."""
        now = self._clock.monotonic()
        well = {name: door for name, door in self._doors.items() if not door.is_out}
        rested = frozenset(name for name, door in well.items() if door.rests_until <= now)
        return Opening(
            archives=None if len(rested) == len(self._doors) else rested,
            widens_at=min((door.rests_until for name, door in well.items() if name not in rested), default=None),
        )

    def give_up(self) -> None:
        """To be called when there is nothing to do but to wait for archives that hold their series back.

        Raises:
            ArchiveError, TransferError: that of one of them, when all have been out for longer than is borne.
        """
        now = self._clock.monotonic()
        shut = [door for door in self._doors.values() if door.is_out or door.rests_until > now]
        errors = [door.given_up for door in shut if door.is_out and door.given_up]
        if errors and len(errors) == len(shut):
            raise errors[0]

    async def keep(self) -> None:
        """Probe each archive that is out until it answers. Runs until it is cancelled.

        Raises:
            ArchiveError: one says what no probe will change, such as that it refuses the credentials.
        """
        async with anyio.create_task_group() as probes:
            for name, door in self._doors.items():
                probes.start_soon(self._probe_when_out, name, door)

    async def wait_for_room(self) -> None:
        """Return once the disk may have room again; the next claim shows whether there still is none."""
        if self._pauses_for_room:
            await self._clock.sleep(ROOM_PAUSE_SECONDS)
            self._pauses_for_room = False

    def is_out(self, archive: str) -> bool:
        """Whether the archive as a whole is known not to work, so that what a series of it met is no fault of the series."""
        return self._doors[archive].is_out

    def note_success(self, archive: str) -> None:
        """A series came and was stored."""
        self.room_problem = ""
        self._doors[archive].breaker.succeeded()

    def note_fault(self, archive: str, error: TciadError) -> None:
        """Hear of errors that may be the whole archive's. Retry-After is the archive's word, not the series'."""
        door = self._doors[archive]
        if isinstance(error, ArchiveBusyError) and error.retry_after_seconds:
            self._let_rest(archive, door, error.retry_after_seconds)
        if isinstance(error, ArchiveBusyError | ArchiveFaultError | ArchiveUnreachableError):
            door.breaker.faulted()
        if door.is_out:
            door.faulted.set()

    def note_no_room(self, series_instance_uid: str, error: NoSpaceError) -> None:
        """There was no room for a series: nothing is claimed for a while."""
        if not self.room_problem:
            _log.warning("no room", series_instance_uid=series_instance_uid, message=str(error))
        self.room_problem = str(error)
        self._pauses_for_room = True

    def _let_rest(self, name: str, door: _Door, seconds: float) -> None:
        now = self._clock.monotonic()
        if door.rests_until <= now:
            # whoever asked in the same moment hears the same
            _log.warning("the archive asks for a rest", archive=name, rest_seconds=round(seconds, 1))
        door.rests_until = max(door.rests_until, now + seconds)

    async def _probe_when_out(self, name: str, door: _Door) -> None:
        while True:
            await door.faulted.wait()
            while (rest_seconds := door.rests_until - self._clock.monotonic()) > 0:
                await self._clock.sleep(rest_seconds)
            await self._probe_until_back(name, door)
            door.faulted, door.given_up = Signal(), None
            self._changed()

    async def _probe_until_back(self, name: str, door: _Door) -> None:
        """Less and less often. A series that comes meanwhile says as much as a probe."""
        began = self._clock.monotonic()
        door.out_since_at = self._clock.now()
        while door.is_out:
            try:
                await door.archive.find_collections()
            except (ArchiveError, TransferError) as error:
                if error.verdict is not Verdict.RETRY:
                    raise
                outage_seconds = self._clock.monotonic() - began
                pause_seconds = door.breaker.probe_failed(retry_after_of(error))
                _log.warning(
                    "archive is out",
                    archive=name,
                    message=str(error),
                    outage_seconds=outage_seconds,
                    next_probe_seconds=pause_seconds,
                )
                if outage_seconds > self._outage_seconds:
                    door.given_up = error
                    self._changed()
                await self._clock.sleep(pause_seconds)
            else:
                door.breaker.succeeded()
