"""The store's file: made, migrated, refused when it is not ours to use, whole after a crash."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from downloader.errors import DamagedStoreError, StoreError, StoreLockedError
from downloader.model import SeriesTally
from downloader.store.sqlite.connection import APPLICATION_ID, migrate
from downloader.store.sqlite.statements import load_migrations
from downloader.store.sqlite.store import open_store
from tests.store.examples import START_AT, claim, complete_all, enqueue, series, session, start_python, states, uid

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is to be; its folder is not there yet."""
    return tmp_path / ".tciad" / "state.db"


async def fill(path: Path, count: int = 3) -> None:
    async with open_store(path) as store:
        await enqueue(store, "m", *map(series, range(count)))


def fill_store(path: Path, count: int = 3) -> None:
    anyio.run(fill, path, count)


async def test_what_was_stored_is_there_when_opened_again(path: Path) -> None:
    """Also where the folder had to be made."""
    await fill(path)
    async with open_store(path) as store:
        await complete_all(store)
    async with open_store(path) as store:
        assert await states(store) == {uid(0): "complete", uid(1): "complete", uid(2): "complete"}


def test_a_new_store_has_the_newest_version_and_our_mark(path: Path) -> None:
    """So that other versions and other programs can tell."""
    fill_store(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (max(load_migrations()),)
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_store_of_a_newer_tciad_is_refused(path: Path) -> None:
    """Untouched: what it means is not known here."""
    fill_store(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 9999")
    with pytest.raises(StoreError, match="made by a newer tciad"):
        fill_store(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (9999,)


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    """Untouched: `--state` may name the wrong file."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        fill_store(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """And left as it is."""
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DamagedStoreError, match="or not a state store"):
        fill_store(path)
    assert path.read_bytes() == b"no database" * 1000


def test_damage_anywhere_is_found_at_open(path: Path) -> None:
    """Not only in the first page, and not only when the damaged page is needed."""
    fill_store(path, count=500)
    page_bytes = 4096
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // page_bytes * page_bytes
    content[middle : middle + page_bytes] = os.urandom(page_bytes)
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match="damaged") as refused:
        fill_store(path)
    assert "tciad store rebuild" in str(refused.value)


def test_a_store_that_ends_early_is_found_at_open(path: Path) -> None:
    """As after a disk that was full when it was copied."""
    fill_store(path, count=500)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DamagedStoreError, match="damaged"):
        fill_store(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Whether the file or its folder is in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        fill_store(tmp_path / "file" / "state.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        fill_store(tmp_path / "folder")


async def test_a_store_that_another_process_will_not_let_go_is_locked(path: Path) -> None:
    """The wait for it has an end."""
    await fill(path)
    async with open_store(path, busy_seconds=0.0) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLockedError, match="locked by another process"):
                await claim(store)
            # readers are not kept waiting
            assert (await store.tally()).pending == 3
        assert len(await claim(store)) == 3


@pytest.mark.parametrize("durable", ["durable", "plain"])
async def test_a_killed_process_leaves_a_usable_store(path: Path, durable: str) -> None:
    """After kill -9 in the middle of a transaction: what was committed is there, what was not is not, the tally agrees."""
    await fill(path)
    kill_in_a_transaction(path, durable)
    async with open_store(path) as store:
        assert await states(store) == {uid(0): "claimed", uid(1): "pending", uid(2): "pending"}
        assert await store.tally() == SeriesTally(pending=2, claimed=1, expected_images=9, expected_bytes=9000)
        assert await store.recover_claims(session("w")) == 1
        await complete_all(store)
        assert (await store.tally()).complete == 3


def kill_in_a_transaction(path: Path, durable: str) -> None:
    with start_python(KILLED_IN_A_TRANSACTION, str(path), durable) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "in the middle\n"
        child.send_signal(signal.SIGKILL)


KILLED_IN_A_TRANSACTION = """
import sys, time
from pathlib import Path
from downloader.model import FetchOrder
from downloader.store.sqlite import claiming
from downloader.store.sqlite import enqueuing as queueing
from downloader.store.sqlite.connection import open_connection
from tests.store.examples import START_AT, after

connection = open_connection(Path(sys.argv[1]))
(held,) = claiming.claim(
    connection, "m", session_id="w", at=START_AT, lease_until_at=after(60), limit=1, order=FetchOrder.ARCHIVE
)
with connection.transaction(durable=sys.argv[2] == "durable"):
    connection.change("fail", series_instance_uid=held.series.series_instance_uid, claim_id=held.claim_id, error="E", message="m",
                      rests_until_at=None)
    connection.change("close_claims", session_id="w")
    print("in the middle", flush=True)
    time.sleep(60)
"""


def test_an_older_store_keeps_what_its_manifests_want_of_which_archive(path: Path) -> None:
    """In version 1 a manifest had one archive; each of its wishes has it from now on."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        migrate(database, {1: load_migrations()[1]})
        database.execute("INSERT INTO manifest (manifest_key, name, archive, resolve) VALUES (1, 'm', 'nlst', 1)")
        database.execute("INSERT INTO series (series_key, series_instance_uid, archive) VALUES (1, '1.2.3', 'nlst')")
        database.execute("INSERT INTO wanted (series_key, manifest_key, resolve) VALUES (1, 1, 1)")

    async def claimed() -> list[tuple[str, str]]:
        async with open_store(path) as store:
            return [(held.series.series_instance_uid, held.archive) for held in await claim(store)]

    assert anyio.run(claimed) == [("1.2.3", "nlst")]


async def test_begin_resolve_is_kept_for_those_who_look_into_the_file(path: Path) -> None:
    """Times are text that people can read."""
    async with open_store(path) as store:
        await store.begin_resolve("m", START_AT)
    with closing(sqlite3.connect(path)) as database:
        (at,) = database.execute("SELECT resolve_began_at FROM manifest").fetchone()
    assert at == "2026-11-23T12:00:00.000000+00:00"
