"""The service: manifests of a folder, a worker for each library, and whatever runs beside them, in one task group."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup, TaskStatus

from downloader import __version__
from downloader.clock import Clock
from downloader.concurrency import collect, task_group
from downloader.config.messages import suggest
from downloader.config.options import RunOptions
from downloader.engine.state_store import state_path
from downloader.errors import ArchiveUnreachableError, OrderError, SettingsError
from downloader.library.model import CHANGES, RUNS
from downloader.manifest import Manifest
from downloader.service.archive_watch import ArchiveWatch
from downloader.service.cycle import Openers
from downloader.service.library_pages import group_failures, page_records, page_series, tell_manifest
from downloader.service.library_worker import LibraryWorker, ServiceContext, ServicePace
from downloader.service.live import LiveFeed, LiveSubscription
from downloader.service.manifest_folder import FolderView, ManifestFolder, log_changes
from downloader.service.port import (
    LibraryOrder,
    LiveKind,
    ManifestStatus,
    Observer,
    RecordPage,
    RunProgress,
    SeriesFilter,
    SeriesPage,
    ServedFailureGroup,
    ServiceEvent,
    ServicePart,
    ServiceStatus,
)
from downloader.service.supervision import Supervision
from downloader.service.waiting import AutoResetEvent

_log = structlog.get_logger(__name__)
_OUT_OF_REACH = ArchiveUnreachableError("the archive does not respond; it is probed at intervals")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What a service is made of.

    Attributes:
        folder: where the manifests are.
        decide: the options of a manifest, from flags, environment and the manifest itself; raises SettingsError.
        observers: receive every event, such as metrics.
    """

    folder: Path
    decide: Callable[[Manifest], RunOptions]
    clock: Clock
    zone: tzinfo
    pace: ServicePace = field(default_factory=ServicePace)
    openers: Openers = field(default_factory=Openers)
    observers: Sequence[Observer] = ()


