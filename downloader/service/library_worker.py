"""The worker of one library: keeps it open, and runs the cycles of its manifests in turn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Final

import anyio
import structlog

from downloader.clock import Clock
from downloader.concurrency import task_group
from downloader.config.options import RunOptions
from downloader.engine.holding import HeldLibrary, expect_identity
from downloader.engine.library_state import library_state
from downloader.engine.state_store import state_path
from downloader.errors import ArchiveError, LibraryError, SettingsError, StoreError
from downloader.manifest import Manifest
from downloader.mirroring.run import RunPolicy
from downloader.model import CatalogueResolved, SeriesCompleted, SeriesState, SeriesTally
from downloader.results.run import Outcome
from downloader.service.archive_watch import ArchiveWatch
from downloader.service.cycle import Cycle, CycleOutcome, ManifestJob, Openers, log_retry, summary_of
from downloader.service.library_look import LibraryLook, LibrarySight
from downloader.service.pause import LibraryPause
from downloader.service.port import CycleBegan, CycleEnded, LibraryOrder, LibraryStatus, ServiceEvent
from downloader.service.progress import CycleProgress
from downloader.service.schedule import next_run_at, retry_at
from downloader.service.setback import Setback
from downloader.service.waiting import AutoResetEvent
from downloader.store.port import Store
from downloader.store.records import CycleNote, SeriesFilter

LONGEST_WAIT_SECONDS: Final = 3_600.0
"""A wait for a scheduled time looks at the wall clock so often: it may be set, and a machine that slept may be late."""
_CANNOT_BE_USED: Final = (LibraryError, StoreError, SettingsError)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePace:
    """How often the service looks after things; seconds.

    `outage_seconds`: how long a cycle bears an archive that is out of reach. `reopen_seconds`: after which pause a library that
    cannot be used is tried again. `answer_seconds`: how long the status waits for a library that does not answer.
    """

    look_seconds: float = 5.0
    pause_seconds: float = 2.0
    beat_seconds: float = 1.0
    reopen_seconds: float = 30.0
    outage_seconds: float = 3_600.0
    answer_seconds: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """What all library workers of a service share. `tell` passes on what happens in a cycle of a manifest."""

    clock: Clock
    zone: tzinfo
    pace: ServicePace
    openers: Openers
    archives: ArchiveWatch
    tell: Callable[[str, ServiceEvent], None]


class LibraryWorker:
    """One library with its store and the manifests that fill it. `opened` and `ended` are set once each."""

    def __init__(self, options: RunOptions, context: ServiceContext) -> None:
        self._options = options
        self._context = context
        self._jobs: dict[str, ManifestJob] = {}
        self._notes: dict[str, CycleNote] = {}
        self._store: Store | None = None
        self._identity = ""
        self._problem = ""
        self._woken = AutoResetEvent()
        self._pause = LibraryPause(options.output, library_state(options.output), context.clock, self._woken.set)
        look = context.openers.look_at_library
        self._look = LibraryLook(
            options.output, lambda: look(options.output, self._identity), context.clock, context.pace.answer_seconds
        )
        self._is_draining = False
        self._queued_since_at: datetime | None = None
        self.opened = anyio.Event()
        self.ended = anyio.Event()

    @property
    def directory(self) -> Path:
        """The library."""
        return self._options.output

    @property
    def store(self) -> Store | None:
        """Its store, while it is open."""
        return self._store

    @property
    def jobs(self) -> Iterable[ManifestJob]:
        """The manifests in force."""
        return self._jobs.values()

    def job(self, manifest: str) -> ManifestJob | None:
        """The manifest of that name, if it is one of this library's."""
        return self._jobs.get(manifest)

    @property
    def is_paused(self) -> bool:
        """Whether claiming is paused."""
        return self._pause.is_on

    def put(self, manifest: Manifest, options: RunOptions) -> None:
        """Activate this manifest. A running cycle of an older version is interrupted, and a new cycle is due."""
        job = self._jobs.get(manifest.name)
        if job is None:
            last = self._notes.get(manifest.name)
            setback = Setback.of_note(last)
            self._jobs[manifest.name] = ManifestJob(
                manifest=manifest, options=options, due_at=self._next_due_at(manifest, last, setback), last=last, setback=setback
            )
        elif (job.manifest, job.options) == (manifest, options):
            return
        else:
            wants_the_same = replace(job.manifest, schedule=None) == replace(manifest, schedule=None) and job.options == options
            job.manifest, job.options = manifest, options
            if not wants_the_same:
                job.setback = Setback()
            job.due_at = self._next_due_at(manifest, job.last if wants_the_same else None, job.setback)
            if not wants_the_same:
                job.interrupt()
        self._woken.set()

    def drop(self, name: str) -> None:
        """Deactivate this manifest. Its series stay."""
        self._jobs.pop(name).interrupt()
        self._woken.set()

    def order(self, name: str) -> None:
        """Begin a cycle of the manifest as soon as possible."""
        self._jobs[name].is_ordered = True
        self._woken.set()

    async def pause(self) -> LibraryOrder:
        """Stop claiming series."""
        return LibraryOrder(directory=str(self.directory), problem=await self._pause.order(paused=True))

    async def resume(self) -> LibraryOrder:
        """Claim series again."""
        return LibraryOrder(directory=str(self.directory), problem=await self._pause.order(paused=False))

    def drain(self) -> None:
        """Begin no more work, and end after the series in flight."""
        self._is_draining = True
        for job in self._jobs.values():
            job.drain()
        self._woken.set()

    def interrupt(self) -> None:
        """Set back the series in flight."""
        for job in self._jobs.values():
            job.interrupt()

    async def run(self, *, at_start: bool) -> None:
        """Keep the library until there is nothing more to do for it. A library that cannot be used is tried again and again.

        Raises:
            LibraryError, StoreError, SettingsError: it cannot be used `at_start`, while the caller waits for it.
        """
        async with task_group() as group:
            group.start_soon(self._look.keep)
            await self._hold(at_start=at_start)
            group.cancel_scope.cancel()

    async def _hold(self, *, at_start: bool) -> None:
        try:
            while not self._is_over:
                try:
                    if self._identity:
                        # a store inside a library goes with it: without this check, an empty mount point would be a new library
                        await expect_identity(self.directory, self._identity)
                    async with self._context.openers.hold_library(self._options, self._context.clock) as held:
                        await self._open(held.store)
                        self.opened.set()
                        await self._keep(held)
                except _CANNOT_BE_USED as error:
                    if at_start and not self.opened.is_set():
                        raise
                    self._problem = str(error)
                    _log.error("library not usable", library=str(self.directory), message=str(error))
                    await self._woken.wait(self._context.clock, self._context.pace.reopen_seconds)
        finally:
            self.opened.set()
            self.ended.set()

    def is_due(self, job: ManifestJob) -> bool:
        """Whether a cycle is to begin as soon as the library is free."""
        return job.is_ordered or job.due_at <= self._context.clock.now()

    def local_time(self) -> time:
        """The time of day that schedules and bandwidth windows go by."""
        return self._context.clock.now().astimezone(self._context.zone).time()

    async def retry(
        self,
        manifest: str | None,
        series_instance_uid: str | None,
        *,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        """Put failed series back into the queue, and begin cycles of their manifests; returns their number.

        Raises:
            StoreError: the store cannot be used.
        """
        if self._store is None:
            return 0
        failed = SeriesFilter(
            state=SeriesState.FAILED,
            collection=collection or None,
            error=error,
            text=series_instance_uid or "",
        )
        names = [name for name in self._jobs if manifest in {None, name}]
        concerned = [name for name in names if (await self._store.find_page(replace(failed, manifest=name), limit=1)).rows]
        retried = await self._store.retry(manifest, series_instance_uid, collection=collection, error=error)
        for name in concerned:
            # a running cycle comes to them by itself
            if retried and name in self._jobs and not self._jobs[name].is_running:
                self.order(name)
        return retried

    async def problem(self) -> str:
        """Why the library cannot be used; empty if it can. Takes `answer_seconds` at most, and asks no store."""
        return self._problem_of(await self._look.sight())

    async def status(self) -> LibraryStatus:
        """The current state of the library."""
        tally, sight = SeriesTally(), await self._look.sight()
        problem = self._problem_of(sight)
        if self._store is not None:
            try:
                tally = await self._store.tally()
            except StoreError as error:
                problem = str(error)
        pressures = [job.run.pressure for job in self._jobs.values() if job.run]
        return LibraryStatus(
            directory=str(self.directory),
            store=str(state_path(self._options)),
            problem=problem,
            paused=self.is_paused,
            short_of_room=any(pressure.short_of_room for pressure in pressures if pressure),
            room_problem=next((pressure.room_problem for pressure in pressures if pressure and pressure.room_problem), ""),
            free_bytes=sight.free_bytes,
            capacity_bytes=sight.capacity_bytes,
            min_free_bytes=max((job.options.min_free_bytes for job in self._jobs.values()), default=0),
            tally=tally,
            queued_since_at=self._queued_since_at if tally.pending + tally.claimed else None,
        )

    @property
    def _is_over(self) -> bool:
        return self._is_draining or not self._jobs

    def _problem_of(self, sight: LibrarySight) -> str:
        if self._problem or self._store is None:
            return self._problem or "it is not open yet"
        return sight.problem

    async def _open(self, store: Store) -> None:
        self._store = store
        self._identity = await store.library_id()
        self._problem = ""
        self._notes = dict(await store.cycles())
        for job in self._jobs.values():
            job.last = self._notes.get(job.name)
            # what this process knows of earlier failures is more than the store does
            job.setback = job.setback if job.setback.failed_cycles else Setback.of_note(job.last)
            job.due_at = self._next_due_at(job.manifest, job.last, job.setback)
        if self._queued_since_at is None:
            began = [note.began_at for note in self._notes.values()]
            self._queued_since_at = min(began, default=self._context.clock.now())
        await self._pause.settle()

    async def _keep(self, held: HeldLibrary) -> None:
        try:
            async with task_group() as group:
                group.start_soon(self._pause.watch, self._context.pace.pause_seconds)
                while not self._is_over:
                    job = self._next()
                    if job is None:
                        await self._woken.wait(self._context.clock, self._seconds_until_due())
                    else:
                        await expect_identity(self.directory, self._identity)
                        await self._cycle(job, held)
                group.cancel_scope.cancel()
        finally:
            self._store = None

    def _next(self) -> ManifestJob | None:
        """The manifest whose turn it is: one that was ordered first, then the one that has been due for longest."""
        if self.is_paused:
            return None
        due = [job for job in self._jobs.values() if self.is_due(job)]
        return min(due, key=lambda job: (not job.is_ordered, job.due_at), default=None)

    def _seconds_until_due(self) -> float:
        if self.is_paused:
            return LONGEST_WAIT_SECONDS
        now = self._context.clock.now()
        soonest = min((job.due_at for job in self._jobs.values()), default=now + timedelta(seconds=LONGEST_WAIT_SECONDS))
        return min(LONGEST_WAIT_SECONDS, max(0.0, (soonest - now).total_seconds()))

    async def _cycle(self, job: ManifestJob, held: HeldLibrary) -> None:
        context, name, manifest = self._context, job.name, job.manifest
        progress = CycleProgress(context.clock, job.options.concurrency, lambda event: self._hear(manifest, event))
        job.is_ordered = False
        job.progress = progress
        context.tell(name, CycleBegan())
        cycle = Cycle(
            job=job,
            held=held,
            progress=progress,
            clock=context.clock,
            run_policy=RunPolicy(
                skips_recent_failures=True,
                waits_for_room=True,
                waits_for_listing=True,
                outage_seconds=context.pace.outage_seconds,
                admit=self._pause.pass_through,
                gives_way=lambda archives_out: self._can_others_work(job, archives_out),
            ),
            openers=context.openers,
        )
        try:
            with structlog.contextvars.bound_contextvars(library=str(self.directory)):
                outcome = await cycle.run()
        finally:
            job.progress = None
        await self._settle(job, manifest, outcome, held.store)

    def _can_others_work(self, job: ManifestJob, archives_out: frozenset[str]) -> bool:
        """Whether another manifest is due that needs none of the archives of `job` with these names."""
        if not archives_out:
            # which of several archives is out is known only after a probe
            return False
        out = {address.base_url for address in job.manifest.archives if address.name in archives_out}
        others = [other for other in self._jobs.values() if other is not job and self.is_due(other)]
        return any(out.isdisjoint(address.base_url for address in other.manifest.archives) for other in others)

    async def _settle(self, job: ManifestJob, manifest: Manifest, outcome: CycleOutcome, store: Store) -> None:
        """Remember how a cycle ended, and when the next one begins."""
        note, report = outcome.note, outcome.report
        if isinstance(outcome.error, ArchiveError):
            out = [address for address in manifest.archives if address.name in outcome.archives_out]
            self._context.archives.failed(out or manifest.archives, note.ended_at, outcome.error)
        job.last = self._notes[job.name] = note
        if job.manifest is manifest:
            job.setback = job.setback.after(report, outcome.error)
            job.due_at = self._next_due_at(manifest, note, job.setback)
            log_retry(job)
        self._context.tell(
            job.name,
            CycleEnded(
                summary=summary_of(note),
                completed=report.completed,
                failed=report.tally.failed,
                received_bytes=report.received_bytes,
            ),
        )
        # runs note how they ended, but for those that could not begin or could not go on
        await store.note_cycle(job.name, note)
        tally = await store.tally()
        if not tally.pending + tally.claimed:
            self._queued_since_at = self._context.clock.now()

    def _hear(self, manifest: Manifest, event: ServiceEvent) -> None:
        archives = self._context.archives
        if isinstance(event, CatalogueResolved):
            archives.reached(manifest.archives, self._context.clock.now())
        elif isinstance(event, SeriesCompleted) and event.downloaded:
            answered = [address for address in manifest.archives if address.name == event.receipt.archive]
            archives.reached(answered, self._context.clock.now())
        self._context.tell(manifest.name, event)

    def _next_due_at(self, manifest: Manifest, last: CycleNote | None, setback: Setback) -> datetime:
        now, schedule = self._context.clock.now(), manifest.schedule
        # a cycle that was interrupted is made up for
        began_at = None if last is None or last.outcome == Outcome.INTERRUPTED else last.began_at
        scheduled_at = next_run_at(schedule, began_at, now, self._context.zone)
        if last is None or not setback.failed_cycles:
            return scheduled_at
        # a wall clock that was set back must not lengthen the pause
        ended_at = min(last.ended_at, now)
        return min(scheduled_at, retry_at(schedule, ended_at, setback.failed_cycles, needs_person=bool(setback.needs)))
