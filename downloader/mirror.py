"""One run of one manifest over one library: resolve, fetch, report."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import anyio
import anyio.to_thread
import structlog

from downloader.archive.port import Archive
from downloader.clock import Clock
from downloader.errors import LibraryError, NoSpaceError
from downloader.fetch import Bench
from downloader.inventory import write_metadata
from downloader.library.port import Library
from downloader.manifest import Manifest
from downloader.model import Event, Series, SeriesCompleted, SeriesFailed, SeriesSetBack, SeriesTally
from downloader.options import RunOptions
from downloader.pacing import RetryPace
from downloader.quantities import format_size
from downloader.resolver import Resolver
from downloader.scheduler import Scheduler, SchedulerPolicy
from downloader.store.port import Store
from downloader.views.counter import RunCounter
from downloader.views.progress import ProgressView
from downloader.views.report import Outcome, RunReport, judge
from downloader.views.texts import duration_text
from downloader.workers import first_of_ours

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a run is made of. `draw` gives random numbers in [0, 1); `keep_record` keeps the report of a run with the library."""

    resolver: Resolver
    library: Library
    store: Store
    clock: Clock
    draw: Callable[[], float]
    options: RunOptions
    bench: Bench
    keep_record: Callable[[datetime, Mapping[str, Any]], Awaitable[object]]

    @property
    def archive(self) -> Archive:
        """The archive that the manifest names."""
        return self.bench.archive


