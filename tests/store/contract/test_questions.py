"""What people and reports ask: tally, failures, find, manifests."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from downloader.model import Series, SeriesState, SeriesTally
from downloader.store.port import Store
from downloader.store.records import CycleNote, SeriesFilter
from tests.store.examples import (
    START_AT,
    after,
    claim,
    complete_all,
    enqueue,
    fail_all,
    grown,
    series,
    states,
    uid,
)

pytestmark = pytest.mark.anyio


async def test_an_empty_store_counts_nothing(store: Store) -> None:
    """And knows no manifest."""
    assert await store.tally() == SeriesTally()
    assert await store.tally("unknown") == SeriesTally()
    assert await store.manifests() == []
    assert await store.failures("unknown") == []
    assert [row async for row in store.find("unknown")] == []


async def test_tally_counts_series_images_and_bytes(store: Store) -> None:
    """Each state, what is stored of the complete ones, and what is expected of all but the withdrawn."""
    await enqueue(store, "m", series(1), series(2))
    await complete_all(store)
    await enqueue(store, "m", series(3, image_count=5, file_size_bytes=None))
    await fail_all(store)
    await enqueue(store, "m", series(4))
    await claim(store)
    resolve = await store.begin_resolve("m", START_AT)
    await enqueue(store, "m", series(1), series(3, image_count=5), series(5), resolve=resolve)
    await enqueue(store, "m", series(4), resolve=resolve)
    await store.withdraw_vanished("m", resolve, START_AT)
    assert await store.tally("m") == SeriesTally(
        pending=2,
        claimed=1,
        complete=1,
        failed=0,
        withdrawn=1,
        images=3,
        stored_bytes=3000,
        expected_images=3 + 5 + 3 + 3,
        expected_bytes=3000 + 3000 + 3000 + 3000,
    )


async def test_tally_is_of_one_manifest_or_of_all(store: Store) -> None:
    """A series that two manifests want counts for both, and once for the library."""
    await enqueue(store, "a", series(1), series(2))
    await enqueue(store, "b", series(2))
    await complete_all(store, "b")
    assert (await store.tally("a")).complete == 1
    assert (await store.tally("a")).pending == 1
    assert (await store.tally("b")).selected == 1
    assert await store.tally() == await store.tally("a")


async def test_tally_follows_every_change(store: Store) -> None:
    """Of a changed series the stored images no longer count, and the expected ones are the newest."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    await enqueue(store, "m", grown(series(1)))
    assert await store.tally() == SeriesTally(pending=1, expected_images=4, expected_bytes=3000)


async def test_failures_are_sorted_and_of_one_manifest_or_of_all(store: Store) -> None:
    """By SeriesInstanceUID."""
    await enqueue(store, "a", series(3), series(1))
    await enqueue(store, "b", series(2))
    await fail_all(store, "a")
    await fail_all(store, "b")
    assert [failure.series_instance_uid for failure in await store.failures()] == [uid(1), uid(2), uid(3)]
    assert [failure.series_instance_uid for failure in await store.failures("b")] == [uid(2)]


async def test_find_gives_rows_in_the_archives_order(store: Store) -> None:
    """Of the library, of one manifest, in one state, or both."""
    await enqueue(store, "a", series(3), series(1))
    await enqueue(store, "b", series(2))
    await complete_all(store, "b")
    await enqueue(store, "b", series(4))

    async def found(manifest: str | None = None, state: SeriesState | None = None) -> list[str]:
        return [row.series.series_instance_uid async for row in store.find(manifest, state)]

    assert await found() == [uid(3), uid(1), uid(2), uid(4)]
    assert await found("b") == [uid(2), uid(4)]
    assert await found(state=SeriesState.PENDING) == [uid(3), uid(1), uid(4)]
    assert await found("b", SeriesState.PENDING) == [uid(4)]
    assert await found("a", SeriesState.COMPLETE) == []


async def test_find_gives_every_row_however_many_pages(store: Store) -> None:
    """Each once."""
    await enqueue(store, "m", *map(series, range(2500)))
    found = [row.series.series_instance_uid async for row in store.find("m", SeriesState.PENDING)]
    assert found == [uid(number) for number in range(2500)]
    assert len(await states(store)) == len(await states(store, "m")) == 2500


async def test_rows_may_change_while_they_are_read(store: Store) -> None:
    """A caller that goes through the store may act on what it finds."""
    await enqueue(store, "m", *map(series, range(1200)))
    found = []
    async for row in store.find(state=SeriesState.PENDING):
        found.append(row.series.series_instance_uid)
        await claim(store, limit=1)
    assert found == [uid(number) for number in range(1200)]
    assert await states(store, "m") == dict.fromkeys(found, "claimed")


