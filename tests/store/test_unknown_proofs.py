"""Series that an older tciad completed, whose proofs the store does not know until their receipts are read."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from downloader.store.sqlite.store import open_store
from tests.store.contract.test_strength import NONE, complete
from tests.store.examples import uid

pytestmark = pytest.mark.anyio


async def test_an_unknown_proof_is_counted_and_not_called_weak(tmp_path: Path) -> None:
    """A run does not go through them to name weak series, or to prove those again."""
    path = tmp_path / "state.db"
    async with open_store(path) as store:
        await complete(store, NONE, NONE)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE series SET digests = NULL, md5_list = NULL WHERE series_instance_uid = ?", (uid(1),))
    async with open_store(path) as store:
        assert [row.series.series_instance_uid async for row in store.find_weak("m")] == [uid(2)]
        assert [row.series.series_instance_uid async for row in store.find_unknown_proofs()] == [uid(1)]
        assert sum(group.series for group in await store.proof_groups("m")) == 2
