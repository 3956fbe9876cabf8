"""A run of one manifest over one library: resolve, fetch, report."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import structlog
from anyio import CancelScope

from downloader.clock import Clock
from downloader.concurrency import task_group
from downloader.config.options import RunOptions
from downloader.errors import ExitCode, LibraryError, NoSpaceError, WrongLibraryError
from downloader.fetching.attempt import AttemptContext
from downloader.indexing.metadata import write_described_metadata
from downloader.library.model import CHANGES, RUNS
from downloader.library.port import Library
from downloader.library.run_records import run_document
from downloader.manifest import Manifest
from downloader.mirroring.attempt_log import log_attempt
from downloader.mirroring.listing_wait import ListingWait
from downloader.mirroring.presence import PresenceCheck
from downloader.mirroring.resolve import CatalogueResolve
from downloader.mirroring.strength import read_strength
from downloader.mirroring.strengthening import Strengthening, StrengthTally, wants_lists
from downloader.mirroring.withdrawal import remove_withdrawn
from downloader.model import Event, SeriesTally
from downloader.pacing import Backoff
from downloader.resolving.resolver import Resolver
from downloader.results.amounts import duration_text, size_text
from downloader.results.changes import ChangeLog
from downloader.results.counter import RunCounter
from downloader.results.listeners import RunListener
from downloader.results.presence import Presence
from downloader.results.run import NOTHING_PROVEN, Outcome, RunReport, folder_warnings, judge, unread_image_warnings
from downloader.results.strength import contradiction_warning, disproof_warning
from downloader.scheduling.scheduler import Pressure, Scheduler, SchedulerPolicy, always
from downloader.store.port import Store
from downloader.store.records import CycleNote, Session

_log = structlog.get_logger(__name__)


def never(archives_out: frozenset[str]) -> bool:  # noqa: ARG001
    """The default of `gives_way`: wait for archives as long as the policy allows."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """How a run handles faults: a single run reports them and ends; a run of the service waits until they are over.

    `skips_recent_failures`: do not retry series that failed recently. `waits_for_room`: a full disk pauses claiming.
    `waits_for_listing`: wait for an archive that does not answer the listing, as during fetching. `outage_seconds`: the longest
    outage of an archive to wait for. `admit` is awaited before each claim, and returns when series may be claimed. `gives_way`:
    see `ListingWait`.
    """

    skips_recent_failures: bool = False
    waits_for_room: bool = False
    waits_for_listing: bool = False
    outage_seconds: float = 86_400.0
    admit: Callable[[], Awaitable[None]] = always
    gives_way: Callable[[frozenset[str]], bool] = never


SINGLE_RUN: Final = RunPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a run. `draw` returns random numbers in [0, 1); `contexts` are by name of the manifest's archives.

    `warnings` are added to the report of the run.
    """

    resolver: Resolver
    library: Library
    store: Store
    session: Session
    clock: Clock
    draw: Callable[[], float]
    options: RunOptions
    contexts: Mapping[str, AttemptContext]
    run_policy: RunPolicy = SINGLE_RUN
    warnings: tuple[str, ...] = ()


