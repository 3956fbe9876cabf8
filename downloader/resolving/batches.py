"""Passes the rows of a list on in batches."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

from downloader.model import Series

BATCH_SERIES: Final = 2_000

Batches = Callable[[Sequence[Series]], Awaitable[None]]


async def pour(rows: AsyncGenerator[Series, None], takes: Callable[[Series], bool], sink: Batches) -> None:
    """Pass the wanted rows to the sink in batches, one after the other."""
    batch: list[Series] = []
    async with aclosing(rows):
        async for series in rows:
            if not takes(series):
                continue
            batch.append(series)
            if len(batch) >= BATCH_SERIES:
                await sink(batch)
                batch = []
    if batch:
        await sink(batch)
