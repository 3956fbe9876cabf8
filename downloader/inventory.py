"""Brings metadata.csv up to date with the store."""

from functools import partial

import anyio.to_thread

from downloader.library.port import Library, ShelvedSeries
from downloader.model import SeriesState
from downloader.store.port import Store

PAGE_SERIES = 1_000


async def write_metadata(library: Library, store: Store) -> None:
    """Write the table of all complete series anew, a page at a time.

    Raises:
        LibraryError, StoreError: it cannot be written, or they cannot be read.
    """
    table = await anyio.to_thread.run_sync(library.begin_metadata)
    page: list[ShelvedSeries] = []
    async for row in store.find(state=SeriesState.COMPLETE):
        page.append(ShelvedSeries.of(row.series, row.folder, row.stored_bytes, row.completed_at))
        if len(page) >= PAGE_SERIES:
            await anyio.to_thread.run_sync(partial(table.add, page))
            page = []
    await anyio.to_thread.run_sync(partial(table.add, page))
    await anyio.to_thread.run_sync(table.commit)
