"""Sends one query for each of many items, a few at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import anyio

from downloader.errors import TciadError

QUERIES_AT_ONCE: Final = 4
Answer = TypeVar("Answer")


async def ask_each(things: Sequence[str], question: Callable[[str], Awaitable[Answer]]) -> dict[str, Answer]:
    """The result for each item, in order; the first of our errors cancels the others and is raised without a group."""
    answers: dict[str, Answer] = {}
    failures: list[TciadError] = []
    limiter = anyio.CapacityLimiter(QUERIES_AT_ONCE)

    async def ask(thing: str) -> None:
        async with limiter:
            try:
                answers[thing] = await question(thing)
            except TciadError as error:
                # a task group would wrap the error, and callers expect it bare
                failures.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for thing in things:
            group.start_soon(ask, thing)
    if failures:
        raise failures[0]
    return {thing: answers[thing] for thing in things}
