"""Pauses claiming: during an archive outage, after a Retry-After, and on a full disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import anyio
import structlog
from anyio import Event

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
"""How long claiming pauses after a series found too little free space."""
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _ArchiveState:
    """The state of one archive.

    `faulted` is set while the archive must be probed, and `out_since_at` is the start of the outage; `given_up` is the last error
    of an outage that lasted too long; `rests_until` is on the monotonic clock.
    """

    archive: Source
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    faulted: Event = field(default_factory=Event)
    given_up: ArchiveError | TransferError | None = None
    rests_until: float = 0.0
    out_since_at: datetime | None = None

    @property
    def is_out(self) -> bool:
        return self.breaker.state is not BreakerState.CLOSED

    @property
    def is_open(self) -> bool:
        """Whether a probe failed."""
        return self.breaker.state is BreakerState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The archives whose series may be claimed, None for all; and when, on the monotonic clock, the next Retry-After ends."""

    archives: frozenset[str] | None
    widens_at: float | None


class Admission:
    """Decides before each claim what may be claimed. An archive only affects its own series.

    Args:
        archives: the archives of the claims, by name.
        outage_seconds: the longest outage of an archive that is not an error.
        changed: called when an archive answers again, or its outage lasts too long.
    """

    def __init__(self, archives: Mapping[str, Source], clock: Clock, outage_seconds: float, changed: Callable[[], None]) -> None:
        self._archives = {name: _ArchiveState(archive) for name, archive in archives.items()}
        self._clock = clock
        self._outage_seconds = outage_seconds
        self._changed = changed
        self._pauses_for_room = False
        self.room_problem = ""

    @property
    def short_of_room(self) -> bool:
        """Whether a series found too little free space, and none has been stored since; `room_problem` describes it."""
        return bool(self.room_problem)

    @property
    def state(self) -> BreakerState:
        """The worst state of all archives."""
        states = {state.breaker.state for state in self._archives.values()}
        return next(state for state in reversed(BreakerState) if state in states)

    @property
    def archives_out(self) -> frozenset[str]:
        """The archives whose last probe failed."""
        return frozenset(name for name, state in self._archives.items() if state.is_open)

    @property
    def out_since_at(self) -> datetime | None:
        """The start of the earliest outage that goes on; None if there is none."""
        return min(
            (state.out_since_at for state in self._archives.values() if state.is_open and state.out_since_at), default=None
        )

    def admitted(self) -> Admitted:
        """The archives whose series may be claimed now."""
        now = self._clock.monotonic()
        well = {name: state for name, state in self._archives.items() if not state.is_out}
        rested = frozenset(name for name, state in well.items() if state.rests_until <= now)
        return Admitted(
            archives=None if len(rested) == len(self._archives) else rested,
            widens_at=min((state.rests_until for name, state in well.items() if name not in rested), default=None),
        )

    def give_up(self) -> None:
        """Raise an error if every archive that holds back claims has had too long an outage. Call it when only those are left.

        Raises:
            ArchiveError, TransferError: the last error of one of the archives.
        """
        now = self._clock.monotonic()
        shut = [state for state in self._archives.values() if state.is_out or state.rests_until > now]
        errors = [state.given_up for state in shut if state.is_out and state.given_up]
        if errors and len(errors) == len(shut):
            raise errors[0]

    async def keep(self) -> None:
        """Probe each archive with an outage until it answers. Runs until it is cancelled.

        Raises:
            ArchiveError: an error that no probe will change, such as refused credentials.
        """
        async with anyio.create_task_group() as probes:
            for name, state in self._archives.items():
                probes.start_soon(self._probe_when_out, name, state)

    async def wait_for_room(self) -> None:
        """Return when the pause after a full disk is over; the next claim shows whether there is free space."""
        if self._pauses_for_room:
            await self._clock.sleep(ROOM_PAUSE_SECONDS)
            self._pauses_for_room = False

    def is_out(self, archive: str) -> bool:
        """Whether the archive has an outage, so that errors of its series do not count as faults of the series."""
        return self._archives[archive].is_out

    def note_success(self, archive: str) -> None:
        """Record that a series was fetched and stored."""
        self.room_problem = ""
        self._archives[archive].breaker.succeeded()

    def note_fault(self, archive: str, error: TciadError) -> None:
        """Record an error that may affect the whole archive. A Retry-After applies to the archive, not only to the series."""
        state = self._archives[archive]
        if isinstance(error, ArchiveBusyError) and error.retry_after_seconds:
            self._let_rest(archive, state, error.retry_after_seconds)
        if isinstance(error, ArchiveBusyError | ArchiveFaultError | ArchiveUnreachableError):
            state.breaker.faulted()
        if state.is_out:
            state.faulted.set()

    def note_no_room(self, series_instance_uid: str, error: NoSpaceError) -> None:
        """Record that there was too little free space for a series: claiming pauses."""
        if not self.room_problem:
            _log.warning("not enough free space", series_instance_uid=series_instance_uid, message=str(error))
        self.room_problem = str(error)
        self._pauses_for_room = True

    def _let_rest(self, name: str, state: _ArchiveState, seconds: float) -> None:
        now = self._clock.monotonic()
        if state.rests_until <= now:
            # a caller that asked in the same moment gets the same answer
            _log.warning("archive requested a pause", archive=name, rest_seconds=round(seconds, 1))
        state.rests_until = max(state.rests_until, now + seconds)

    async def _probe_when_out(self, name: str, state: _ArchiveState) -> None:
        while True:
            await state.faulted.wait()
            while (rest_seconds := state.rests_until - self._clock.monotonic()) > 0:
                await self._clock.sleep(rest_seconds)
            await self._probe_until_back(name, state)
            state.faulted, state.given_up = Event(), None
            self._changed()

    async def _probe_until_back(self, name: str, state: _ArchiveState) -> None:
        """Probe with growing pauses. A fetched series also ends the outage."""
        began = self._clock.monotonic()
        state.out_since_at = self._clock.now()
        while state.is_out:
            try:
                await state.archive.find_collections()
            except (ArchiveError, TransferError) as error:
                if error.verdict is not Verdict.RETRY:
                    raise
                outage_seconds = self._clock.monotonic() - began
                pause_seconds = state.breaker.probe_failed(retry_after_of(error))
                _log.warning(
                    "archive unreachable",
                    archive=name,
                    message=str(error),
                    outage_seconds=outage_seconds,
                    next_probe_seconds=pause_seconds,
                )
                if outage_seconds > self._outage_seconds:
                    state.given_up = error
                    self._changed()
                await self._clock.sleep(pause_seconds)
            else:
                state.breaker.succeeded()
