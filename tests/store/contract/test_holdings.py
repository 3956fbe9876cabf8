"""The figures of a library's report, counted in one pass."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from downloader.model import Series, SeriesState
from downloader.store.holdings import HeldAmount, HeldGroup, HeldLicence, Holdings
from downloader.store.port import Store
from tests.store.examples import claim, complete_all, enqueue, fail_all, receipt, series, uid, whole_series

pytestmark = pytest.mark.anyio


def of(number: int, collection: str, patient_id: str, study: str, modality: str = "CT") -> Series:
    return replace(series(number), collection=collection, patient_id=patient_id, study_instance_uid=study, modality=modality)


async def test_an_empty_store_holds_nothing(store: Store) -> None:
    """No groups, no hours, nothing."""
    assert await store.holdings() == Holdings()


async def test_series_are_grouped_by_collection_modality_and_state(store: Store) -> None:
    """With what is stored and what is expected; what the catalogue does not tell is left out."""
    await enqueue(store, "m", of(1, "A", "p", "1.1"), of(2, "A", "p", "1.1"), of(3, "A", "p", "1.1", "MR"))
    await complete_all(store)
    await enqueue(store, "m", series(4, image_count=None, file_size_bytes=None))
    held = {(group.collection, group.modality, group.state): group.amount for group in (await store.holdings()).groups}
    assert held == {
        ("A", "CT", SeriesState.COMPLETE): HeldAmount(
            series=2, images=6, stored_bytes=6000, expected_images=6, expected_bytes=6000
        ),
        ("A", "MR", SeriesState.COMPLETE): HeldAmount(
            series=1, images=3, stored_bytes=3000, expected_images=3, expected_bytes=3000
        ),
        ("LIDC-IDRI", "", SeriesState.PENDING): HeldAmount(series=1),
    }


async def test_patients_and_studies_are_those_with_complete_series(store: Store) -> None:
    """Each once, however many series they have; a patient of two collections counts in both."""
    await enqueue(store, "m", of(1, "A", "p", "1.1"), of(2, "A", "p", "1.2"), of(3, "A", "q", "1.3"), of(4, "B", "p", "1.4"))
    await complete_all(store)
    await enqueue(store, "m", of(5, "A", "r", "1.5"))
    holdings = await store.holdings()
    assert holdings.patients == {"A": 2, "B": 1}
    assert holdings.studies == {"A": 3, "B": 1}


async def test_licences_are_counted_by_collection(store: Store) -> None:
    """With the page of the data, which carries the DOI; those not told are empty."""
    told = whole_series()
    await enqueue(store, "m", told, replace(series(2), collection=told.collection), replace(told, series_instance_uid=uid(3)))
    await complete_all(store)
    assert set((await store.holdings()).licences) == {
        HeldLicence(
            collection=told.collection,
            license_name=told.license_name,
            license_uri=told.license_uri,
            data_description_uri=told.data_description_uri,
            series=2,
        ),
        HeldLicence(collection=told.collection, license_name="", license_uri="", data_description_uri="", series=1),
    }


async def test_sizes_and_hours_are_those_of_complete_series(store: Store) -> None:
    """Sizes are rounded down to one digit; hours are those in which series became complete."""
    await enqueue(store, "m", *map(series, range(3)))
    for held, images in zip(await claim(store), (3, 12, 19), strict=True):
        await store.complete(held, receipt(held.series, images=images), held.series.series_instance_uid)
    await enqueue(store, "m", series(9))
    holdings = await store.holdings()
    assert holdings.sizes == {3000: 1, 10_000: 2}
    (hour,) = holdings.hours
    assert hour == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert (holdings.hours[hour].series, holdings.hours[hour].images, holdings.hours[hour].stored_bytes) == (3, 34, 34_000)


async def test_failures_are_counted_by_their_error(store: Store) -> None:
    """Those that failed and nothing else; the group tells that they hold nothing."""
    await enqueue(store, "m", series(1), series(2))
    await fail_all(store)
    holdings = await store.holdings()
    assert holdings.errors == {"CorruptZipError": 2}
    expected = HeldAmount(series=2, expected_images=6, expected_bytes=6000)
    assert holdings.groups == (HeldGroup(collection="LIDC-IDRI", modality="", state=SeriesState.FAILED, amount=expected),)


async def test_the_figures_sum_to_the_tally(store: Store) -> None:
    """Whatever state series are in."""
    await enqueue(store, "m", *map(series, range(5)))
    for held in (await claim(store, limit=4))[:2]:
        await store.complete(held, receipt(held.series), held.series.series_instance_uid)
    await enqueue(store, "n", *map(series, range(7, 9)))
    tally, groups = await store.tally(), (await store.holdings()).groups
    complete = sum((group.amount for group in groups if group.state is SeriesState.COMPLETE), HeldAmount())
    everything = sum((group.amount for group in groups), HeldAmount())
    assert (complete.series, complete.images, complete.stored_bytes) == (tally.complete, tally.images, tally.stored_bytes)
    assert (everything.expected_images, everything.expected_bytes) == (tally.expected_images, tally.expected_bytes)
