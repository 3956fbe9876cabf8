"""Removes or quarantines series that the archive has withdrawn, after their grace period."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Protocol

import structlog

from downloader.errors import ArchiveError, LibraryError, TransferError
from downloader.fetching.context import AttemptContext
from downloader.manifest import Manifest, WithdrawnPolicy
from downloader.model import Series, SeriesQuery, SeriesState
from downloader.resolving.own_rows import CONTROLS, ask_own_rows
from downloader.store.port import Corrections, FolderIndex, Inventory
from downloader.store.records import StoredSeries

_log = structlog.get_logger(__name__)


class WithdrawalStore(Inventory, FolderIndex, Corrections, Protocol):
    """The part of the store that removing withdrawn series uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedSeries:
    """A withdrawn series that was removed from its folder. `quarantine` is its new path; empty if it was deleted."""

    series_instance_uid: str
    folder: str
    quarantine: str = ""


async def remove_withdrawn(
    manifest: Manifest, store: WithdrawalStore, contexts: Mapping[str, AttemptContext], warn: Callable[[str], None]
) -> AsyncIterator[RemovedSeries]:
    """Quarantine or delete withdrawn series whose grace period is over, one after another.

    All manifests of the store that ever wanted a series count: the most careful policy and the longest grace period apply. So the
    order in which they run does not matter. Before a series is deleted, its archive is queried once more; the series stays if it
    is listed again or the archive does not answer.

    The change is recorded, then the folder is removed, then the store is updated: after a kill, the next start finishes this. A
    folder that is not certainly that of the series stays, with a warning in the log.

    Args:
        manifest: the manifest of this run.
        store: the store with the series.
        contexts: one context per archive of the manifest, by name.
        warn: called with a warning about series that stay.

    Raises:
        StoreError: the store cannot be used.
    """
    if manifest.withdrawn is WithdrawnPolicy.KEEP:
        return
    any_context = next(iter(contexts.values()))
    now = any_context.clock.now()
    deletion_check = _DeletionCheck(store, contexts, warn)
    async for withdrawn in store.find_withdrawn(manifest.name):
        row, rule = withdrawn.stored, withdrawn.rule
        grace_over_at = now - timedelta(seconds=rule.grace_seconds)
        if rule.policy is WithdrawnPolicy.KEEP or row.withdrawn_at is None or row.withdrawn_at > grace_over_at:
            continue
        if rule.policy is WithdrawnPolicy.DELETE and not await deletion_check.is_gone(row):
            continue
        try:
            removed = await _remove(row, rule.policy, now, store, any_context)
        except LibraryError as error:
            _log.warning("withdrawn series not removed", manifest=manifest.name, message=str(error))
            continue
        yield removed
    deletion_check.warn()


class _DeletionCheck:
    """Queries the archive once more before a series is deleted: for the single series, and for the list of its study.

    An archive that does not answer, or returns nothing for series that it has, is not queried again in the same run.
    """

    def __init__(self, store: WithdrawalStore, contexts: Mapping[str, AttemptContext], warn: Callable[[str], None]) -> None:
        self._store = store
        self._contexts = contexts
        self._warn = warn
        self._controls: dict[str, list[Series]] = {}
        self._silent: dict[str, str] = {}
        self._listed_again: list[str] = []
        self._left = 0
        self._without_study = 0

    async def is_gone(self, row: StoredSeries) -> bool:
        """Whether neither query finds the series."""
        context = self._contexts.get(row.archive)
        if context is None:
            self._silent.setdefault(row.archive, f"this manifest does not use {row.archive}")
        if context is None or row.archive in self._silent:
            self._left += 1
            return False
        if not row.series.study_instance_uid:
            self._without_study += 1
            return False
        try:
            listed = await self._is_listed(row.series, context)
        except (ArchiveError, TransferError) as error:
            self._silent[row.archive] = str(error)
            self._left += 1
            return False
        if listed:
            self._listed_again.append(row.series.series_instance_uid)
        return not listed

    def warn(self) -> None:
        """Report which series stay, and why."""
        if self._listed_again:
            self._warn(
                f"{len(self._listed_again)} withdrawn series are listed again and were not deleted, such as "
                f"{self._listed_again[0]}; run again to include them"
            )
        if self._left:
            self._warn(
                f"{self._left} withdrawn series were not deleted, because a second request to their archive failed "
                f"({'; '.join(self._silent.values())})"
            )

        if self._without_study:
            self._warn(
                f"{self._without_study} withdrawn series were not deleted, because their catalogue rows name no study: "
                "the list of the study cannot be requested"
            )

    async def _is_listed(self, series: Series, context: AttemptContext) -> bool:
        if await ask_own_rows([series], context.archive, await self._controls_of(context.archive.name)):
            return True
        query = SeriesQuery(study_instance_uid=series.study_instance_uid)
        async with aclosing(context.archive.find_series(query)) as rows:
            async for row in rows:
                if row.series_instance_uid == series.series_instance_uid:
                    return True
        return False

    async def _controls_of(self, archive: str) -> list[Series]:
        """A few series that the archive is known to have: complete ones of the library."""
        if archive not in self._controls:
            found = self._controls[archive] = []
            async for row in self._store.find(state=SeriesState.COMPLETE):
                if row.archive == archive:
                    found.append(row.series)
                if len(found) == CONTROLS:
                    break
        return self._controls[archive]


async def _remove(
    row: StoredSeries, policy: WithdrawnPolicy, at: datetime, store: WithdrawalStore, context: AttemptContext
) -> RemovedSeries:
    """Remove the folder from the tree, and update the store. Raises LibraryError, StoreError."""
    uid, folder, changes = row.series.series_instance_uid, PurePosixPath(row.folder), context.library.changes
    if not await context.library.reader.holds(folder, uid):
        await store.forget_folder(uid)
        return RemovedSeries(series_instance_uid=uid, folder=row.folder)
    if policy is WithdrawnPolicy.DELETE:
        change = await changes.plan_deletion(folder, uid)
    else:
        change = await changes.plan_quarantine(folder, uid, f"withdrawn-{uid}", at)
    record = await changes.begin([change])
    await changes.carry_out(change)
    await store.forget_folder(uid)
    await changes.end(record)
    quarantine = str(change.targets[0]) if policy is WithdrawnPolicy.QUARANTINE else ""
    return RemovedSeries(series_instance_uid=uid, folder=row.folder, quarantine=quarantine)
