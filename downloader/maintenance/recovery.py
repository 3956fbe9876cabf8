"""Finishes or undoes the changes of a library that a killed process left unfinished, before anything else uses it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final, Protocol

import structlog

from downloader.errors import LibraryError
from downloader.library.changes import Change, ChangeKind, ChangeRecord, Finished
from downloader.library.port import LibraryParts
from downloader.model import Series, SeriesState, WithdrawalRule, WithdrawnPolicy
from downloader.store.port import Corrections, FolderIndex, Intake
from downloader.store.records import StoredSeries

REPAIR_PREFIX: Final = "verify --repair "
"""Prefix, before the archive's name, of the manifests of repairs in the store; kept until all their series are complete."""


class RecoveryStore(FolderIndex, Intake, Corrections, Protocol):
    """The part of the store that recovery uses."""


_log = structlog.get_logger(__name__)


async def finish_changes(library: LibraryParts, store: RecoveryStore | None, at: datetime) -> None:
    """Finish every change that was begun. The caller holds the library's lock.

    A change that cannot be finished now, for example because a folder is read-only, stays in its record for the next start;
    finished changes are removed from the record. The store is updated; it is None if it is about to be rebuilt from the tree.

    Raises:
        LibraryError: the records cannot be read or written.
        StoreError: the store cannot be used.
    """
    for record in await library.changes.unfinished():
        finished, left = await _finish_each(record, library)
        if store is not None:
            await _update_store(finished, library, store, at)
        if not left:
            await library.changes.end(record)
        elif finished:
            # finished changes must not be repeated: at the next start the folder may hold a series that a run has fetched
            await library.changes.keep(record, left)
        if finished:
            _log.info("interrupted library changes finished", record=record.name, changes=len(finished), left=len(left))


async def _finish_each(record: ChangeRecord, library: LibraryParts) -> tuple[Sequence[tuple[Change, Finished]], Sequence[Change]]:
    """Finish the changes that can be finished; returns them, and the changes that are left for the next start."""
    finished: list[tuple[Change, Finished]] = []
    left: list[Change] = []
    for change in record.changes:
        try:
            finished.append((change, await library.changes.finish(change)))
        except LibraryError as error:
            left.append(change)
            _log.warning("interrupted library change not finished", record=record.name, message=str(error))
    return finished, left


async def want_again(store: RecoveryStore, series: Series, archive: str, *, message: str, at: datetime, resolve: int = 0) -> int:
    """Add a series to the manifest of the repair, and mark it as incomplete in the store; returns the number of the resolve.

    The manifest is changed first: a kill between the steps leaves a series that the next verification finds again. `resolve` is
    the result of an earlier call for the same archive.
    """
    manifest = REPAIR_PREFIX + archive
    number = resolve
    if not number:
        # the policy of a repair has no effect: only the user's manifests decide about withdrawn series
        await store.note_withdrawal_rule(manifest, WithdrawalRule(policy=WithdrawnPolicy.DELETE))
        number = await store.begin_resolve(manifest, at)
    await store.enqueue(manifest, number, archive, [series])
    await store.reopen([series.series_instance_uid], message=message)
    return number


async def _update_store(
    finished: Sequence[tuple[Change, Finished]], library: LibraryParts, store: RecoveryStore, at: datetime
) -> None:
    named = await store.find_named([one.series_instance_uid for _, one in finished])
    rows = {row.series.series_instance_uid: row for row in named}
    relocated: list[tuple[str, str]] = []
    for change, one in finished:
        row = rows.get(one.series_instance_uid)
        if await _is_elsewhere(change, one, row, library):
            continue
        if one.is_gone:
            await store.forget_folder(one.series_instance_uid)
        elif one.is_doubted:
            await _want_doubted(change.folder, row, library, store, at)
        elif (
            one.lies_in is not None
            and change.kind is ChangeKind.QUARANTINE
            and (row is None or row.state is SeriesState.COMPLETE)
        ):
            receipt = await library.reader.receipt_in(one.lies_in)
            await store.restore([(receipt, str(one.lies_in))] if receipt is not None else [])
        elif one.lies_in is not None:
            relocated.append((one.series_instance_uid, str(one.lies_in)))
    if relocated:
        await store.relocate(relocated)


async def _is_elsewhere(change: Change, one: Finished, row: StoredSeries | None, library: LibraryParts) -> bool:
    """Whether the store has an intact copy in another folder, which was created after the change was begun."""
    if row is None or row.folder in {"", str(change.folder), str(one.lies_in)}:
        return False
    try:
        return await library.reader.is_whole(PurePosixPath(row.folder), one.series_instance_uid)
    except LibraryError:
        return False  # what cannot be read is not known to be whole


async def _want_doubted(
    folder: PurePosixPath, row: StoredSeries | None, library: LibraryParts, store: RecoveryStore, at: datetime
) -> None:
    message = f"{folder}: its images are damaged"
    if row is not None:
        if row.state is not SeriesState.WITHDRAWN:
            await want_again(store, row.series, row.archive, message=message, at=at)
        return
    receipt = await library.reader.doubted_receipt(folder)
    if receipt is not None:
        await want_again(store, receipt.series, receipt.archive, message=message, at=at)
