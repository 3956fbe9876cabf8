"""What becomes of series that the archive has withdrawn, once their grace is over."""

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
    """What removing withdrawn series asks of the store, and tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedSeries:
    """A withdrawn series whose folder is no longer in its place. `quarantine` is where it lies now; empty when it is deleted."""

    series_instance_uid: str
    folder: str
    quarantine: str = ""


async def remove_withdrawn(
    manifest: Manifest, store: WithdrawalStore, contexts: Mapping[str, AttemptContext], warn: Callable[[str], None]
) -> AsyncIterator[RemovedSeries]:
    """Move aside or delete withdrawn series whose grace is over, one after another.

    Every manifest of the store that ever wanted a series has a say: the most careful policy and the longest grace count. So it
    does not matter which of them runs first, or last. Before a series is deleted its archive is asked for it once more; one that
    is listed again, or whose archive cannot be asked, stays.

    The change is written down, then the folder goes, then the store is told: a kill between is made good by the next start. A
    folder that is not, or not surely, that of the series stays, with a warning in the log.

    Args:
        manifest: the one whose run this is.
        store: where the series are known.
        contexts: one for each archive of the manifest, by name.
        warn: takes a sentence for each archive whose series stay.

    Raises:
        StoreError: the store cannot be used.
    """
    if manifest.withdrawn is WithdrawnPolicy.KEEP:
        return
    any_context = next(iter(contexts.values()))
    now = any_context.clock.now()
    last_question = _LastQuestion(store, contexts, warn)
    async for withdrawn in store.find_withdrawn(manifest.name):
        row, rule = withdrawn.stored, withdrawn.rule
        grace_over_at = now - timedelta(seconds=rule.grace_seconds)
        if rule.policy is WithdrawnPolicy.KEEP or row.withdrawn_at is None or row.withdrawn_at > grace_over_at:
            continue
        if rule.policy is WithdrawnPolicy.DELETE and not await last_question.is_gone(row):
            continue
        try:
            removed = await _remove(row, rule.policy, now, store, any_context)
        except LibraryError as error:
            _log.warning("withdrawn series stays in its place", manifest=manifest.name, message=str(error))
            continue
        yield removed
    last_question.warn()


class _LastQuestion:
    """Asks for a series once more before it is deleted: for its own row, and for the list of its study.

    An archive that cannot be asked, or answers with nothing for series that it has, is not asked again in the same run.
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
        """Whether every question denies the series."""
        context = self._contexts.get(row.archive)
        if context is None:
            self._silent.setdefault(row.archive, f"this manifest does not ask {row.archive}")
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
        """Warn of series that stay, and why."""
        if self._listed_again:
            self._warn(
                f"{len(self._listed_again)} withdrawn series are listed again and were not deleted, such as "
                f"{self._listed_again[0]}; run again to take them up"
            )
        if self._left:
            self._warn(
                f"{self._left} withdrawn series were not deleted, since their archive could not be asked for them once more "
                f"({'; '.join(self._silent.values())})"
            )

        if self._without_study:
            self._warn(
                f"{self._without_study} withdrawn series were not deleted, since their catalogue rows named no study: "
                "the list of the study cannot be asked for"
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
        """Some series that the archive is known to have: complete ones of the library."""
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
    """Take the folder out of the tree, and tell the store. Raises LibraryError, StoreError."""
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
