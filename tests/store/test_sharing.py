"""Several users of one store: tasks, cancelled tasks, connections, processes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from downloader.errors import LeaseLostError, StoreLockedError
from downloader.model import Claim
from downloader.store.sqlite.store import SqliteStore, open_store
from tests.store.examples import claim, complete, complete_all, enqueue, series, start_python, states, uid, uids

pytestmark = pytest.mark.anyio


async def test_two_connections_never_claim_the_same_series(tmp_path: Path) -> None:
    """Each series goes to exactly one of many claimers."""
    path = tmp_path / "state.db"
    claimed: list[str] = []

    async def claim_all(store: SqliteStore, owner: str) -> None:
        while claims := await claim(store, owner=owner, limit=3):
            claimed.extend(uids(claims))

    async with open_store(path) as one, open_store(path) as two:
        await enqueue(one, "m", *map(series, range(200)))
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(claim_all, (one, two)[number % 2], f"w{number}")
    assert sorted(claimed) == sorted(map(uid, range(200)))


async def test_two_processes_never_claim_the_same_series(tmp_path: Path) -> None:
    """Nor do processes."""
    path = tmp_path / "state.db"
    async with open_store(path) as store:
        await enqueue(store, "m", *map(series, range(200)))
    assert sorted(run_both(path)) == sorted(map(uid, range(200)))


def run_both(path: Path) -> list[str]:
    """What two processes at once claimed, in any order."""
    children = [start_python(CLAIM_ALL, str(path), owner) for owner in ("w1", "w2")]
    claimed = [line for child in children for line in child.communicate()[0].split()]
    assert [child.returncode for child in children] == [0, 0]
    return claimed


async def test_completions_that_come_at_once_have_one_ending_each(tmp_path: Path) -> None:
    """They are written together, and one whose lease was lost keeps no other from being complete."""
    lost: list[str] = []

    async def finish(store: SqliteStore, held: Claim) -> None:
        try:
            await complete(store, held)
        except LeaseLostError as error:
            lost.append(error.series_instance_uid or "")

    async with open_store(tmp_path / "state.db") as store:
        await enqueue(store, "m", *map(series, range(40)))
        claims = await claim(store, limit=40)
        await store.fail(claims[7], error="CutTransferError", message="by another")
        async with anyio.create_task_group() as group:
            for held in claims:
                group.start_soon(finish, store, held)
        found = await states(store)
    assert lost == [uid(7)]
    assert [number for number in range(40) if found[uid(number)] != "complete"] == [7]


async def test_completions_that_cannot_be_written_are_each_told_so(tmp_path: Path) -> None:
    """And may be said again once the store can be used."""
    path = tmp_path / "state.db"
    refused: list[str] = []

    async def finish(store: SqliteStore, held: Claim) -> None:
        try:
            await complete(store, held)
        except StoreLockedError:
            refused.append(held.series.series_instance_uid)

    async with open_store(path, busy_seconds=0.01) as store:
        await enqueue(store, "m", *map(series, range(5)))
        claims = await claim(store, limit=5)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as group:
                for held in claims:
                    group.start_soon(finish, store, held)
        assert sorted(refused) == uids(claims)
        for held in claims:
            await complete(store, held)
        assert set((await states(store)).values()) == {"complete"}


async def test_a_completion_that_was_cancelled_before_its_turn_is_not_written(tmp_path: Path) -> None:
    """Another one's turn must not write it: its caller gives the series back."""
    async with open_store(tmp_path / "state.db") as store:
        await enqueue(store, "m", series(1), series(2))
        first, second = await claim(store, limit=2)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await complete(store, first)
        await complete(store, second)
        assert await states(store) == {uid(1): "claimed", uid(2): "complete"}


CLAIM_ALL = """
import sys
from pathlib import Path
import anyio
from downloader.store.sqlite.store import open_store
from tests.store.examples import claim, uids

async def main():
    async with open_store(Path(sys.argv[1])) as store:
        while claims := await claim(store, owner=sys.argv[2], limit=3):
            print(*uids(claims), sep="\\n")

anyio.run(main)
"""


def test_two_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    """It is made once, and both can use it."""
    assert run_both(tmp_path / "state.db") == []


async def test_a_cancelled_claim_is_known_to_its_caller(tmp_path: Path) -> None:
    """Once begun it ends, and the caller has the claims before the cancellation reaches it."""
    async with open_store(tmp_path / "state.db") as store:
        await enqueue(store, "m", series(1))
        held: list[Claim] = []
        async with anyio.create_task_group() as group:

            async def work() -> None:
                held.extend(await claim(store))
                await anyio.sleep_forever()

            group.start_soon(work)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert uids(held) == [uid(1)]


async def test_a_claim_is_not_begun_by_a_caller_that_is_already_cancelled(tmp_path: Path) -> None:
    """Nothing is claimed without a worker."""
    async with open_store(tmp_path / "state.db") as store:
        await enqueue(store, "m", series(1))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await claim(store)
        assert await states(store) == {uid(1): "pending"}


async def test_the_loop_goes_on_while_the_store_waits(tmp_path: Path) -> None:
    """Another process that holds the file blocks the store's thread, and nothing else."""
    path = tmp_path / "state.db"
    async with open_store(path) as store:
        await enqueue(store, "m", series(1))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as group:
                group.start_soon(complete_all, store)
                await anyio.wait_all_tasks_blocked()
                # that this is reached while complete_all waits is what is shown
                other.execute("ROLLBACK")
        assert await states(store) == {uid(1): "complete"}
