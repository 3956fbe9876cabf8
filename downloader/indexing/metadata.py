"""Writes metadata.csv and CITATION.txt from the store."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Final

import anyio
import structlog

from downloader.archive.port import Descriptions
from downloader.clock import Clock
from downloader.errors import ArchiveError, TransferError
from downloader.library.index import LibraryIndex
from downloader.library.model import Citation, MetadataRow, StoredDescription
from downloader.model import SeriesState
from downloader.store.port import Inventory

PAGE_SERIES = 1_000
DESCRIBED_FOR: Final = timedelta(days=30)
"""The age at which a description is requested again."""
ASKED_FOR_SECONDS: Final = 30.0
"""Time-out for requesting descriptions: a run is complete without them."""

_Counted = Counter[tuple[str, str, str, str, str]]
_Descriptions = dict[tuple[str, str], StoredDescription]
_log = structlog.get_logger(__name__)


async def write_metadata(index: LibraryIndex, store: Inventory) -> None:
    """Write the table of all complete series, a page at a time, and the citations of their collections.

    Raises:
        LibraryError, StoreError: library or store cannot be used.
    """
    counted = await _write_table(index, store)
    await _write_citations(index, counted, await _read_kept(index))


async def write_described_metadata(
    index: LibraryIndex, store: Inventory, archives: Mapping[str, Descriptions], clock: Clock
) -> None:
    """Write the same, after requesting descriptions of collections from these archives, by name, where they are missing or old.

    If an archive does not answer, its descriptions stay as they are: they prove nothing.

    Raises:
        LibraryError, StoreError: library or store cannot be used.
    """
    counted = await _write_table(index, store)
    kept = await _read_kept(index)
    # known descriptions are written before any request: an interruption then loses only new descriptions
    await _write_citations(index, counted, kept)
    if await _learn(kept, {(archive, collection) for archive, collection, *_ in counted}, archives, clock):
        await index.keep_descriptions([kept[key] for key in sorted(kept)])
        await _write_citations(index, counted, kept)


async def _write_table(index: LibraryIndex, store: Inventory) -> _Counted:
    """Write metadata.csv, and count the series with equal citations."""
    counted: _Counted = Counter()
    table = await index.begin_metadata()
    page: list[MetadataRow] = []
    async for row in store.find(state=SeriesState.COMPLETE):
        series = row.series
        counted[row.archive, series.collection, series.data_description_uri, series.license_name, series.license_uri] += 1
        page.append(
            MetadataRow(
                series=row.series,
                folder=PurePosixPath(row.folder),
                stored_bytes=row.stored_bytes,
                completed_at=row.completed_at,
                sop_class_uid=row.sop_class_uid,
            )
        )
        if len(page) >= PAGE_SERIES:
            await table.add(page)
            page = []
    await table.add(page)
    await table.commit()
    return counted


async def _read_kept(index: LibraryIndex) -> _Descriptions:
    kept = await index.descriptions()
    return {(description.archive, description.collection): description for description in kept}


async def _learn(kept: _Descriptions, wanted: set[tuple[str, str]], archives: Mapping[str, Descriptions], clock: Clock) -> bool:
    """Request missing and old descriptions; whether any were received. An archive without a description is recorded as such."""
    now = clock.now()
    learned = False
    for name, archive in archives.items():
        known = {key for key, description in kept.items() if now - description.asked_at < DESCRIBED_FOR}
        collections = sorted(collection for archive_name, collection in wanted - known if archive_name == name and collection)
        if not collections:
            continue
        try:
            with anyio.fail_after(ASKED_FOR_SECONDS):
                found = await archive.find_descriptions(collections)
        except (ArchiveError, TransferError, TimeoutError) as error:
            _log.info("collection descriptions not available", archive=name, message=str(error))
            continue
        for collection in collections:
            told = found.get(collection)
            kept[name, collection] = StoredDescription(
                archive=name,
                collection=collection,
                text=told.text if told else "",
                uri=told.uri if told else "",
                asked_at=now,
            )
        learned = True
    return learned


async def _write_citations(index: LibraryIndex, counted: _Counted, kept: _Descriptions) -> None:
    """Write the citations, sorted by collection."""
    citations = []
    for (archive, collection, uri, license_name, license_uri), series in sorted(
        counted.items(), key=lambda counted: (counted[0][1:], counted[0][0])
    ):
        description = kept.get((archive, collection))
        citations.append(
            Citation(
                collection=collection,
                data_description_uri=uri or (description.uri if description else ""),
                license_name=license_name,
                license_uri=license_uri,
                series=series,
                description=description.text if description else "",
            )
        )
    await index.write_citations(citations)
