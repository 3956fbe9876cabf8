"""What a library knows about itself, the files that describe it, and what dead runs left."""

from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath

import pytest

from downloader.config.options import StorageFormat
from downloader.library.model import CHANGES, RUNS, LibraryConfig, MetadataRow, StoredDescription
from downloader.library.port import LibraryParts
from tests.fakes.clock import START_AT
from tests.library.contract.subjects import Subject
from tests.library.series_streams import SERIES, store

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["flat"])
def layout(request: pytest.FixtureRequest) -> str:
    """No other matters here."""
    layout: str = request.param
    return layout


async def test_the_config_is_as_it_was_written(library: LibraryParts) -> None:
    """None where there is none yet."""
    assert await library.state.config() is None
    config = LibraryConfig(layout="idc", format=StorageFormat.ZIP, is_moving=True)
    await library.state.write_config(config)
    assert await library.state.config() == config


async def test_a_library_has_one_identity(library: LibraryParts) -> None:
    """Once it was given one."""
    assert await library.state.identity() == ""
    identity = await library.state.make_identity(START_AT)
    assert identity
    assert await library.state.identity() == identity


async def test_a_pause_lasts_until_it_is_ended(library: LibraryParts) -> None:
    """The second order of a kind changes nothing, and says so."""
    state = library.state
    assert not await state.is_paused()
    assert [await state.pause(START_AT), await state.pause(START_AT)] == [True, False]
    assert await state.is_paused()
    assert [await state.resume(), await state.resume()] == [True, False]
    assert not await state.is_paused()


async def test_records_are_read_newest_first_and_by_pages(library: LibraryParts) -> None:
    """Those of one kind and manifest, or all; each page goes on before the last of the one before."""
    for minute in range(5):
        document = {"manifest": "even" if minute % 2 == 0 else "odd", "minute": minute}
        await library.state.write_record(RUNS, START_AT + timedelta(minutes=minute), document)
    records = await library.state.read_records(RUNS)
    assert [record.document["minute"] for record in records] == [4, 3, 2, 1, 0]
    odd = await library.state.read_records(RUNS, manifest="odd")
    assert [record.document["minute"] for record in odd] == [3, 1]
    page = await library.state.read_records(RUNS, before=records[1].name, limit=2)
    assert [record.document["minute"] for record in page] == [2, 1]
    assert await library.state.read_records(CHANGES) == []
    assert await library.state.free_bytes() > 0


async def test_the_table_is_due_while_the_library_is_not_what_it_says(subject: Subject) -> None:
    """Until it is written anew: after a series came, and after an expected change."""
    index = subject.library.index
    assert not await index.metadata_is_due()
    assert await index.listed_series() is None
    folder = store(subject.library, SERIES)
    assert await index.metadata_is_due()
    table = await index.begin_metadata()
    await table.add([MetadataRow(series=SERIES, folder=folder, stored_bytes=1, completed_at=START_AT)])
    await table.add([])
    assert await index.listed_series() is None
    await table.commit()
    assert await index.listed_series() == 1
    assert not await index.metadata_is_due()
    await index.expect_metadata()
    assert await index.metadata_is_due()


async def test_descriptions_are_kept(library: LibraryParts) -> None:
    """In place of those before."""
    described = StoredDescription(archive="tcia", collection="A", text="Lungs", uri="https://doi.org/a", asked_at=START_AT)
    assert await library.index.descriptions() == ()
    await library.index.keep_descriptions([described])
    await library.index.keep_descriptions([replace(described, text="Brains")])
    assert [one.text for one in await library.index.descriptions()] == ["Brains"]
    await library.index.write_citations([])


async def test_a_new_library_has_no_leftovers(subject: Subject) -> None:
    """And clearing them touches no series."""
    folder = store(subject.library, SERIES)
    leftovers = subject.library.leftovers
    assert await leftovers.staged_series() == []
    assert await leftovers.whole_staged() == []
    assert await leftovers.clear_staging() == 0
    assert await subject.library.reader.is_whole(PurePosixPath(folder), SERIES.series_instance_uid)
