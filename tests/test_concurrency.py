"""Workers that share pages: a single worker until there is something to wait for. Calls whose results are collected."""

from collections.abc import Sequence

import anyio
import pytest

from downloader.concurrency import collect, work_through_pages
from downloader.errors import LibraryError, TciadError
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio


class Pages:
    """Pages of one item; `together`: how many tasks must request a page before any gets one."""

    def __init__(self, count: int, together: int = 1) -> None:
        self._left = list(range(count))
        self._missing = together
        self._all_came = anyio.Event()

    async def take(self) -> Sequence[int]:
        self._missing -= 1
        if self._missing <= 0:
            self._all_came.set()
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            await self._all_came.wait()
        return [self._left.pop()] if self._left else []


async def test_every_page_is_worked_on_once() -> None:
    """By all workers concurrently: here no worker can take a page without the others."""
    pages = Pages(6, together=3)
    worked: list[int] = []

    async def work(page: Sequence[int]) -> None:
        worked.extend(page)

    await work_through_pages(pages.take, work, workers=3)
    assert sorted(worked) == list(range(6))


async def test_one_worker_is_alone_until_others_help() -> None:
    """The other workers start once there is something to wait for."""
    pages, at_once, most = Pages(10), 0, [0]
    slow = False

    async def work(page: Sequence[int]) -> None:
        nonlocal at_once, slow
        at_once += 1
        most[-1] = max(most[-1], at_once)
        await anyio.wait_all_tasks_blocked()
        at_once -= 1
        if not slow and page == [5]:
            slow = True
            most.append(0)

    await work_through_pages(pages.take, work, workers=4, needs_all=lambda: slow)
    before, after = most
    assert before == 1
    assert after > 1


async def test_the_first_error_of_ours_ends_all() -> None:
    """Without the exception group of the task group."""

    async def work(page: Sequence[int]) -> None:
        raise LibraryError("the disk is gone", next_step="look for it")

    with pytest.raises(LibraryError, match="the disk is gone"):
        await work_through_pages(Pages(3).take, work, workers=2)


async def test_answers_are_collected_side_by_side_in_the_order_of_the_items() -> None:
    """The first item answers last."""
    second = anyio.Event()

    async def ask(item: int) -> int:
        if item == 1:
            await second.wait()
        second.set()
        return item * item

    assert await collect(ask, [1, 2]) == [1, 4]


async def test_the_first_error_of_ours_ends_a_collection() -> None:
    """Without an exception group, as from a single call."""

    async def ask(item: int) -> int:
        raise TciadError(f"no answer to {item}")

    with pytest.raises(TciadError, match="no answer to 1"):
        await collect(ask, [1])
