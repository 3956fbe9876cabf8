"""Runs the contract on each implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from downloader.store.port import Store
from downloader.store.sqlite.store import open_store
from tests.fakes.memory_store import MemoryStore
from tests.store.examples import CLOCK, START_AT, turn_to


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    turn_to(START_AT)
    if request.param == "memory":
        yield MemoryStore(CLOCK)
        return
    async with open_store(tmp_path / "state.db", CLOCK) as sqlite_store:
        yield sqlite_store
