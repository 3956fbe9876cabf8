"""Looks at a library that may never answer: one thread, and an answer for everybody within seconds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import anyio
import anyio.to_thread
import pytest

from downloader.service.library_look import LibraryLook, LibrarySight, look_at_library
from tests.fakes.clock import FakeClock
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
ROOT = Path("/library")


class SlowLibrary:
    """Answers when the test lets it. `looks` counts how often it was looked at."""

    def __init__(self) -> None:
        self.may_answer = Event()
        self.looks = 0

    def look(self) -> LibrarySight:
        """Block until the library may answer."""
        self.looks += 1
        assert self.may_answer.wait(LONGEST_WAIT_SECONDS)
        return LibrarySight(free_bytes=self.looks)


@asynccontextmanager
async def kept(library: SlowLibrary, clock: FakeClock) -> AsyncIterator[LibraryLook]:
    """A look that is kept until the end of the block."""
    look = LibraryLook(ROOT, library.look, clock, answer_seconds=2.0)
    async with anyio.create_task_group() as group:
        group.start_soon(look.keep)
        await anyio.wait_all_tasks_blocked()
        yield look
        library.may_answer.set()
        group.cancel_scope.cancel()


async def ask_in_vain(look: LibraryLook, clock: FakeClock) -> LibrarySight:
    """The answer after two seconds."""
    sights: list[LibrarySight] = []

    async def ask() -> None:
        sights.append(await look.sight())

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        clock.advance()
    (sight,) = sights
    return sight


async def test_a_library_that_answers_is_seen_as_it_is_now() -> None:
    """Each time anew."""
    library, clock = SlowLibrary(), FakeClock()
    library.may_answer.set()
    async with kept(library, clock) as look:
        assert [(await look.sight()).free_bytes for _ in range(3)] == [1, 2, 3]


async def test_a_library_that_hangs_is_told_and_looked_at_by_one_thread() -> None:
    """However often it is asked about; those who ask later do not wait, and none of the shared threads is used."""
    library, clock = SlowLibrary(), FakeClock()
    async with kept(library, clock) as look:
        sight = await ask_in_vain(look, clock)
        assert sight.problem == "/library has not answered since 2026-11-23 12:00:00 UTC; look at its mount, such as NFS"
        assert sight.free_bytes is None
        for _ in range(100):
            assert await look.sight() == sight
        assert library.looks == 1
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0


async def test_a_library_that_answers_late_is_well_again() -> None:
    """With the next look."""
    library, clock = SlowLibrary(), FakeClock()
    async with kept(library, clock) as look:
        assert (await ask_in_vain(look, clock)).problem
        library.may_answer.set()
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            while (await look.sight()).problem:
                await anyio.lowlevel.checkpoint()
        assert (await look.sight()).problem == ""


async def test_those_who_ask_during_a_look_share_it() -> None:
    """And its answer."""
    library, clock = SlowLibrary(), FakeClock()
    async with kept(library, clock) as look:
        sights: list[LibrarySight] = []

        async def ask() -> None:
            sights.append(await look.sight())

        async with anyio.create_task_group() as group:
            for _ in range(9):
                group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            library.may_answer.set()
        assert sights == [LibrarySight(free_bytes=1)] * 9


async def test_nothing_is_waited_for_where_nobody_looks() -> None:
    """Such as after a drain."""
    assert await LibraryLook(ROOT, SlowLibrary().look, FakeClock(), 2.0).sight() == LibrarySight()


def test_a_folder_that_is_another_library_is_a_problem(tmp_path: Path) -> None:
    """Before the library was opened, when its id is not known, only the free space is looked at."""
    assert "its marker is missing" in look_at_library(tmp_path, "some id").problem
    sight = look_at_library(tmp_path, "")
    assert sight.problem == ""
    assert sight.free_bytes
