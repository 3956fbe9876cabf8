"""Staging of earlier runs: keeps parts of series that are still wanted, saves intact series, and removes the rest."""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Protocol

import structlog

from downloader.errors import OccupiedFolderError
from downloader.library.model import StagedFolder
from downloader.library.port import LibraryParts
from downloader.model import SeriesState
from downloader.store.port import Corrections, FolderIndex, Inventory, Sessions
from downloader.store.records import Standing, StoredSeries

_log = structlog.get_logger(__name__)


class LeftoversStore(Inventory, FolderIndex, Corrections, Sessions, Protocol):
    """The part of the store that clearing staging uses."""


async def clear_leftovers(library: LibraryParts, store: LeftoversStore, at: datetime) -> None:
    """Clear staging, except what other live sessions use. The caller has no attempt in flight.

    Raises:
        LibraryError, StoreError: library or store cannot be used.
    """
    live = await store.live_claims()
    await library.leftovers.leave_to_next(live)
    staged = await library.leftovers.staged_series()
    standings = zip(staged, await store.compare(staged), strict=True)
    keep = {series.series_instance_uid for series, standing in standings if standing in {Standing.PENDING, Standing.CHANGED}}
    if keep:
        keep -= {stored.series.series_instance_uid async for stored in store.find(state=SeriesState.WITHDRAWN)}
    for found in await library.leftovers.whole_staged(keep, live):
        await _save(found, library, store, at)
    await library.leftovers.clear_staging(keep, live)


async def _save(found: StagedFolder, library: LibraryParts, store: LeftoversStore, at: datetime) -> None:
    """Move an intact series without another copy from staging into the library, or to quarantine."""
    uid = found.receipt.series.series_instance_uid
    rows = await store.find_named([uid])
    row = rows[0] if rows else None
    if await _is_in_tree(found, row, library):
        return
    if not await library.reader.proves(found.folder, found.receipt):
        return
    if row is not None and (row.folder or row.state is not SeriesState.WITHDRAWN):
        try:
            place = await library.leftovers.put_back(found)
        except OccupiedFolderError as error:
            _log.warning("whole series in staging not moved into the library", series_instance_uid=uid, message=str(error))
        else:
            await store.relocate([(uid, str(place.folder))])
            _log.warning("whole series in staging moved into the library", series_instance_uid=uid)
            return
    moved = await library.maintenance.quarantine(found.folder, f"staged-{uid}", at)
    _log.warning("whole series in staging moved into quarantine", series_instance_uid=uid, quarantine=str(moved))


async def _is_in_tree(found: StagedFolder, row: StoredSeries | None, library: LibraryParts) -> bool:
    series = found.receipt.series
    if row is not None and row.folder and await library.reader.is_whole(PurePosixPath(row.folder), series.series_instance_uid):
        return True
    return await library.finder.find_receipt(series) is not None
