"""Rows go to their sink in batches, also where rows or sink fail."""

from collections.abc import AsyncGenerator, Sequence

import anyio
import pytest

from downloader.errors import CutTransferError, StoreError
from downloader.model import Series
from downloader.resolving.batches import BATCH_SERIES, pour

pytestmark = pytest.mark.anyio


async def rows(count: int, failure: Exception | None = None) -> AsyncGenerator[Series, None]:
    """This many rows, and then the error."""
    for number in range(count):
        yield Series(series_instance_uid=f"1.2.{number}")
    if failure is not None:
        raise failure


def any_series(_series: Series) -> bool:
    return True


async def test_a_batch_that_the_sink_has_is_finished_when_the_rows_fail() -> None:
    """What the sink does behind the store's answer, such as to count new series, is done."""
    finished: list[int] = []
    may_finish = anyio.Event()

    async def sink(batch: Sequence[Series]) -> None:
        await may_finish.wait()
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        finished.append(len(batch))

    async def let_finish() -> None:
        await anyio.wait_all_tasks_blocked()
        may_finish.set()

    async with anyio.create_task_group() as group:
        group.start_soon(let_finish)
        with pytest.raises(CutTransferError):
            await pour(rows(BATCH_SERIES + 1, CutTransferError("the line broke")), any_series, sink)
    assert finished == [BATCH_SERIES]


@pytest.mark.parametrize("failure", [StoreError("the disk is full"), KeyError("a mistake of ours")])
async def test_an_error_of_the_sink_is_the_one_that_is_raised(failure: Exception) -> None:
    """Not that the next batch was not taken."""

    async def sink(_batch: Sequence[Series]) -> None:
        await anyio.wait_all_tasks_blocked()
        raise failure

    with pytest.raises(type(failure)):
        await pour(rows(3 * BATCH_SERIES), any_series, sink)


async def test_the_sink_takes_all_rows_in_their_order() -> None:
    """One batch at a time, the last one short."""
    taken: list[str] = []
    sizes: list[int] = []

    async def sink(batch: Sequence[Series]) -> None:
        await anyio.lowlevel.checkpoint()
        taken.extend(series.series_instance_uid for series in batch)
        sizes.append(len(batch))

    await pour(rows(2 * BATCH_SERIES + 3), any_series, sink)
    assert taken == [f"1.2.{number}" for number in range(2 * BATCH_SERIES + 3)]
    assert sizes == [BATCH_SERIES, BATCH_SERIES, 3]
