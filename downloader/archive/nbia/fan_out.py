"""Asks one question for each of many things, a few at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import anyio

from downloader.errors import TciadError

QUERIES_AT_ONCE: Final = 4
Answer = TypeVar("Answer")


async def ask_each(things: Sequence[str], question: Callable[[str], Awaitable[Answer]]) -> dict[str, Answer]:
    """The answer for each thing, in their order; the first of our errors ends the others and comes bare."""
    answers: dict[str, Answer] = {}
    failures: list[TciadError] = []
    limiter = anyio.CapacityLimiter(QUERIES_AT_ONCE)

    async def ask(thing: str) -> None:
        async with limiter:
            try:
                answers[thing] = await question(thing)
            except TciadError as error:
                # a task group would wrap it, and callers catch our errors bare
                failures.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for thing in things:
            group.start_soon(ask, thing)
    if failures:
        raise failures[0]
    return {thing: answers[thing] for thing in things}
