"""A copy of the store while it is in use."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio.to_thread
import pytest

from downloader.errors import StoreError
from downloader.store.sqlite.backup import back_up_store
from downloader.store.sqlite.store import open_store
from tests.store.examples import claim, complete_all, enqueue, series, states, uid

pytestmark = pytest.mark.anyio


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_store_in_use_is_copied_whole(tmp_path: Path) -> None:
    """With what is only in its log so far; its user goes on, and the copy is a store."""
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    async with open_store(path) as store:
        await enqueue(store, "m", *map(series, range(500)))
        await claim(store, limit=1)
        copied_bytes = await anyio.to_thread.run_sync(back_up_store, path, copy)
        await complete_all(store)
    assert copied_bytes == copy.stat().st_size
    assert names_in(tmp_path) == ["copy.db", "state.db"]
    async with open_store(copy) as restored:
        found = await states(restored)
        assert (len(found), found[uid(0)], found[uid(1)]) == (500, "claimed", "pending")
        await complete_all(restored)


async def test_a_writer_in_mid_transaction_is_neither_waited_for_nor_copied(tmp_path: Path) -> None:
    """The copy is of the moment before."""
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    async with open_store(path) as store:
        await enqueue(store, "m", series(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE series SET state = 'failed'")
        await anyio.to_thread.run_sync(back_up_store, path, copy)
        writer.execute("COMMIT")
    async with open_store(copy) as restored:
        assert await states(restored) == {uid(1): "pending"}


async def test_an_older_copy_is_replaced_in_one_step(tmp_path: Path) -> None:
    """And a copy that fails leaves it as it is."""
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    async with open_store(path) as store:
        await enqueue(store, "m", series(1))
    older = b"SQLite format 3\x00, and older"
    copy.write_bytes(older)
    for wrong in (tmp_path / "none.db", copy):
        with pytest.raises(StoreError):
            back_up_store(wrong, tmp_path / "other.db")
    assert copy.read_bytes() == older
    back_up_store(path, copy)
    async with open_store(copy) as restored:
        assert await states(restored) == {uid(1): "pending"}


async def test_a_file_that_is_no_copy_is_left_alone(tmp_path: Path) -> None:
    """`tciad store backup lung-ct.yaml` overwrites no manifest."""
    path, manifest = tmp_path / "state.db", tmp_path / "lung-ct.yaml"
    async with open_store(path) as store:
        await enqueue(store, "m", series(1))
    manifest.write_text("version: 1")
    with pytest.raises(
        StoreError, match=r"lung-ct\.yaml is not a copy of a state store, and is not overwritten; name another file"
    ):
        back_up_store(path, manifest)
    assert manifest.read_text() == "version: 1"


async def test_a_target_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A folder, the store itself, or a place that is not there."""
    path = tmp_path / "state.db"
    async with open_store(path) as store:
        await enqueue(store, "m", series(1))
        for target in (tmp_path, path, tmp_path / "none" / "copy.db"):
            with pytest.raises(StoreError):
                await anyio.to_thread.run_sync(back_up_store, path, target)
        assert await states(store) == {uid(1): "pending"}
