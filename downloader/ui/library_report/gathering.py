"""Collects the figures of a library for its page."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Final

import anyio

from downloader.library.model import RUNS
from downloader.library.port import LibraryState
from downloader.library.run_records import read_runs
from downloader.model import Failure, SeriesState
from downloader.store.port import Inventory
from downloader.ui.library_report.summary import LibrarySummary, summarise

MOST_FAILURES: Final = 200
MOST_RUNS: Final = 200


async def gather_summary(
    store: Inventory, state: LibraryState, library: Path, *, made_at: datetime, tool_version: str
) -> LibrarySummary:
    """The figures of the library; memory does not grow with its series.

    A run may write meanwhile: then manifests and examples of failures are some moments newer than the other figures.

    Raises:
        StoreError: the store cannot be read.
        LibraryError: the records of the runs cannot be read.
    """
    return summarise(
        await store.holdings(),
        library=str(await anyio.Path(library).absolute()),
        made_at=made_at,
        tool_version=tool_version,
        manifests={name: await store.tally(name) for name in await store.manifests()},
        failures=[failure async for failure in _first_failures(store)],
        records=read_runs(await state.read_records(RUNS, limit=MOST_RUNS)),
    )


async def _first_failures(store: Inventory) -> AsyncIterator[Failure]:
    shown = 0
    async for row in store.find(state=SeriesState.FAILED):
        yield Failure(
            series_instance_uid=row.series.series_instance_uid, error=row.error, message=row.message, attempts=row.attempts
        )
        shown += 1
        if shown == MOST_FAILURES:
            return