class MirrorService:
    """Implements `Service`. Runs until it is drained, cancelled, or a part of it dies."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._clock = settings.clock
        self._started_at = self._beat_at = settings.clock.now()
        self._folder = ManifestFolder(settings.folder)
        self._view = FolderView()
        self._problems: dict[Path, str] = {}
        self._workers: dict[tuple[Path, Path], LibraryWorker] = {}
        self._archives = ArchiveWatch()
        self._feed = LiveFeed(settings.clock)
        self._supervision = Supervision()
        self._look_again = AutoResetEvent()
        self._looking = anyio.Lock()
        self._is_thorough = False
        self._is_draining = False
        self._is_paused = False
        self._drained = anyio.Event()
        self._group: TaskGroup | None = None
        self._context = ServiceContext(
            clock=settings.clock,
            zone=settings.zone,
            pace=settings.pace,
            openers=settings.openers,
            archives=self._archives,
            tell=self._tell,
        )

    async def run(self, parts: Sequence[ServicePart] = (), *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve, with these parts beside, until `drain` is done.

        Raises:
            SettingsError: there is no such folder.
            LibraryError, StoreError: at the start: a library cannot be used.
            PartDiedError, TciadError: a part died.
        """
        await self._expect_folder()
        async with task_group() as group:
            self._group = group
            async with self._looking:
                await self._look(at_start=True)
            self._is_paused = bool(self._workers) and all(worker.is_paused for worker in self._workers.values())
            self._start_part("heartbeat", self._beat)
            self._start_part("manifest folder", self._watch)
            for part in parts:
                self._start_part(part.name, partial(part.run, self))
            _log.info("service started", folder=str(self._settings.folder), manifests=len(self._view.files))
            task_status.started()
            await self._drained.wait()
            group.cancel_scope.cancel()
        _log.info("service ended")

    async def drain(self, grace_seconds: float) -> None:
        """Begin nothing more, let what is in flight end, for so long; set back what has not ended then; end the service."""
        _log.info("service draining", grace_seconds=grace_seconds)
        self._is_draining = True
        async with anyio.create_task_group() as group:

            async def stop_after_grace() -> None:
                await self._clock.sleep(grace_seconds)
                _log.warning("grace period ended, series in flight set back", grace_seconds=grace_seconds)
                for worker in self._workers.values():
                    worker.interrupt()

            # before anything is waited for: a look at a slow folder must not add to the grace
            group.start_soon(stop_after_grace)
            self._drain_workers()
            async with self._looking:
                # those that the look has opened meanwhile
                self._drain_workers()
            for worker in self._workers.values():
                await worker.ended.wait()
            group.cancel_scope.cancel()
        self._drained.set()

    def _drain_workers(self) -> None:
        for worker in self._workers.values():
            worker.drain()

    def reload(self) -> None:
        """Look at every manifest again, now."""
        self._is_thorough = True
        self._look_again.set()

    # what the port says

    def beat_at(self) -> datetime:
        """See the port."""
        return self._beat_at

    def progress(self) -> Mapping[str, RunProgress]:
        """See the port."""
        return {
            job.name: job.progress.now(job.run.pressure if job.run else None)
            for worker in self._workers.values()
            for job in worker.jobs
            if job.progress
        }

    async def status(self) -> ServiceStatus:
        """See the port."""
        workers = self._sorted_workers()
        self._note_outages()
        return ServiceStatus(
            version=__version__,
            told_at=self._clock.now(),
            started_at=self._started_at,
            beat_at=self._beat_at,
            paused=self._is_paused,
            draining=self._is_draining,
            folder=str(self._settings.folder),
            folder_problem=self._view.problem,
            parts=self._supervision.statuses(),
            libraries=tuple(await collect(LibraryWorker.status, workers)),
            archives=self._archives.statuses(),
        )

    async def problems(self) -> Sequence[str]:
        """See the port."""
        workers = self._sorted_workers()
        problems = await collect(LibraryWorker.problem, workers)
        told = [f"{worker.directory}: {problem}" for worker, problem in zip(workers, problems, strict=True) if problem]
        return [*told, "the service is draining"] if self._is_draining else told

    async def manifests(self) -> Sequence[ManifestStatus]:
        """See the port."""
        told = [
            await tell_manifest(file, file.problem or self._problems.get(file.path, ""), self._worker_of(file.name))
            for file in self._view.files
        ]
        return sorted(told, key=lambda status: status.name)

    async def series(self, wanted: SeriesFilter, *, after: str | None = None, limit: int = 100) -> SeriesPage:
        """See the port."""
        workers: Sequence[LibraryWorker] = self._sorted_workers()
        if wanted.manifest is not None:
            workers = [self._require(wanted.manifest)]
        return await page_series(workers, wanted, after, limit)

    async def failure_groups(self, manifest: str | None = None) -> Sequence[ServedFailureGroup]:
        """See the port."""
        workers = self._sorted_workers() if manifest is None else [self._require(manifest)]
        return await group_failures(workers, manifest)

    async def runs(self, manifest: str | None = None, *, before: str | None = None, limit: int = 20) -> RecordPage:
        """See the port."""
        return await page_records(self._directories(manifest), RUNS, manifest, before, limit)

    async def changes(self, manifest: str | None = None, *, before: str | None = None, limit: int = 20) -> RecordPage:
        """See the port."""
        return await page_records(self._directories(manifest), CHANGES, manifest, before, limit)

    def subscribe(self) -> AbstractContextManager[LiveSubscription]:
        """See the port."""
        return self._feed.subscribe()

    async def start(self, manifest: str) -> None:
        """See the port."""
        worker = self._require(manifest)
        _log.info("cycle ordered", manifest=manifest)
        worker.order(manifest)

    async def pause(self) -> Sequence[LibraryOrder]:
        """See the port."""
        self._is_paused = True
        orders = [await worker.pause() for worker in self._sorted_workers()]
        _log.info("paused")
        self._feed.publish(LiveKind.PAUSED)
        return orders

    async def resume(self) -> Sequence[LibraryOrder]:
        """See the port."""
        self._is_paused = False
        orders = [await worker.resume() for worker in self._sorted_workers()]
        _log.info("resumed")
        self._feed.publish(LiveKind.RESUMED)
        return orders

    async def retry(
        self,
        *,
        manifest: str | None = None,
        series_instance_uid: str | None = None,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        """See the port."""
        workers = self._sorted_workers() if manifest is None else [self._require(manifest)]
        retried = 0
        for worker in workers:
            retried += await worker.retry(manifest, series_instance_uid, collection=collection, error=error)
        if series_instance_uid is not None and not retried:
            raise OrderError(f"series {series_instance_uid} has not failed", next_step="list failed series with `tciad failures`")
        return retried

    # what goes on

    async def _expect_folder(self) -> None:
        folder = anyio.Path(self._settings.folder)
        try:
            is_folder = await folder.is_dir()
        except OSError as error:
            raise SettingsError(
                f"{folder} cannot be read: {error.strerror}", next_step="give this user the right to read it"
            ) from error
        if not is_folder:
            raise SettingsError(f"{folder} is not a folder", next_step="name the folder with the manifests")

    def _start_part(self, name: str, work: Callable[[], Awaitable[None]], *, may_end: bool = False) -> None:
        if self._group is not None:
            self._group.start_soon(partial(self._supervision.keep_alive, name, work, may_end=may_end))

    async def _beat(self) -> None:
        while True:
            self._beat_at = self._clock.now()
            await self._clock.sleep(self._settings.pace.beat_seconds)

    async def _watch(self) -> None:
        while True:
            await self._look_again.wait(self._clock, self._settings.pace.look_seconds)
            async with self._looking:
                if not self._is_draining:
                    await self._look()

    async def _look(self, *, at_start: bool = False) -> None:
        """Read the folder, and work by what it says now."""
        look = partial(self._folder.look, thoroughly=self._is_thorough)
        self._is_thorough = False
        before, problems_before = self._view, self._problems
        self._view = await anyio.to_thread.run_sync(look)
        self._workers = {place: worker for place, worker in self._workers.items() if not worker.ended.is_set()}
        problems: dict[Path, str] = {}
        opened: list[LibraryWorker] = []
        for file in self._view.files:
            if file.manifest is None:
                continue
            try:
                await self._put(file.manifest, opened)
            except SettingsError as error:
                problems[file.path] = str(error)
        self._problems = problems
        self._drop_removed()
        self._archives.know(
            address for worker in self._workers.values() for job in worker.jobs for address in job.manifest.archives
        )
        if (before, problems_before) != (self._view, problems):
            log_changes(before, self._view, problems_before, problems)
            self._feed.publish(LiveKind.MANIFESTS_CHANGED)
        await self._open(opened, at_start=at_start)

    async def _put(self, manifest: Manifest, opened: list[LibraryWorker]) -> None:
        """Give the manifest to the worker of its library; one that it makes is added to `opened`.

        Raises:
            SettingsError: the manifest cannot be worked by; an older one of its name stays in force.
        """
        options = await anyio.to_thread.run_sync(self._settings.decide, manifest)
        place = (options.output.absolute(), state_path(options).absolute())
        for directory, store in self._workers:
            if store == place[1] and directory != place[0]:
                raise SettingsError(
                    f"{manifest.path}: the state store {store} belongs to the library {directory}, and a store has one library",
                    next_step="leave out --state, or serve one library",
                )
        worker = self._worker_of(manifest.name)
        if worker is not None and worker is not self._workers.get(place):
            worker.drop(manifest.name)
        if place not in self._workers:
            self._workers[place] = LibraryWorker(options, self._context)
            opened.append(self._workers[place])
        self._workers[place].put(manifest, options)

    def _drop_removed(self) -> None:
        """What has no file any more is worked by no more."""
        names = {file.name for file in self._view.files}
        for worker in self._workers.values():
            for name in [job.name for job in worker.jobs if job.name not in names]:
                worker.drop(name)

    async def _open(self, workers: Sequence[LibraryWorker], *, at_start: bool) -> None:
        for worker in workers:
            run = partial(worker.run, at_start=at_start)
            self._start_part(f"library {worker.directory}", run, may_end=True)
        if at_start:
            for worker in workers:
                await worker.opened.wait()
        elif self._is_paused:
            for worker in workers:
                await worker.pause()

    def _tell(self, manifest: str, event: ServiceEvent) -> None:
        for observer in self._settings.observers:
            observer.take(manifest, event)
        self._feed.tell(manifest, event)

    def _note_outages(self) -> None:
        """An archive that a running cycle probes in vain is out of reach now, whatever it was before."""
        for worker in self._workers.values():
            for job in worker.jobs:
                pressure = job.run.pressure if job.run else None
                if pressure and pressure.archives_out:
                    out = [address for address in job.manifest.archives if address.name in pressure.archives_out]
                    self._archives.failed(out, self._clock.now(), _OUT_OF_REACH, since_at=pressure.out_since_at)

    def _sorted_workers(self) -> list[LibraryWorker]:
        return sorted(self._workers.values(), key=lambda worker: str(worker.directory))

    def _worker_of(self, manifest: str) -> LibraryWorker | None:
        return next((worker for worker in self._workers.values() if worker.job(manifest)), None)

    def _require(self, manifest: str) -> LibraryWorker:
        worker = self._worker_of(manifest)
        if worker is None:
            names = sorted(job.name for known in self._workers.values() for job in known.jobs)
            raise OrderError(f"no manifest {manifest!r} is active{suggest(manifest, names)}")
        return worker

    def _directories(self, manifest: str | None) -> list[Path]:
        workers = self._sorted_workers() if manifest is None else [self._require(manifest)]
        return [worker.directory for worker in workers]
