"""Finishes or undoes the changes of a library that a killed process left half done, before anything else looks at it."""

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
"""Names, with the archive's, the wishes of a repair in the store; they stay there until all of them are fulfilled."""


class RecoveryStore(FolderIndex, Intake, Corrections, Protocol):
    """What finishing changes asks of the store, and tells it."""


_log = structlog.get_logger(__name__)


async def finish_changes(library: LibraryParts, store: RecoveryStore | None, at: datetime) -> None:
    """Bring every change that was begun to its end. The library is locked.

    A change that cannot be finished now, since a folder cannot be written, stays in its record for the next start; those beside
    it leave the record. The store learns how things stand; it is None where it is about to be made anew from the tree.

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
            # what was finished must not be done again: by the next start the folder may hold what a run has fetched
            await library.changes.keep(record, left)
        if finished:
            _log.info("changes of the library were finished", record=record.name, changes=len(finished), left=len(left))


async def _finish_each(record: ChangeRecord, library: LibraryParts) -> tuple[Sequence[tuple[Change, Finished]], Sequence[Change]]:
    """Finish what can be finished; returns it, and what is left for the next start."""
    finished: list[tuple[Change, Finished]] = []
    left: list[Change] = []
    for change in record.changes:
        try:
            finished.append((change, await library.changes.finish(change)))
        except LibraryError as error:
            left.append(change)
            _log.warning("a change of the library stays unfinished", record=record.name, message=str(error))
    return finished, left


async def want_again(store: RecoveryStore, series: Series, archive: str, *, message: str, at: datetime, resolve: int = 0) -> int:
    """Let a repair want a series, and tell the store that it is not complete any more; returns the number of the resolve.

    The wish comes first: a kill between the two leaves a series that the next verification finds again. `resolve` is what an
    earlier call for the same archive returned.
    """
    manifest = REPAIR_PREFIX + archive
    number = resolve
    if not number:
        # a repair has no wish of its own: what becomes of withdrawn series is for the user's manifests to say
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
        if await _lies_elsewhere(change, one, row, library):
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


async def _lies_elsewhere(change: Change, one: Finished, row: StoredSeries | None, library: LibraryParts) -> bool:
    """Whether the store knows of a whole copy that the change does not touch: one that came after the change was begun."""
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
