"""What becomes of series that the archive has withdrawn, once their grace is over."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

import structlog

from downloader.bench import Bench
from downloader.errors import LibraryError
from downloader.manifest import Manifest, WithdrawnPolicy
from downloader.store.port import Store, StoredSeries

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedSeries:
    """A withdrawn series whose folder is no longer in its place. `quarantine` is where it lies now; empty when it is deleted."""

    series_instance_uid: str
    folder: str
    quarantine: str = ""


async def remove_withdrawn(manifest: Manifest, store: Store, bench: Bench) -> AsyncIterator[RemovedSeries]:
    """Move aside or delete withdrawn series whose grace is over, one after another.

    Every manifest of the store that ever wanted a series has a say: the most careful policy and the longest grace count. So it
    does not matter which of them runs first, or last.
    The folder goes first and the store is told after: who is killed between finds no folder the next time, and tells the store
    then. A folder that is not, or not surely, that of the series stays, with a warning in the log.

    Raises:
        StoreError: the store cannot be used.
    """
    if manifest.withdrawn is WithdrawnPolicy.KEEP:
        return
    now = bench.clock.now()
    async for withdrawn in store.find_withdrawn(manifest.name):
        row, rule = withdrawn.stored, withdrawn.rule
        grace_over_at = now - timedelta(seconds=rule.grace_seconds)
        if rule.policy is WithdrawnPolicy.KEEP or row.withdrawn_at is None or row.withdrawn_at > grace_over_at:
            continue
        try:
            removed = await _remove(row, rule.policy, now, bench)
        except LibraryError as error:
            _log.warning("withdrawn series stays in its place", manifest=manifest.name, message=str(error))
            continue
        await store.forget_folder(row.series.series_instance_uid)
        yield removed


async def _remove(row: StoredSeries, policy: WithdrawnPolicy, at: datetime, bench: Bench) -> RemovedSeries:
    """Take the folder out of the tree. Raises LibraryError."""
    series_instance_uid, folder = row.series.series_instance_uid, PurePosixPath(row.folder)
    if not await bench.in_thread(bench.library.holds, folder, series_instance_uid):
        return RemovedSeries(series_instance_uid=series_instance_uid, folder=row.folder)
    if policy is WithdrawnPolicy.DELETE:
        await bench.in_thread(bench.library.remove, folder)
        return RemovedSeries(series_instance_uid=series_instance_uid, folder=row.folder)
    moved = await bench.in_thread(bench.library.quarantine, folder, f"withdrawn-{series_instance_uid}", at)
    return RemovedSeries(series_instance_uid=series_instance_uid, folder=row.folder, quarantine=str(moved))
