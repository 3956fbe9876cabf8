"""Passes the rows of a list on in batches."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from downloader.concurrency import task_group
from downloader.errors import TciadError
from downloader.model import Series

BATCH_SERIES: Final = 2_000

Batches = Callable[[Sequence[Series]], Awaitable[None]]


async def pour(rows: AsyncGenerator[Series, None], takes: Callable[[Series], bool], sink: Batches) -> None:
    """Pass the wanted rows to the sink in batches, and read the next batch meanwhile.

    If the rows end with an error, the sink first finishes the batch that it has: half of its work would be lost otherwise.
    """
    send, receive = anyio.create_memory_object_stream[Sequence[Series]]()
    failure: TciadError | None = None
    async with task_group() as group:
        group.start_soon(_pass_on, receive, sink)
        # a broken stream means that the sink failed: the group raises its error
        with suppress(anyio.BrokenResourceError):
            async with send:
                try:
                    await _send_batches(rows, takes, send)
                except TciadError as error:
                    failure = error
    if failure is not None:
        raise failure


async def _send_batches(
    rows: AsyncGenerator[Series, None], takes: Callable[[Series], bool], send: ObjectSendStream[Sequence[Series]]
) -> None:
    async with aclosing(rows):
        batch: list[Series] = []
        async for series in rows:
            if not takes(series):
                continue
            batch.append(series)
            if len(batch) >= BATCH_SERIES:
                await send.send(batch)
                batch = []
        if batch:
            await send.send(batch)


async def _pass_on(receive: ObjectReceiveStream[Sequence[Series]], sink: Batches) -> None:
    async with receive:
        async for batch in receive:
            await sink(batch)
