"""Answers to questions about several libraries at once: pages of series and of records, and how manifests stand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from downloader.engine.library_state import library_state
from downloader.errors import OrderError
from downloader.model import SeriesTally
from downloader.service.cycle import ManifestJob, summary_of
from downloader.service.library_worker import LibraryWorker
from downloader.service.manifest_folder import ManifestFile
from downloader.service.port import (
    MOST_ROWS,
    ManifestState,
    ManifestStatus,
    RecordPage,
    SeriesFilter,
    SeriesPage,
    ServedFailureGroup,
    ServedSeries,
)
from downloader.service.schedule import describe_schedule


async def page_series(workers: Sequence[LibraryWorker], wanted: SeriesFilter, after: str | None, limit: int) -> SeriesPage:
    """Series of the libraries one after another, in the order of their folders; `after` is `<key>:<library>`.

    Raises:
        OrderError: `after` is not the end of a page.
    """
    limit = max(1, min(limit, MOST_ROWS))
    key, directory = _parse_after(after)
    found: list[ServedSeries] = []
    for worker in sorted(workers, key=lambda worker: str(worker.directory)):
        name = str(worker.directory)
        if name < directory or worker.store is None:
            continue
        page = await worker.store.find_page(wanted, after=key if name == directory else 0, limit=limit - len(found))
        found += [ServedSeries(library=name, stored=row) for row in page.rows]
        if page.next_after is not None:
            return SeriesPage(series=tuple(found), next_after=f"{page.next_after}:{name}")
        if len(found) >= limit:
            return SeriesPage(series=tuple(found), next_after=f"{_END_OF_LIBRARY}:{name}")
    return SeriesPage(series=tuple(found), next_after=None)


_END_OF_LIBRARY: Final = 2**62


def _parse_after(after: str | None) -> tuple[int, str]:
    if after is None:
        return 0, ""
    key, _, directory = after.partition(":")
    if not (key.isascii() and key.isdigit() and len(key) < 20 and int(key) <= _END_OF_LIBRARY and directory):
        raise OrderError(f"{after!r} is not the end of a page", next_step="use next_after of the previous page")
    return int(key), directory


async def group_failures(workers: Sequence[LibraryWorker], manifest: str | None) -> Sequence[ServedFailureGroup]:
    """The failed series of all libraries by error and collection, the largest groups first.

    Raises:
        StoreError: a store cannot be asked.
    """
    groups = [
        ServedFailureGroup(library=str(worker.directory), group=group)
        for worker in workers
        if worker.store is not None
        for group in await worker.store.failure_groups(manifest)
    ]
    return sorted(groups, key=lambda served: -served.group.series)


async def page_records(
    directories: Sequence[Path], kind: str, manifest: str | None, before: str | None, limit: int
) -> RecordPage:
    """Records of all libraries together, newest first.

    Raises:
        LibraryError: they cannot be read.
    """
    limit = max(1, min(limit, MOST_ROWS))
    found = []
    for directory in directories:
        records = await library_state(directory).read_records(kind, manifest=manifest, before=before, limit=limit + 1)
        found += [(record, directory) for record in records]
    found.sort(key=lambda pair: pair[0].name, reverse=True)
    shown = found[:limit]
    return RecordPage(
        records=tuple({"name": record.name, "library": str(directory), **record.document} for record, directory in shown),
        next_before=shown[-1][0].name if len(found) > limit else None,
    )


async def tell_manifest(file: ManifestFile, problem: str, worker: LibraryWorker | None) -> ManifestStatus:
    """How the manifest of a file stands; `problem` is what is wrong with the file."""
    job = worker.job(file.name) if worker else None
    if worker is None or job is None:
        return ManifestStatus(
            name=file.name,
            file=str(file.path),
            problem=problem,
            in_force=False,
            state=ManifestState.BROKEN,
            archive="",
            library="",
            schedule="",
            next_run_at=None,
            last_cycle=None,
            last_success_at=None,
            tally=SeriesTally(),
            progress=None,
        )
    return ManifestStatus(
        name=file.name,
        file=str(file.path),
        problem=problem,
        in_force=True,
        state=_state_of(job, worker),
        archive=", ".join(address.name for address in job.manifest.archives),
        library=str(worker.directory),
        schedule=describe_schedule(job.manifest.schedule),
        next_run_at=None if job.is_running else job.due_at,
        last_cycle=summary_of(job.last) if job.last else None,
        last_success_at=job.last.succeeded_at if job.last else None,
        tally=await worker.store.tally(job.name) if worker.store else SeriesTally(),
        progress=job.progress.now(job.run.pressure if job.run else None) if job.progress else None,
        concurrency_ceiling=job.options.concurrency,
        bandwidth_bytes_per_second=job.options.bandwidth.rate_at(worker.local_time()),
        failed_cycles=job.setback.failed_cycles,
        needs_attention=job.setback.needs,
    )


def _state_of(job: ManifestJob, worker: LibraryWorker) -> ManifestState:
    if worker.is_paused:
        return ManifestState.PAUSED
    if job.is_running:
        return ManifestState.RUNNING
    return ManifestState.WAITING if worker.is_due(job) else ManifestState.IDLE
