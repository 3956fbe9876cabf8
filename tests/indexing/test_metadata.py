"""metadata.csv and CITATION.txt: what archives say of their collections, when they are asked, and what becomes of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from downloader.archive.port import CollectionDescription
from downloader.errors import ArchiveBusyError
from downloader.indexing.metadata import write_described_metadata, write_metadata
from downloader.library.local.library import LocalLibrary
from tests.fakes.clock import FakeClock
from tests.fakes.memory_archive import MemoryArchive
from tests.fakes.memory_store import MemoryStore
from tests.store.examples import complete_all, enqueue, series

pytestmark = pytest.mark.anyio
DAY_SECONDS = 86_400.0
LUNGS = CollectionDescription(text="Lungs\nMore", uri="https://doi.org/lungs")


async def stored(*collections: str) -> MemoryStore:
    """A store with a complete series of each collection, all of one archive."""
    store = MemoryStore()
    await enqueue(store, "m", *(replace(series(number), collection=name) for number, name in enumerate(collections, start=1)))
    await complete_all(store)
    return store


def citation(root: Path) -> str:
    """What is written."""
    return (root / "CITATION.txt").read_text(encoding="utf-8")


async def test_a_description_is_believed_for_a_month(tmp_path: Path) -> None:
    """Then it is requested again; the absence of one is believed as long."""
    library, store, clock = LocalLibrary(tmp_path), await stored("A", "B"), FakeClock()
    archive = MemoryArchive(name="tcia", descriptions={"A": LUNGS})

    async def write() -> int:
        """Write everything; how often the archive was asked for it."""
        before = archive.described
        await write_described_metadata(library.index, store, {"tcia": archive}, clock)
        return archive.described - before

    assert await write() == 1
    assert "    Lungs\n    More\n" in citation(tmp_path)
    assert "Cite as: https://doi.org/lungs" in citation(tmp_path)
    assert citation(tmp_path).count("Cite as: not given by the archive") == 1
    clock.elapsed_seconds = 29 * DAY_SECONDS
    archive.descriptions = {"A": CollectionDescription(text="Other words")}
    assert await write() == 0
    clock.elapsed_seconds = 30 * DAY_SECONDS
    assert await write() == 1
    assert "    Other words\n" in citation(tmp_path)


async def test_other_archives_and_failures_change_nothing(tmp_path: Path) -> None:
    """What was said once stays, whichever run writes the file later, and whatever fails then."""
    library, clock = LocalLibrary(tmp_path), FakeClock()
    archive = MemoryArchive(name="tcia", descriptions={"A": LUNGS})
    await write_described_metadata(library.index, await stored("A"), {"tcia": archive}, clock)
    store = await stored("A", "B")
    await write_metadata(library.index, store)
    await write_described_metadata(library.index, store, {"another": MemoryArchive(name="another")}, clock)
    archive.failures = [ArchiveBusyError("busy")]
    await write_described_metadata(library.index, store, {"tcia": archive}, clock)
    assert citation(tmp_path).count("    Lungs") == 1
    archive.descriptions["B"] = CollectionDescription(text="Brains")
    await write_described_metadata(library.index, store, {"tcia": archive}, clock)
    assert "    Brains" in citation(tmp_path)
