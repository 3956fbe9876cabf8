"""The quick check: which folders pass it, and how few queries it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloader.maintenance.quick_check import SERIES_AT_ONCE, SeriesKeys
from downloader.maintenance.verification import CheckedSeries, Examination, verify_library
from downloader.pacing import Backoff
from downloader.store.records import StoredPlace, StoredSeries
from downloader.transport.retrying import RetryPolicy
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.library.contract.subjects import MemorySubject
from tests.library.series_streams import SERIES, receipts_of, store


class CountingStore(MemoryStore):
    """Counts what it is asked for each series."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up: list[int] = []
        self.rows = 0

    async def look_up(self, series_instance_uids: Sequence[str]) -> Mapping[str, StoredPlace]:
        self.looked_up.append(len(series_instance_uids))
        return await super().look_up(series_instance_uids)

    async def find_named(self, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
        self.rows += len(series_instance_uids)
        return await super().find_named(series_instance_uids)


@pytest.mark.anyio
async def test_a_sound_library_costs_one_question_for_many_series() -> None:
    """And none for a single one: the rows are read of those alone that do not fit."""
    subject, database = MemorySubject("classic"), CountingStore()
    library = subject.library
    many = [replace(SERIES, series_instance_uid=f"1.2.{number}") for number in range(40)]
    folders = [store(library, series) for series in many]
    await database.restore([(receipt, str(folder)) for folder, receipt in await receipts_of(library)])
    subject.write(folders[7], "more", b"")
    checked: list[CheckedSeries] = []

    async def take(one: CheckedSeries) -> None:
        checked.append(one)

    retry_policy = RetryPolicy(clock=FakeClock(), backoff=Backoff(), attempts=1, draw=Random(1).random)
    examination = Examination(
        reader=library.reader, store=database, workers=4, deep=False, archives=None, retry_policy=retry_policy
    )
    await verify_library(examination, take)
    assert len(checked) == 40
    assert [one.folder for one in checked if one.findings] == [folders[7]]
    assert sum(database.looked_up) == 39
    assert len(database.looked_up) <= -(-40 // SERIES_AT_ONCE) + 4
    # of that one, for its own check and from the store's side, which did not see it
    assert database.rows == 2


@given(st.sets(st.integers(0, 500)))
def test_a_set_of_keys_is_a_set(numbers: set[int]) -> None:
    """Of any numbers, each once or twice taken in."""
    keys = SeriesKeys()
    for number in [*numbers, *numbers]:
        keys.add(number)
    assert {number for number in range(600) if number in keys} == numbers
