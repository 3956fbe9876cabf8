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
    The change is written down, then the folder goes, then the store is told: a kill between is made good by the next start. A
    folder that is not, or not surely, that of the series stays, with a warning in the log.

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
            removed = await _remove(row, rule.policy, now, store, bench)
        except LibraryError as error:
            _log.warning("withdrawn series stays in its place", manifest=manifest.name, message=str(error))
            continue
        yield removed


async def _remove(row: StoredSeries, policy: WithdrawnPolicy, at: datetime, store: Store, bench: Bench) -> RemovedSeries:
    """Take the folder out of the tree, and tell the store. Raises LibraryError, StoreError."""
    uid, folder, changes = row.series.series_instance_uid, PurePosixPath(row.folder), bench.library.changes
    if not await bench.in_thread(bench.library.holds, folder, uid):
        await store.forget_folder(uid)
        return RemovedSeries(series_instance_uid=uid, folder=row.folder)
    if policy is WithdrawnPolicy.DELETE:
        change = changes.plan_deletion(folder, uid)
    else:
        change = await bench.in_thread(changes.plan_quarantine, folder, uid, f"withdrawn-{uid}", at)
    record = await bench.in_thread(changes.begin, [change])
    await bench.in_thread(changes.carry_out, change)
    await store.forget_folder(uid)
    await bench.in_thread(changes.end, record)
    quarantine = str(change.targets[0]) if policy is WithdrawnPolicy.QUARANTINE else ""
    return RemovedSeries(series_instance_uid=uid, folder=row.folder, quarantine=quarantine)
