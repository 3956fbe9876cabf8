"""What those who mend a library do to its store."""

from dataclasses import replace

import pytest

from downloader.errors import LeaseLostError
from downloader.model import SeriesState, SeriesTally
from downloader.store.port import Store
from tests.store.examples import START_AT, claim, complete_all, enqueue, grown, receipt, series, states, uid

pytestmark = pytest.mark.anyio


async def test_what_lies_proven_in_the_library_is_restored(store: Store) -> None:
    """Complete, wanted by no manifest, with its own archive; a manifest that wants it later finds it complete."""
    await store.restore([(receipt(series(1)), "a/1"), (receipt(series(2), archive="nlst"), "a/2")])
    assert await store.tally() == SeriesTally(complete=2, images=6, stored_bytes=6000, expected_images=6, expected_bytes=6000)
    assert await store.manifests() == []
    assert await store.archives() == ["nlst", "tcia"]
    (row,) = await store.find_named([uid(2), uid(3)])
    assert (row.archive, row.folder, row.stored_bytes, row.completed_at) == ("nlst", "a/2", 3000, receipt(series(2)).completed_at)
    assert (await enqueue(store, "m", series(1), series(2))).known == 2
    assert (await store.tally("m")).complete == 2


async def test_restore_brings_a_known_series_up_to_date(store: Store) -> None:
    """Its plans and its claims are over."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await store.restore([(replace(receipt(series(1)), received_bytes=0), "elsewhere")])
    assert await states(store, "m") == {uid(1): "complete"}
    assert await store.next_due_seconds("m") is None
    with pytest.raises(LeaseLostError):
        await store.complete(held, receipt(series(1)), "a/1")
    (row,) = await store.find_named([uid(1)])
    assert row.folder == "elsewhere"


async def test_series_that_were_moved_are_found_in_their_new_folders(store: Store) -> None:
    """Whatever their state, while something of them lies in the library; the rest of the row stays as it is."""
    await enqueue(store, "m", series(1), series(2), series(3))
    for held in (await claim(store))[:2]:
        await store.complete(held, receipt(held.series), "old/place")
    await enqueue(store, "m", grown(series(2)))
    before = await store.find_named([uid(1), uid(2), uid(3)])
    await store.relocate([(uid(1), "new/1"), (uid(2), "new/2"), (uid(3), "new/3"), (uid(9), "new/9")])
    after = await store.find_named([uid(1), uid(2), uid(3), uid(9)])
    assert [row.folder for row in after] == ["new/1", "new/2", ""]
    assert [replace(row, folder="") for row in after] == [replace(row, folder="") for row in before]


async def test_a_forgotten_manifest_leaves_its_series(store: Store) -> None:
    """To the manifests that want them too, or to none."""
    await enqueue(store, "a", series(1), series(2))
    await enqueue(store, "b", series(2))
    await complete_all(store, "a")
    await store.forget_manifest("a")
    await store.forget_manifest("never there")
    assert await store.manifests() == ["b"]
    assert await store.tally("a") == SeriesTally()
    assert await states(store) == {uid(1): "complete", uid(2): "complete"}
    assert await states(store, "b") == {uid(2): "complete"}
    assert await store.begin_resolve("a", START_AT) == 1


async def test_where_series_lie_is_looked_up_by_their_names(store: Store) -> None:
    """Complete ones and others, in any number; those that are not known are left out. Keys are those of `places`."""
    await enqueue(store, "m", series(1), series(2))
    held, *_ = await claim(store)
    await store.complete(held, receipt(held.series), "a/1")
    found = await store.look_up([uid(1), uid(2), uid(3)])
    assert {name: (place.state, place.folder, place.stored_bytes) for name, place in found.items()} == {
        uid(1): (SeriesState.COMPLETE, "a/1", 3000),
        uid(2): (SeriesState.CLAIMED, "", 0),
    }
    page = await store.places()
    assert (page.places, page.keys) == (((uid(1), "a/1"),), (found[uid(1)].key,))
    assert await store.look_up([]) == {}
