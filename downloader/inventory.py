"""Brings metadata.csv and CITATION.txt up to date with the store."""

from collections import Counter
from functools import partial
from pathlib import PurePosixPath

import anyio.to_thread

from downloader.library.port import Citation, Library, ShelvedSeries
from downloader.model import SeriesState
from downloader.store.port import Store

PAGE_SERIES = 1_000


async def write_metadata(library: Library, store: Store) -> None:
    """Write the table of all complete series anew, a page at a time, and how their collections are to be cited.

    Raises:
        LibraryError, StoreError: it cannot be written, or they cannot be read.
    """
    citations: Counter[tuple[str, str, str, str]] = Counter()
    table = await anyio.to_thread.run_sync(library.begin_metadata)
    page: list[ShelvedSeries] = []
    async for row in store.find(state=SeriesState.COMPLETE):
        series = row.series
        citations[series.collection, series.data_description_uri, series.license_name, series.license_uri] += 1
        page.append(
            ShelvedSeries(
                series=row.series,
                folder=PurePosixPath(row.folder),
                stored_bytes=row.stored_bytes,
                completed_at=row.completed_at,
                sop_class_uid=row.sop_class_uid,
            )
        )
        if len(page) >= PAGE_SERIES:
            await anyio.to_thread.run_sync(partial(table.add, page))
            page = []
    await anyio.to_thread.run_sync(partial(table.add, page))
    await anyio.to_thread.run_sync(table.commit)
    await anyio.to_thread.run_sync(library.write_citations, _citations_of(citations))


def _citations_of(counted: Counter[tuple[str, str, str, str]]) -> list[Citation]:
    """By collection."""
    return [
        Citation(
            collection=collection,
            data_description_uri=data_description_uri,
            license_name=license_name,
            license_uri=license_uri,
            series=series,
        )
        for (collection, data_description_uri, license_name, license_uri), series in sorted(counted.items())
    ]
