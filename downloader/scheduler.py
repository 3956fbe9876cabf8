"""Claim, limit, fetch, record: the loop that empties the queue. The only place that acts on our errors."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import PurePosixPath

import anyio
import structlog
from anyio import CancelScope, CapacityLimiter
from anyio import Event as Signal
from anyio.abc import TaskGroup

from downloader.clock import Clock
from downloader.errors import (
    ArchiveBusyError,
    ArchiveError,
    ArchiveFaultError,
    ArchiveUnreachableError,
    AttemptsExhaustedError,
    LeaseLostError,
    LibraryError,
    NoSpaceError,
    TciadError,
    Verdict,
)
from downloader.fetch import Bench, FetchedSeries, fetch_series
from downloader.leases import Leases
from downloader.model import (
    AttemptStarted,
    Claim,
    Event,
    Failure,
    FetchOrder,
    SeriesCompleted,
    SeriesFailed,
    SeriesSetBack,
)
from downloader.pacing import BreakerState, CircuitBreaker, ConcurrencyPace, RetryPace
from downloader.store.port import Store
from downloader.workers import first_of_ours

BRIEF_ATTEMPTS = 3
ROOM_PAUSE_SECONDS = 60.0
"""How long nothing is claimed after there was no room."""
NO_ROOM_PAUSE_SECONDS = 600.0
"""How long the series that found none waits, so that smaller ones get their turn."""
REST = RetryPace(first_seconds=3600.0, longest_seconds=7 * 86_400.0)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerPolicy:
    """What a manifest says of how to fetch: series at once at most, attempts per series, and in which order.

    `rest` tells how long a series that failed is left alone by those who let it rest, by the rounds in which it did.
    `outage_seconds`: how long an archive may be out of reach, probed from time to time, before the run gives up.
    `waits_for_room`: without room nothing is claimed for a while, instead of giving up.
    """

    concurrency: int
    attempts: int
    order: FetchOrder
    retry: RetryPace
    rest: RetryPace = REST
    outage_seconds: float = 86_400.0
    waits_for_room: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """How the fetching goes about: series at once now (the limit, not the count), and what holds it back.

    `breaker` is that of the archive that is worst off.
    """

    concurrency: int
    breaker: BreakerState
    short_of_room: bool


async def always() -> None:
    """Admit every claim."""


class Scheduler:
    """Fetches everything that one manifest wants.

    Args:
        benches: what attempts at series of each archive work with, by the archive's name; one at least.
        draw: gives random numbers in [0, 1), for jitter.
        listener: is told what happens, for progress; it must not block.
        admit: is awaited before each claim, for as long as nothing may be claimed.
    """

    def __init__(
        self,
        *,
        store: Store,
        benches: Mapping[str, Bench],
        policy: SchedulerPolicy,
        clock: Clock,
        draw: Callable[[], float],
        listener: Callable[[Event], None],
        admit: Callable[[], Awaitable[None]] = always,
    ) -> None:
        self._store = store
        self._benches = {name: replace(bench, answered=self._note_answer) for name, bench in benches.items()}
        self._policy = policy
        self._clock = clock
        self._draw = draw
        self._listener = listener
        self._leases = Leases(store, clock, uuid.uuid4().hex, policy.order)
        self._pace = ConcurrencyPace(policy.concurrency)
        self._breakers = {name: CircuitBreaker() for name in benches}
        self._rests_until = 0.0
        self._slots = CapacityLimiter(self._pace.limit)
        self._ended = Signal()
        self._under_way: dict[str, Signal] = {}
        self._admit = admit
        self._claiming = CancelScope()
        self._short_of_room = False
        self._pauses_for_room = False

    @property
    def pressure(self) -> Pressure:
        """How the fetching goes about now."""
        states = {breaker.state for breaker in self._breakers.values()}
        worst = next(state for state in reversed(BreakerState) if state in states)
        return Pressure(concurrency=self._pace.limit, breaker=worst, short_of_room=self._short_of_room)

    def stop_claiming(self) -> None:
        """Claim nothing more: `drain` returns once what is under way has ended."""
        self._claiming.cancel()

    async def drain(self, manifest: str) -> None:
        """Fetch until nothing of the manifest is pending: every series is complete, failed or withdrawn.

        Raises:
            TciadError: one whose verdict is to stop: the credentials, the library or the store. Work in flight was set back.
        """
        try:
            async with anyio.create_task_group() as keeper:
                keeper.start_soon(self._leases.keep)
                await self._empty(manifest)
                keeper.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise first_of_ours(group) from group
        finally:
            with CancelScope(shield=True):
                await self._leases.give_back()

    async def _empty(self, manifest: str) -> None:
        async with anyio.create_task_group() as workers:
            with self._claiming:
                while await self._claim_next(manifest, workers):
                    pass

    async def _claim_next(self, manifest: str, workers: TaskGroup) -> bool:
        """Start one attempt, or wait until there may be one to start. False when nothing is left."""
        await self._admit()
        # claims come from one queue, so all wait until each archive answers again
        for archive in self._benches:
            await self._pass_breaker(archive)
        await self._wait_for_room()
        slot = object()
        await self._slots.acquire_on_behalf_of(slot)
        await self._let_rest()
        self._ended = Signal()
        claim = await self._leases.claim(manifest)
        if claim:
            workers.start_soon(self._work, claim, slot)
            return True
        self._slots.release_on_behalf_of(slot)
        due_at = await self._store.next_due_at(manifest)
        if due_at is None and self._slots.borrowed_tokens == 0:
            return False
        await self._wait(None if due_at is None else (due_at - self._clock.now()).total_seconds())
        return True

    async def _pass_breaker(self, archive: str) -> None:
        """Return once the archive as a whole can be believed to work; until then probe it, less and less often.

        Raises:
            ArchiveError: it has been out for longer than the policy bears, or refuses the credentials.
        """
        began, breaker = self._clock.monotonic(), self._breakers[archive]
        while breaker.state is not BreakerState.CLOSED:
            try:
                await self._benches[archive].archive.find_collections()
            except ArchiveError as error:
                outage_seconds = self._clock.monotonic() - began
                if error.verdict is not Verdict.RETRY or outage_seconds > self._policy.outage_seconds:
                    raise
                pause_seconds = breaker.probe_failed(retry_after_of(error))
                _log.warning(
                    "archive is out",
                    archive=archive,
                    message=str(error),
                    outage_seconds=outage_seconds,
                    next_probe_seconds=pause_seconds,
                )
                await self._clock.sleep(pause_seconds)
            else:
                breaker.succeeded()

    async def _let_rest(self) -> None:
        """Ask nothing for as long as an archive wants to be left alone: Retry-After is the archive's word, not the series'."""
        while (rest_seconds := self._rests_until - self._clock.monotonic()) > 0:
            _log.warning("the archive asks for a rest", rest_seconds=round(rest_seconds, 1))
            await self._clock.sleep(rest_seconds)

    async def _wait_for_room(self) -> None:
        """Pause after the disk was full; the next claim shows whether it still is."""
        if self._pauses_for_room:
            await self._clock.sleep(ROOM_PAUSE_SECONDS)
            self._pauses_for_room = False

    async def _wait(self, seconds: float | None) -> None:
        """Until that much time has passed or an attempt ended, whichever is first."""
        ended = self._ended
        async with anyio.create_task_group() as group:

            async def pause() -> None:
                await self._clock.sleep(max(0.0, seconds or 0.0))
                group.cancel_scope.cancel()

            if seconds is not None:
                group.start_soon(pause)
            if self._slots.borrowed_tokens or seconds is None:
                await ended.wait()
                group.cancel_scope.cancel()

    async def _work(self, claim: Claim, slot: object) -> None:
        try:
            async with self._alone_at(claim.series.series_instance_uid):
                await self._attempt(claim)
        finally:
            self._slots.release_on_behalf_of(slot)
            self._ended.set()

    @asynccontextmanager
    async def _alone_at(self, series_instance_uid: str) -> AsyncIterator[None]:
        """Wait until no other attempt of ours is at this series.

        A machine that slept for longer than a lease wakes up with attempts under way whose series can be claimed again.
        """
        while before := self._under_way.get(series_instance_uid):
            await before.wait()
        ended = self._under_way[series_instance_uid] = Signal()
        try:
            yield
        finally:
            del self._under_way[series_instance_uid]
            ended.set()

    async def _attempt(self, claim: Claim) -> None:
        started = self._clock.monotonic()
        if claim.attempt > self._policy.attempts:
            # the attempt was counted at its claim, so only a process that died in each of them gets here
            await self._fail(
                claim,
                AttemptsExhaustedError(
                    "every attempt ended with the process",
                    next_step="look into the log, then run `tciad retry`",
                ),
            )
            return
        self._listener(AttemptStarted(series=claim.series, attempt=claim.attempt))
        try:
            with self._leases.held(claim):
                fetched = await fetch_series(claim.series, self._bench_of(claim))
            with CancelScope(shield=True):
                await self._store.complete(claim, fetched.receipt, str(fetched.folder))
                await self._clear_former(claim, fetched)
        except LeaseLostError as error:
            _log.warning("lease lost", series_instance_uid=claim.series.series_instance_uid, message=str(error))
        except TciadError as error:
            with CancelScope(shield=True):
                await self._settle(claim, error)
        except anyio.get_cancelled_exc_class():
            with CancelScope(shield=True):
                await self._give_back(claim)
            raise
        else:
            if fetched.downloaded:
                self._note_success(claim)
            elapsed_seconds = self._clock.monotonic() - started
            self._listener(
                SeriesCompleted(
                    receipt=fetched.receipt,
                    attempt=claim.attempt,
                    elapsed_seconds=elapsed_seconds,
                    downloaded=fetched.downloaded,
                    first_byte_seconds=fetched.first_byte_seconds,
                )
            )

    async def _clear_former(self, claim: Claim, fetched: FetchedSeries) -> None:
        """Remove what an earlier time stored of the series, where it lay elsewhere: the archive has moved it since."""
        former = PurePosixPath(claim.folder)
        if not claim.folder or fetched.folder.is_relative_to(former):
            return
        bench = self._bench_of(claim)
        try:
            if await bench.in_thread(bench.library.holds, former, claim.series.series_instance_uid):
                await bench.in_thread(bench.library.remove, former)
        except LibraryError as error:
            _log.warning("former folder stays", series_instance_uid=claim.series.series_instance_uid, message=str(error))

    def _archive_of(self, claim: Claim) -> str:
        """The archive to ask. One that the manifest named before, and no longer does, cannot be: then its first is."""
        return claim.archive if claim.archive in self._benches else next(iter(self._benches))

    def _bench_of(self, claim: Claim) -> Bench:
        return self._benches[self._archive_of(claim)]

    def _note_success(self, claim: Claim) -> None:
        self._short_of_room = False
        self._breakers[self._archive_of(claim)].succeeded()

    def _note_answer(self, first_byte_seconds: float) -> None:
        """Images come: there may be room for more of them at once. Not when they have come, since that can take hours."""
        self._pace.answered(first_byte_seconds, self._clock.monotonic())
        self._slots.total_tokens = self._pace.limit

    def _note_fault(self, breaker: CircuitBreaker, error: TciadError) -> None:
        """Let the pace and the archive's breaker hear of errors that may be the whole archive's."""
        if isinstance(error, ArchiveBusyError):
            now = self._clock.monotonic()
            self._rests_until = max(self._rests_until, now + (error.retry_after_seconds or 0.0))
            self._pace.pushed_back(now)
            self._slots.total_tokens = self._pace.limit
        if isinstance(error, ArchiveBusyError | ArchiveFaultError | ArchiveUnreachableError):
            breaker.faulted()

    async def _settle(self, claim: Claim, error: TciadError) -> None:
        """Record what an error means for its series."""
        breaker = self._breakers[self._archive_of(claim)]
        in_outage = breaker.state is not BreakerState.CLOSED and isinstance(error, ArchiveError)
        self._note_fault(breaker, error)
        if in_outage and error.verdict is Verdict.RETRY:
            await self._give_back(claim, error)
            return
        if isinstance(error, NoSpaceError) and self._policy.waits_for_room:
            await self._wait_out(claim, error)
            return
        match error.verdict:
            case Verdict.DROP:
                return
            case Verdict.STOP:
                await self._give_back(claim, error)
                raise error
            case Verdict.RETRY if claim.attempt < self._policy.attempts:
                await self._set_back(claim, error)
            case Verdict.RETRY_BRIEFLY if claim.attempt < min(BRIEF_ATTEMPTS, self._policy.attempts):
                await self._set_back(claim, error)
            case _:
                await self._fail(claim, error)

    async def _set_back(self, claim: Claim, error: TciadError) -> None:
        delay_seconds = self._policy.retry.delay_seconds(claim.attempt, self._draw(), retry_after_of(error))
        name, message = type(error).__name__, str(error)
        due_at = self._clock.now() + timedelta(seconds=delay_seconds)
        await self._store.set_back(claim, due_at=due_at, error=name, message=message, count_attempt=True)
        self._listener(
            SeriesSetBack(
                series_instance_uid=claim.series.series_instance_uid,
                attempt=claim.attempt,
                error=name,
                message=message,
                delay_seconds=delay_seconds,
            )
        )

    async def _give_back(self, claim: Claim, error: TciadError | None = None) -> None:
        """The attempt did not get its chance: it does not count."""
        await self._store.set_back(
            claim,
            due_at=self._clock.now(),
            error=type(error).__name__ if error else "",
            message=str(error) if error else "",
            count_attempt=False,
        )

    async def _wait_out(self, claim: Claim, error: NoSpaceError) -> None:
        """There was no room for the series: that is nothing that it did."""
        if not self._short_of_room:
            _log.warning("no room", series_instance_uid=claim.series.series_instance_uid, message=str(error))
        self._short_of_room = self._pauses_for_room = True
        due_at = self._clock.now() + timedelta(seconds=NO_ROOM_PAUSE_SECONDS)
        await self._store.set_back(claim, due_at=due_at, error=type(error).__name__, message=str(error), count_attempt=False)

    async def _fail(self, claim: Claim, error: TciadError) -> None:
        name, message = type(error).__name__, str(error)
        rest_seconds = self._policy.rest.delay_seconds(claim.failed_rounds + 1, self._draw())
        rests_until_at = self._clock.now() + timedelta(seconds=rest_seconds)
        await self._store.fail(claim, error=name, message=message, rests_until_at=rests_until_at)
        failure = Failure(
            series_instance_uid=claim.series.series_instance_uid,
            error=name,
            message=message,
            attempts=claim.attempt,
        )
        self._listener(SeriesFailed(failure=failure))


def retry_after_of(error: TciadError) -> float | None:
    """How many seconds the archive asked to wait, where it did."""
    return error.retry_after_seconds if isinstance(error, ArchiveBusyError) else None
