"""A store that is only asked: nothing is made, migrated or written."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio.to_thread
import pytest

from downloader.errors import DamagedStoreError, StoreError
from downloader.model import SeriesTally
from downloader.store.sqlite.backup import back_up_store
from downloader.store.sqlite.connection import migrate
from downloader.store.sqlite.reader import open_empty_store, open_store_to_read
from downloader.store.sqlite.reading import open_to_read
from downloader.store.sqlite.statements import load_migrations
from downloader.store.sqlite.store import open_store
from tests.faults.mounts import mounted, needs_mount, remount
from tests.store.examples import claim, complete_all, enqueue, series, states, uid

pytestmark = pytest.mark.anyio

OLDEST_READ = 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is to be."""
    return tmp_path / "state.db"


def files_of(path: Path) -> dict[str, bytes]:
    """What lies in the folder of the store."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


async def test_asking_changes_no_file(path: Path) -> None:
    """Neither the store nor what lies beside it."""
    async with open_store(path) as store:
        await enqueue(store, "m", series(1), series(2))
        await complete_all(store)
    before = files_of(path)
    async with open_store_to_read(path) as reader:
        assert {row.series.series_instance_uid: str(row.state) async for row in reader.find("m")} == {
            uid(1): "complete",
            uid(2): "complete",
        }
    assert files_of(path) == before


def test_a_store_that_is_not_there_is_not_made(path: Path) -> None:
    """Nor its folder."""
    with pytest.raises(StoreError, match="cannot be opened"):
        open_to_read(path)
    with pytest.raises(StoreError, match="cannot be opened"):
        open_to_read(path.parent / "missing" / "state.db")
    assert files_of(path) == {}


@pytest.mark.parametrize("version", [OLDEST_READ, max(load_migrations()) - 1])
async def test_an_older_store_is_read_as_it_is(path: Path, version: int) -> None:
    """It answers as if it were migrated, and is not."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        migrate(database, {number: script for number, script in load_migrations().items() if number <= version})
        database.execute("INSERT INTO manifest (manifest_key, name, archive, resolve) VALUES (1, 'm', 'nlst', 1)")
        database.execute("INSERT INTO series (series_key, series_instance_uid, archive) VALUES (1, '1.2.3', 'nlst')")
        database.execute("INSERT INTO wanted (series_key, manifest_key, resolve) VALUES (1, 1, 1)")
    before = files_of(path)
    async with open_store_to_read(path) as reader:
        assert await reader.manifests() == ["m"]
        assert await reader.tally("m") == SeriesTally(pending=1)
        assert await reader.proof_groups() == []
    assert files_of(path) == before


async def test_a_reader_sees_what_a_run_writes_meanwhile(path: Path) -> None:
    """`status --watch` asks one opened store again and again."""
    async with open_store(path) as store:
        await enqueue(store, "m", series(1))
        async with open_store_to_read(path) as reader:
            assert (await reader.tally()).pending == 1
            await claim(store)
            assert (await reader.tally()).claimed == 1
        assert await states(store) == {uid(1): "claimed"}


async def test_a_reader_cannot_write(path: Path) -> None:
    """SQLite itself refuses."""
    async with open_store(path) as store:
        await enqueue(store, "m", series(1))
    with closing(open_to_read(path)) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.change("forget_manifest", manifest="m")


def test_damage_and_foreign_files_are_refused(path: Path) -> None:
    """With the errors that a run would get."""
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DamagedStoreError, match="or not a state store"):
        open_to_read(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="another program"):
        open_to_read(path)


async def test_a_store_that_knows_nothing(path: Path) -> None:
    """For the plan of a library that is not there yet."""
    async with open_empty_store() as reader:
        assert await reader.manifests() == []
        assert await reader.compare([series(1)]) == ["new"]
    assert files_of(path) == {}


@needs_mount
async def test_a_store_on_a_read_only_file_system_is_read_and_copied(tmp_path: Path) -> None:
    """SQLite cannot create its shared memory there, and no process has the store open."""
    disk = tmp_path / "disk"
    with mounted(disk, size="8m"):
        path = disk / "state.db"
        async with open_store(path) as store:
            await enqueue(store, "m", series(1), series(2))
            await complete_all(store)
        remount(disk, "ro")
        async with open_store_to_read(path) as reader:
            assert (await reader.tally("m")).complete == 2
        copied_bytes = await anyio.to_thread.run_sync(back_up_store, path, tmp_path / "copy.db")
        assert copied_bytes == path.stat().st_size
        assert [file.name for file in disk.iterdir()] == ["state.db"]
    async with open_store(tmp_path / "copy.db") as restored:
        assert await states(restored) == {uid(1): "complete", uid(2): "complete"}