class MirrorRun:
    """A run of one manifest. However it ends, `report_ended` can report its progress."""

    def __init__(self, manifest: Manifest, parts: Parts, progress: RunListener) -> None:
        self._manifest = manifest
        self._parts = parts
        self._progress = progress
        self._counter = RunCounter()
        self._began = parts.clock.monotonic()
        self._started_at = parts.clock.now()
        self._warnings = list(parts.warnings)
        self._presence: Presence | None = None
        self._unproven = False
        self._is_library_gone = False
        self._changes = ChangeLog()
        self._scheduler: Scheduler | None = None
        self._resolving = CancelScope()
        policy, archives = parts.run_policy, {name: context.archive for name, context in parts.contexts.items()}
        self._listing = ListingWait(archives, parts.clock, policy.outage_seconds, policy.gives_way)
        self._strengthening = CancelScope()
        self._proven_again = StrengthTally()
        self._is_drained = self._is_over = False
        self.came_to_its_end = False

    @property
    def pressure(self) -> Pressure | None:
        """The state of fetching, or the archives that the listing waits for; None while the catalogue is being listed."""
        return self._scheduler.pressure if self._scheduler else self._listing.pressure

    @property
    def archives_out(self) -> frozenset[str]:
        """The names of the archives that did not answer the last probes."""
        return self._scheduler.pressure.archives_out if self._scheduler else self._listing.archives_out

    def drain(self) -> None:
        """Start nothing more: downloads in flight finish, and then the run ends."""
        self._is_drained = True
        self._resolving.cancel()
        self._strengthening.cancel()
        if self._scheduler:
            self._scheduler.stop_claiming()

    async def run(self) -> RunReport:
        """Resolve, fetch until nothing is pending, and report.

        Raises:
            TciadError: the run cannot continue: the archive, the library or the store cannot be used.
        """
        try:
            await self._until_deadline(self._mirror)
        except WrongLibraryError:
            self._is_library_gone = True
            raise
        if not self._unproven and not self._is_drained:
            await self._remove_withdrawn()
        await self._write_metadata()
        report = await self._judge()
        if self._is_drained:
            report = replace(report, outcome=Outcome.INTERRUPTED, exit_code=ExitCode.TERMINATED)
        kept = await self._keep(report)
        self.came_to_its_end = True
        return kept

    async def _mirror(self) -> None:
        with self._resolving:
            await self._resolve()
            await self._look_for_complete()
            tally = await self._parts.store.tally(self._manifest.name)
            if not self._parts.run_policy.waits_for_room:
                await self._check_room(tally)
            self._progress.begin(self._manifest.name, tally)
            self._take(self._changes.as_event())
        if not self._is_drained:
            await self._fetch()
            with self._strengthening:
                await self._strengthen()

    async def _fetch(self) -> None:
        self._scheduler = self._make_scheduler()
        await self._scheduler.drain(self._manifest.name)

    async def _strengthen(self) -> None:
        """Prove weak series again; series that the archive's MD5s disprove are fetched like any other."""
        parts = self._parts
        strengthening = Strengthening(
            store=parts.store,
            contexts={name: replace(context, listener=self._counter.count_bytes) for name, context in parts.contexts.items()},
            admit=parts.run_policy.admit,
        )
        try:
            await strengthening.work(self._manifest.name)
        except NoSpaceError as error:
            self._warnings.append(f"not every series could be proven again: {error}")
        finally:
            self._proven_again = strengthening.tally
        if strengthening.tally.contradicted:
            self._warnings.append(contradiction_warning(strengthening.tally.contradicted))
        if strengthening.tally.doubted:
            self._warnings.append(disproof_warning(strengthening.tally.doubted))
            if not self._is_drained:
                await self._fetch()

    async def _until_deadline(self, work: Callable[[], Awaitable[None]]) -> None:
        """Await `work()`, and cancel it at the deadline: series in flight are set back, as by an interruption."""
        deadline_seconds = self._parts.options.deadline_seconds
        if deadline_seconds is None:
            await work()
            return

        async def expire() -> None:
            await self._parts.clock.sleep(deadline_seconds)
            self._is_over = True
            group.cancel_scope.cancel()

        async with task_group() as group:
            group.start_soon(expire)
            await work()
            group.cancel_scope.cancel()
        if self._is_over:
            # resolving may have been cut short as well, so the list of selected series may be incomplete
            self._unproven = True
            self._warnings.append(f"the deadline of {duration_text(deadline_seconds)} has passed; run again to continue")

    async def report_ended(self, outcome: Outcome, exit_code: ExitCode, error: str = "") -> RunReport:
        """Report the progress of a run that was interrupted or failed."""
        report = replace(await self._judge(), outcome=outcome, exit_code=exit_code, error=error)
        try:
            return await self._keep(report)
        except LibraryError as unwritten:
            # the run failed because of the library: that its record cannot be written is no further error
            _log.warning("run record not written", manifest=self._manifest.name, message=str(unwritten))
            return report

    async def _keep(self, report: RunReport) -> RunReport:
        ended_at = self._parts.clock.now()
        changes = self._changes.as_json(report, self._counter.failures, self._started_at, ended_at)
        note = CycleNote(
            began_at=self._started_at,
            ended_at=ended_at,
            outcome=report.outcome.value,
            exit_code=report.exit_code.value,
            error=report.error,
        )
        await self._parts.store.note_cycle(self._manifest.name, note)
        _log.info("run ended", **report.as_log(), **{f"{name}_series": count for name, count in changes["counts"].items()})
        state = self._parts.library.state
        await state.write_record(RUNS, self._started_at, run_document(self._started_at, report.as_json()))
        await state.write_record(CHANGES, self._started_at, changes)
        return report

    async def _resolve(self) -> None:
        if self._parts.run_policy.waits_for_listing:
            await self._listing.until_listed(self._resolve_once)
        else:
            await self._resolve_once()

    async def _resolve_once(self) -> None:
        parts, warnings = self._parts, list[str]()
        resolve = CatalogueResolve(
            manifest=self._manifest,
            resolver=parts.resolver,
            store=parts.store,
            library=parts.library,
            contexts=parts.contexts,
            clock=parts.clock,
            max_shrink_percent=parts.options.max_shrink_percent,
            skips_recent_failures=parts.run_policy.skips_recent_failures,
            changes=self._changes,
            warnings=warnings,
        )
        try:
            await resolve.run()
        finally:
            # a listing that was interrupted by an outage may have produced the same warnings
            self._warnings += [warning for warning in warnings if warning not in self._warnings]
        self._unproven |= resolve.is_unproven

    async def _look_for_complete(self) -> None:
        """Set complete series that are missing in the library to pending.

        Raises:
            WrongLibraryError: the library has no series of those that the store counts, of any manifest.
        """
        parts = self._parts
        check = PresenceCheck(finder=parts.library.finder, index=parts.library.index, store=parts.store, clock=parts.clock)
        self._presence = await check.look(self._manifest.name)
        self._warnings += self._presence.warnings()

    async def _remove_withdrawn(self) -> None:
        async for removed in remove_withdrawn(self._manifest, self._parts.store, self._parts.contexts, self._warnings.append):
            self._changes.removed.add([asdict(removed)])

    async def _check_room(self, tally: SeriesTally) -> None:
        """Raise an error if the series cannot fit on the disk.

        Raises:
            NoSpaceError: the sizes in the catalogue exceed the free space.
        """
        needed_bytes = max(0, tally.expected_bytes - tally.stored_bytes)
        free_bytes = await self._parts.library.state.free_bytes()
        if needed_bytes and needed_bytes + self._parts.options.min_free_bytes > free_bytes:
            raise NoSpaceError(
                f"{size_text(needed_bytes)} are to be fetched, and {size_text(free_bytes)} are free, of which "
                f"{size_text(self._parts.options.min_free_bytes)} must stay free",
                next_step="free some space, choose another --output, or narrow the manifest",
            )

    def _make_scheduler(self) -> Scheduler:
        parts = self._parts
        return Scheduler(
            store=parts.store,
            session=parts.session,
            contexts={name: replace(context, listener=self._take) for name, context in parts.contexts.items()},
            policy=policy_of(parts.options, parts.run_policy),
            clock=parts.clock,
            draw=parts.draw,
            listener=self._take,
            admit=parts.run_policy.admit,
        )

    def _take(self, event: Event) -> None:
        self._counter.take(event)
        self._progress.take(event)
        log_attempt(self._manifest.name, event)

    async def _write_metadata(self) -> None:
        """Write metadata.csv and CITATION.txt if series changed since they were written."""
        parts = self._parts
        if not await parts.library.index.metadata_is_due():
            return
        # a run that is ending sends no more requests
        contexts = {} if self._is_drained or self._is_over else parts.contexts
        archives = {name: context.archive for name, context in contexts.items()}
        await write_described_metadata(parts.library.index, parts.store, archives, parts.clock)

    async def _judge(self) -> RunReport:
        name, store = self._manifest.name, self._parts.store
        tally = await store.tally(name)
        proof = await read_strength(
            store,
            name,
            tally.complete,
            lists_wanted={archive for archive, context in self._parts.contexts.items() if wants_lists(context)},
            proven_again=self._proven_again.compared + self._proven_again.fetched,
        )
        unseen = self._presence.unreadable if self._presence else 0
        if self._is_library_gone:
            unseen, proof = tally.complete, NOTHING_PROVEN
        return judge(
            manifest=name,
            tally=tally.without_unseen(unseen),
            proof=proof,
            counter=self._counter,
            failures=await store.failures(name),
            elapsed_seconds=self._parts.clock.monotonic() - self._began,
            warnings=[
                *self._warnings,
                *folder_warnings(self._counter),
                *unread_image_warnings(self._counter),
                *proof.as_warnings(),
            ],
            unproven=self._unproven,
            presence=self._presence,
        )


def policy_of(options: RunOptions, run_policy: RunPolicy) -> SchedulerPolicy:
    """The scheduler's policy for these options and this kind of run."""
    return SchedulerPolicy(
        concurrency=options.concurrency,
        attempts=options.attempts,
        order=options.order,
        retry=Backoff(),
        outage_seconds=run_policy.outage_seconds,
        waits_for_room=run_policy.waits_for_room,
    )
