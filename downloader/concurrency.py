"""Task groups that raise a single error, and worker tasks that share one iterator."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.abc import ObjectReceiveStream, TaskGroup

from downloader.errors import TciadError

PAGE_ITEMS = 32
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """A task group that raises a single error, not a group: the first TciadError of its tasks or its body, if there is one."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as error:
        raise first_of_ours(error) from error


async def work_through(items: Iterator[Item], work: Callable[[Item], Awaitable[None]], *, workers: int) -> None:
    """Await `work(item)` for each item, in `workers` tasks. The iterator runs in a thread, at most PAGE_ITEMS ahead of the tasks.

    Raises:
        TciadError: the first error of a task or of the iterator.
    """
    send, receive = anyio.create_memory_object_stream[Item]()
    async with task_group() as group:
        async with receive:
            for _ in range(workers):
                group.start_soon(_work, receive.clone(), work)
        async with send:
            while page := await anyio.to_thread.run_sync(_take_page, items):
                for item in page:
                    await send.send(item)


def always() -> bool:
    """The default of `needs_all`: all workers start at once."""
    return True


async def work_through_pages(
    take: Callable[[], Awaitable[Sequence[Item]]],
    work: Callable[[Sequence[Item]], Awaitable[None]],
    *,
    workers: int,
    needs_all: Callable[[], bool] = always,
) -> None:
    """Await `take()` until it returns nothing, and `work(page)` for each page, in `workers` tasks.

    A single task works until `needs_all()` is true: more threads that do not wait for I/O only compete for the GIL.

    Raises:
        TciadError: the first error of a task.
    """

    async def work_on() -> None:
        while page := await take():
            await work(page)

    async def work_first() -> None:
        is_alone = True
        while True:
            if is_alone and needs_all():
                is_alone = False
                for _ in range(workers - 1):
                    group.start_soon(work_on)
            page = await take()
            if not page:
                return
            await work(page)

    async with task_group() as group:
        group.start_soon(work_first)


async def collect(ask: Callable[[Item], Awaitable[Answer]], items: Sequence[Item]) -> list[Answer]:
    """Await `ask(item)` for all items side by side. Returns the answers in the order of the items.

    Raises:
        TciadError: the first that was raised.
    """
    answers: dict[int, Answer] = {}

    async def answer(number: int, item: Item) -> None:
        answers[number] = await ask(item)

    async with task_group() as group:
        for number, item in enumerate(items):
            group.start_soon(answer, number, item)
    return [answers[number] for number in range(len(items))]


def _take_page(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, PAGE_ITEMS))


async def _work(receive: ObjectReceiveStream[Item], work: Callable[[Item], Awaitable[None]]) -> None:
    async with receive:
        async for item in receive:
            await work(item)


def first_of_ours(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first TciadError in the group, or the first other error if there is none."""
    ours, rest = group.split(TciadError)
    chosen: BaseException = ours or rest or group
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    return chosen