class MirrorRun:
    """One run of one manifest. Whatever ends it, `report_*` can tell how far it came."""

    def __init__(self, manifest: Manifest, parts: Parts, progress: ProgressView) -> None:
        self._manifest = manifest
        self._parts = parts
        self._progress = progress
        self._counter = RunCounter()
        self._began = parts.clock.monotonic()
        self._started_at = parts.clock.now()
        self._warnings: list[str] = []
        self._unproven = False

    async def run(self) -> RunReport:
        """Resolve, fetch until nothing is pending, and report.

        Raises:
            TciadError: the run could not go on: the archive, the library or the store cannot be used.
        """
        await self._until_deadline(self._mirror)
        await self._write_metadata()
        return await self._keep(await self._judge())

    async def _mirror(self) -> None:
        await self._resolve()
        tally = await self._parts.store.tally(self._manifest.name)
        await self._check_room(tally)
        self._progress.begin(self._manifest.name, tally)
        await self._scheduler().drain(self._manifest.name)

    async def _until_deadline(self, work: Callable[[], Awaitable[None]]) -> None:
        """Await `work()`, cancelling it when the run's time is over: what is in flight is set back, as at an interruption."""
        deadline_seconds = self._parts.options.deadline_seconds
        if deadline_seconds is None:
            await work()
            return
        is_over = False

        async def expire() -> None:
            nonlocal is_over
            await self._parts.clock.sleep(deadline_seconds)
            is_over = True
            group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(expire)
                await work()
                group.cancel_scope.cancel()
        except BaseExceptionGroup as error:
            raise first_of_ours(error) from error
        if is_over:
            # resolving may have been cut short as well, so what looks complete need not be
            self._unproven = True
            self._warnings.append(f"the deadline of {duration_text(deadline_seconds)} has passed; run again to go on")

    async def report_ended(self, outcome: Outcome, exit_code: int, error: str = "") -> RunReport:
        """How far a run came that did not come to its end."""
        report = replace(await self._judge(), outcome=outcome, exit_code=exit_code, error=error)
        try:
            return await self._keep(report)
        except LibraryError as unwritten:
            # the library is what failed, so that its record cannot be kept is no news
            _log.warning("no record of the run was kept", manifest=self._manifest.name, message=str(unwritten))
            return report

    async def _keep(self, report: RunReport) -> RunReport:
        await self._parts.keep_record(self._started_at, report.as_json())
        return report

    async def _resolve(self) -> None:
        parts, manifest = self._parts, self._manifest
        number = await parts.store.begin_resolve(manifest.name, parts.clock.now())

        new = 0

        async def enqueue(batch: Sequence[Series]) -> None:
            nonlocal new
            new += (await parts.store.enqueue(manifest.name, number, parts.archive.name, batch)).new

        resolution = await parts.resolver.resolve(manifest, enqueue)
        new += await parts.store.enqueue_unlisted(manifest.name, number, parts.archive.name, resolution.unlisted)
        self._warnings += resolution.warnings
        await self._withdraw(number, new)

    async def _withdraw(self, number: int, new: int) -> None:
        """Mark what the archive no longer lists, unless so much is gone that the catalogue itself is in doubt."""
        store, name = self._parts.store, self._manifest.name
        await store.drop_unwanted(name, number, self._manifest.wants)
        vanished = await store.count_vanished(name, number)
        if not vanished:
            return
        before = (await store.tally(name)).selected - new
        if vanished > before * self._parts.options.max_shrink_percent / 100:
            self._unproven = True
            self._warnings.append(
                f"the archive no longer lists {vanished} of {before} series; that is more than max_shrink allows "
                f"({self._parts.options.max_shrink_percent:g}%), so none was marked as withdrawn. "
                "If it is right, run again with --max-shrink 100%"
            )
            return
        withdrawn = await store.withdraw_vanished(name, number)
        _log.info("withdrawn", manifest=name, series_count=len(withdrawn))

    async def _check_room(self, tally: SeriesTally) -> None:
        """Refuse to begin what cannot fit.

        Raises:
            NoSpaceError: the catalogue's sizes say so.
        """
        needed_bytes = max(0, tally.expected_bytes - tally.stored_bytes)
        free_bytes = await anyio.to_thread.run_sync(self._parts.library.free_bytes)
        if needed_bytes and needed_bytes + self._parts.options.min_free_bytes > free_bytes:
            raise NoSpaceError(
                f"{format_size(needed_bytes)} are to come, and {format_size(free_bytes)} are free, of which "
                f"{format_size(self._parts.options.min_free_bytes)} are to stay free",
                next_step="free some space, choose another --output, or narrow the manifest",
            )

    def _scheduler(self) -> Scheduler:
        parts = self._parts
        policy = SchedulerPolicy(
            concurrency=parts.options.concurrency,
            attempts=parts.options.attempts,
            order=parts.options.order,
            retry=RetryPace(),
        )
        return Scheduler(
            store=parts.store,
            bench=replace(parts.bench, listener=self._take),
            policy=policy,
            clock=parts.clock,
            draw=parts.draw,
            listener=self._take,
        )

    def _take(self, event: Event) -> None:
        self._counter.take(event)
        self._progress.take(event)
        _log_event(self._manifest.name, event)

    async def _write_metadata(self) -> None:
        """Bring metadata.csv up to date; left alone by a run that changed nothing."""
        if not self._counter.completed:
            return
        await write_metadata(self._parts.library, self._parts.store)

    async def _judge(self) -> RunReport:
        name = self._manifest.name
        return judge(
            manifest=name,
            tally=await self._parts.store.tally(name),
            counter=self._counter,
            failures=await self._parts.store.failures(name),
            elapsed_seconds=self._parts.clock.monotonic() - self._began,
            warnings=self._warnings,
            unproven=self._unproven,
        )


def _log_event(manifest: str, event: Event) -> None:
    """One line for each attempt that ended."""
    match event:
        case SeriesCompleted():
            _log.info(
                "complete",
                manifest=manifest,
                series_instance_uid=event.receipt.series.series_instance_uid,
                attempt=event.attempt,
                images=len(event.receipt.images),
                stored_bytes=event.receipt.stored_bytes,
                received_bytes=event.receipt.received_bytes if event.downloaded else 0,
                elapsed_seconds=round(event.elapsed_seconds, 3),
            )
        case SeriesSetBack():
            _log.warning(
                "set back",
                manifest=manifest,
                series_instance_uid=event.series_instance_uid,
                attempt=event.attempt,
                error=event.error,
                message=event.message,
                delay_seconds=round(event.delay_seconds, 1),
            )
        case SeriesFailed():
            _log.error("failed", manifest=manifest, **asdict(event.failure))
        case _:
            pass