async def page(store: Store, limit: int = 100, **wanted: str) -> list[str]:
    """All that fits, by pages."""
    found: list[str] = []
    after: int | None = 0
    while after is not None:
        part = await store.find_page(SeriesFilter(**wanted), after=after, limit=limit)  # type: ignore[arg-type]  # texts
        assert len(part.rows) <= limit
        found += [row.series.series_instance_uid for row in part.rows]
        after = part.next_after
    return found


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_pages_hold_what_fits_in_the_archives_order(store: Store, limit: int) -> None:
    """By state, manifest, collection and text, without case, and all of them together."""
    await enqueue(store, "a", series(3), replace(series(1), patient_id="LUNG_7%"), replace(series(4), collection="Other"))
    await enqueue(store, "b", series(2))
    await fail_all(store, "b")
    everything = [uid(3), uid(1), uid(4), uid(2)]
    assert await page(store, limit) == everything
    assert await page(store, limit, state=SeriesState.FAILED) == [uid(2)]
    assert await page(store, limit, state=SeriesState.PENDING, manifest="a") == everything[:3]
    assert await page(store, limit, collection="lidc-idri") == [uid(3), uid(1), uid(2)]
    assert await page(store, limit, text="lung_7%") == [uid(1)]
    assert await page(store, limit, text="7_") == []
    assert await page(store, limit, text="no zip") == [uid(2)]
    assert await page(store, limit, manifest="a", collection="Other", text=uid(4)) == [uid(4)]
    assert await page(store, limit, manifest="unknown") == []


async def test_what_is_rare_is_found_among_many(store: Store) -> None:
    """However far apart its keys are."""
    for start in range(0, 25_000, 5_000):
        await enqueue(store, "m", *map(series, range(start, start + 5_000)))
    assert await page(store, text=uid(24_999)) == [uid(24_999)]


async def test_the_last_cycle_of_a_manifest_is_kept(store: Store) -> None:
    """And when one last succeeded, which a failure does not undo."""
    assert await store.cycles() == {}
    good = CycleNote(began_at=after(0), ended_at=after(60), outcome="complete", exit_code=0, error="")
    await store.note_cycle("m", good)
    assert await store.cycles() == {"m": replace(good, succeeded_at=after(60))}
    bad = CycleNote(began_at=after(100), ended_at=after(160), outcome="failed", exit_code=4, error="no route")
    await store.note_cycle("m", bad)
    await store.begin_resolve("other", START_AT)
    assert await store.cycles() == {"m": replace(bad, succeeded_at=after(60))}


async def test_one_series_can_be_retried(store: Store) -> None:
    """The others stay failed."""
    await enqueue(store, "m", series(1), series(2))
    await fail_all(store)
    assert await store.retry(series_instance_uid=uid(2)) == 1
    assert await store.retry("other", uid(1)) == 0
    assert await states(store) == {uid(1): "failed", uid(2): "pending"}


async def fail_by(store: Store, *rows: Series, errors: Mapping[str, str]) -> None:
    """Each of these series fails with the error of its SeriesInstanceUID."""
    await enqueue(store, "m", *rows)
    for held in await claim(store, limit=len(rows)):
        error = errors[held.series.series_instance_uid]
        await store.fail(held, error=error, message=f"{error} of {held.series.patient_id}", rest_seconds=3600.0)


async def test_failures_are_counted_by_error_and_collection(store: Store) -> None:
    """The largest group first, with one message and the times of the next retries; retry and pages take a group."""
    rows = [replace(series(n), collection=name) for n, name in ((1, "LIDC"), (2, "LIDC"), (3, "NLST"))]
    cut, corrupt = "CutTransferError", "CorruptZipError"
    await fail_by(store, *rows, errors={uid(1): cut, uid(2): cut, uid(3): corrupt})
    groups = await store.failure_groups()
    assert [(group.error, group.collection, group.series) for group in groups] == [(cut, "LIDC", 2), (corrupt, "NLST", 1)]
    page = await store.find_page(SeriesFilter(state=SeriesState.FAILED))
    retries = sorted(row.rests_until_at for row in page.rows if row.rests_until_at and row.error == cut)
    assert (groups[0].first_retry_at, groups[0].last_retry_at) == (retries[0], retries[-1])
    assert groups[0].message.startswith(cut)
    assert await store.failure_groups("other") == []
    page = await store.find_page(SeriesFilter(state=SeriesState.FAILED, error=corrupt))
    assert [row.series.series_instance_uid for row in page.rows] == [uid(3)]
    assert await store.retry(collection="NLST", error=cut) == 0
    assert await store.retry(collection="LIDC", error=cut) == 2
    assert [group.series for group in await store.failure_groups()] == [1]


async def test_manifests_are_known_from_their_first_resolve_on(store: Store) -> None:
    """Sorted by name."""
    await store.begin_resolve("b", START_AT)
    await store.begin_resolve("a", START_AT)
    await store.begin_resolve("b", START_AT)
    assert await store.manifests() == ["a", "b"]
