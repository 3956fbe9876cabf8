"""The loop that empties the queue: claim, limit, fetch, record. The only place that acts on our errors."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import anyio
import structlog
from anyio import CancelScope, CapacityLimiter
from anyio.abc import TaskGroup

from downloader.clock import Clock, wait_for
from downloader.concurrency import task_group
from downloader.errors import (
    ArchiveBusyError,
    AttemptsExhaustedError,
    LeaseLostError,
    LibraryError,
    NoSpaceError,
    TciadError,
)
from downloader.fetching.attempt import AttemptContext, FetchedSeries, fetch_series
from downloader.fetching.former_folder import watch_former
from downloader.model import (
    AttemptStarted,
    Claim,
    Event,
    FetchOrder,
    SeriesCompleted,
)
from downloader.pacing import AdaptiveConcurrency, Backoff, BreakerState
from downloader.scheduling.admission import Admission, Admitted
from downloader.scheduling.decision import Ending, decide
from downloader.scheduling.leases import Leases, LeaseStore
from downloader.scheduling.outcomes import Outcomes, note_lost
from downloader.store.records import Session

SMALL_SHARE = 0.25
"""The share of concurrent series that come from the small end of the queue in the balanced order."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerPolicy:
    """The scheduling options: maximum number of concurrent series, attempts per series, and order.

    `outage_seconds`: the longest outage of an archive, with probes, before the run fails. `waits_for_room`: a full disk pauses
    claiming instead of ending the run.
    """

    concurrency: int
    attempts: int
    order: FetchOrder
    retry: Backoff
    outage_seconds: float = 86_400.0
    waits_for_room: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The state of fetching: the current limit of concurrent series, and what restrains it.

    `breaker` is the worst state of all archives; `archives_out` are those whose last probe failed, and `out_since_at` is when the
    first of them stopped answering. `room_problem` describes the last series that found too little free space; empty if there is
    none.
    """

    concurrency: int
    breaker: BreakerState
    archives_out: frozenset[str]
    short_of_room: bool
    room_problem: str = ""
    out_since_at: datetime | None = None


async def always() -> None:
    """Admit every claim."""


class Scheduler:
    """Fetches all series of one manifest.

    Args:
        session: the session that owns the claims.
        contexts: the context of attempts by archive name; at least one.
        draw: returns random numbers in [0, 1), for jitter.
        listener: called with each event; it must not block.
        admit: awaited before each claim; returns when series may be claimed.
    """

    def __init__(
        self,
        *,
        store: LeaseStore,
        session: Session,
        contexts: Mapping[str, AttemptContext],
        policy: SchedulerPolicy,
        clock: Clock,
        draw: Callable[[], float],
        listener: Callable[[Event], None],
        admit: Callable[[], Awaitable[None]] = always,
    ) -> None:
        self._store = store
        self._contexts = {name: replace(context, answered=self._note_answer) for name, context in contexts.items()}
        self._policy = policy
        self._clock = clock
        self._listener = listener
        self._outcomes = Outcomes(store=store, retry=policy.retry, draw=draw, listener=listener)
        self._leases = Leases(store, clock, session)
        self._concurrency = AdaptiveConcurrency(policy.concurrency)
        archives = {name: context.archive for name, context in contexts.items()}
        self._admission = Admission(archives, clock, policy.outage_seconds, changed=self._look_again)
        self._slots = CapacityLimiter(self._concurrency.limit)
        self._changed = anyio.Event()
        self._under_way: dict[str, anyio.Event] = {}
        self._orders_under_way: Counter[FetchOrder] = Counter()
        self._admit = admit
        self._claiming = CancelScope()

    @property
    def pressure(self) -> Pressure:
        """The current state of fetching."""
        return Pressure(
            concurrency=self._concurrency.limit,
            breaker=self._admission.state,
            archives_out=self._admission.archives_out,
            short_of_room=self._admission.short_of_room,
            room_problem=self._admission.room_problem,
            out_since_at=self._admission.out_since_at,
        )

    def stop_claiming(self) -> None:
        """Claim nothing more: `drain` returns when the series in flight have ended."""
        self._claiming.cancel()

    async def drain(self, manifest: str) -> None:
        """Fetch until nothing of the manifest is pending: every series is complete, failed or withdrawn.

        Raises:
            TciadError: an error that stops the run: of the credentials, the library or the store; or only series of archives with
                a lasting outage are left. Series in flight were set back.
        """
        try:
            async with task_group() as keeper:
                keeper.start_soon(self._leases.keep)
                keeper.start_soon(self._admission.keep)
                await self._empty(manifest)
                keeper.cancel_scope.cancel()
        finally:
            await self._leases.give_back()

    async def _empty(self, manifest: str) -> None:
        async with anyio.create_task_group() as workers:
            with self._claiming:
                while await self._claim_next(manifest, workers):
                    pass

    async def _claim_next(self, manifest: str, workers: TaskGroup) -> bool:
        """Start one attempt, or wait until one may start. False if nothing is left."""
        await self._admit()
        await self._admission.wait_for_room()
        slot = object()
        await self._slots.acquire_on_behalf_of(slot)
        # created before the state is read, so that no change is missed
        self._changed = anyio.Event()
        admitted = self._admission.admitted()
        order = self._next_order()
        claim = await self._leases.claim(manifest, order, admitted.archives)
        if claim:
            self._orders_under_way[order] += 1
            workers.start_soon(self._work, claim, order, slot)
            return True
        self._slots.release_on_behalf_of(slot)
        return await self._wait_for_more(manifest, admitted)

    async def _wait_for_more(self, manifest: str, admitted: Admitted) -> bool:
        """Wait until a series may be claimable. False if nothing is left."""
        due_seconds = await self._store.next_due_seconds(manifest, admitted.archives)
        if due_seconds is None and self._slots.borrowed_tokens == 0:
            if admitted.archives is None or await self._store.next_due_seconds(manifest) is None:
                return False
            self._admission.give_up()
        pauses_seconds = [] if due_seconds is None else [due_seconds]
        if admitted.widens_at is not None:
            pauses_seconds.append(admitted.widens_at - self._clock.monotonic())
        await self._wait(min(pauses_seconds, default=None))
        return True

    async def _wait(self, seconds: float | None) -> None:
        """Wait that long, or until an attempt ends or an archive answers again."""
        if seconds is None:
            await self._changed.wait()
        else:
            await wait_for(self._changed, self._clock, max(0.0, seconds))

    def _look_again(self) -> None:
        """Wake the claiming loop: a series may be claimable now."""
        self._changed.set()

    def _next_order(self) -> FetchOrder:
        """The end of the queue to claim from next.

        Small series mostly wait for their first byte, while large ones use the bandwidth; without the mix, the connection would
        be idle in the end (docs/decisions/0020).
        """
        if self._policy.order is not FetchOrder.BALANCED:
            return self._policy.order
        small_at_once = int(self._concurrency.limit * SMALL_SHARE)
        has_enough = self._orders_under_way[FetchOrder.SMALLEST_FIRST] >= small_at_once
        return FetchOrder.LARGEST_FIRST if has_enough else FetchOrder.SMALLEST_FIRST

    async def _work(self, claim: Claim, order: FetchOrder, slot: object) -> None:
        """Make the attempt once no other attempt of this scheduler works on the series.

        After a suspend of the machine that was longer than a lease, series of attempts in flight can be claimed again.
        """
        series_instance_uid = claim.series.series_instance_uid
        try:
            while before := self._under_way.get(series_instance_uid):
                await before.wait()
            ended = self._under_way[series_instance_uid] = anyio.Event()
            try:
                await self._attempt(claim)
            finally:
                del self._under_way[series_instance_uid]
                ended.set()
        finally:
            self._orders_under_way[order] -= 1
            self._slots.release_on_behalf_of(slot)
            self._changed.set()

    async def _attempt(self, claim: Claim) -> None:
        if claim.unended_attempts >= self._policy.attempts:
            await self._fail_exhausted(claim)
            return
        started = self._clock.monotonic()
        self._listener(AttemptStarted(series=claim.series, attempt=claim.attempt))
        try:
            fetched = await (self._complete_anew(claim) if claim.folder else self._complete(claim))
        except LeaseLostError as error:
            note_lost(error)
            self._outcomes.report_given_back(claim)
        except TciadError as error:
            with CancelScope(shield=True):
                await self._end_with(claim, error)
        except anyio.get_cancelled_exc_class():
            with CancelScope(shield=True):
                await self._outcomes.give_back(claim)
            raise
        else:
            self._report_completed(claim, fetched, self._clock.monotonic() - started)

    async def _complete(self, claim: Claim) -> FetchedSeries:
        """Fetch the series into the library, and record it in the store."""
        with self._leases.held(claim):
            fetched = await fetch_series(claim.series, self._context_of(claim), needed_bytes=claim.needed_bytes)
        with CancelScope(shield=True):
            await self._store.complete(claim, fetched.receipt, str(fetched.place.folder))
        return fetched

    async def _complete_anew(self, claim: Claim) -> FetchedSeries:
        """Complete a series of which the library has an earlier version, and remove that where it is in another folder."""
        async with watch_former(claim, self._context_of(claim)) as former:
            fetched = await self._complete(claim)
            with CancelScope(shield=True):
                await former.clear(fetched.place)
        return fetched

    async def _fail_exhausted(self, claim: Claim) -> None:
        """Fail a series whose attempts all ended with the process.

        Attempts that ended with an error were recorded: if the policy now allows fewer of them, the series gets one more, which
        decides.
        """
        await self._outcomes.fail(
            claim,
            AttemptsExhaustedError(
                f"{claim.unended_attempts} attempts ended because the process died",
                next_step="read the log, then run `tciad retry`",
            ),
        )

    def _report_completed(self, claim: Claim, fetched: FetchedSeries, elapsed_seconds: float) -> None:
        if fetched.downloaded:
            self._admission.note_success(self._archive_of(claim))
        self._listener(
            SeriesCompleted(
                receipt=fetched.receipt,
                attempt=claim.attempt,
                elapsed_seconds=elapsed_seconds,
                downloaded=fetched.downloaded,
                first_byte_seconds=fetched.first_byte_seconds,
                folder=str(fetched.place.folder),
                stepped_aside=fetched.place.stepped_aside,
                quarantined=str(fetched.place.quarantined or ""),
            )
        )

    def _archive_of(self, claim: Claim) -> str:
        """The archive of the claim, or the manifest's first archive if the manifest no longer has the claim's."""
        return claim.archive if claim.archive in self._contexts else next(iter(self._contexts))

    def _context_of(self, claim: Claim) -> AttemptContext:
        context = self._contexts[self._archive_of(claim)]
        return replace(context, claim_id=claim.claim_id, expect_claim=partial(self._leases.expect_held, claim))

    def _note_answer(self, first_byte_seconds: float) -> None:
        """Report that images arrive, so that the limit may grow. At the first byte, because a whole series can take hours."""
        self._concurrency.answered(first_byte_seconds, self._clock.monotonic())
        self._slots.total_tokens = self._concurrency.limit

    async def _end_with(self, claim: Claim, error: TciadError) -> None:
        """Record what an error means for its series, and raise it if it ends the run."""
        archive = self._archive_of(claim)
        is_in_outage = self._admission.is_out(archive)
        self._admission.note_fault(archive, error)
        if isinstance(error, ArchiveBusyError):
            self._concurrency.pushed_back(self._clock.monotonic())
            self._slots.total_tokens = self._concurrency.limit
        decision = decide(
            error,
            claim.attempt,
            attempts=self._policy.attempts,
            waits_for_space=self._policy.waits_for_room,
            is_in_outage=is_in_outage,
        )
        if decision.ending is Ending.WAIT_FOR_SPACE and isinstance(error, NoSpaceError):
            self._admission.note_no_room(claim.series.series_instance_uid, error)
        is_recorded = await self._outcomes.record(claim, error, decision.ending)
        # a worker that takes over a series moves its staging: errors of the former worker do not concern the library
        if decision.stops_run and (is_recorded or not isinstance(error, LibraryError)):
            raise error
