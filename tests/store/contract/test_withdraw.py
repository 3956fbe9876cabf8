"""Withdraw: what an earlier resolve wanted and this one did not name."""

from dataclasses import replace

import pytest

from downloader.errors import LeaseLostError
from downloader.store.port import Store
from tests.store.examples import (
    START_AT,
    after,
    claim,
    complete_all,
    drop_wishes,
    enqueue,
    receipt,
    series,
    states,
    uid,
)

pytestmark = pytest.mark.anyio


async def resolve_to(store: Store, manifest: str, *numbers: int) -> int:
    resolve = await store.begin_resolve(manifest, START_AT)
    await enqueue(store, manifest, *map(series, numbers), resolve=resolve)
    return resolve


async def test_what_a_resolve_does_not_name_has_vanished(store: Store) -> None:
    """Counting changes nothing."""
    await resolve_to(store, "m", 1, 2, 3)
    resolve = await resolve_to(store, "m", 2)
    assert await store.count_vanished("m", resolve) == 2
    assert set((await states(store)).values()) == {"pending"}


async def test_vanished_series_are_withdrawn_and_named_in_order(store: Store) -> None:
    """The rest stays as it is."""
    await resolve_to(store, "m", 3, 1, 2)
    resolve = await resolve_to(store, "m", 2)
    assert await store.withdraw_vanished("m", resolve, START_AT) == [uid(1), uid(3)]
    assert await states(store) == {uid(1): "withdrawn", uid(2): "pending", uid(3): "withdrawn"}


async def test_several_batches_of_one_resolve_belong_together(store: Store) -> None:
    """A series counts as named whichever batch named it."""
    await resolve_to(store, "m", 1, 2)
    resolve = await resolve_to(store, "m", 1)
    await enqueue(store, "m", series(2), resolve=resolve)
    assert await store.count_vanished("m", resolve) == 0


async def test_withdrawn_series_do_not_vanish_again(store: Store) -> None:
    """They are counted and named once."""
    await resolve_to(store, "m", 1)
    await store.withdraw_vanished("m", await resolve_to(store, "m"), START_AT)
    resolve = await resolve_to(store, "m")
    assert await store.count_vanished("m", resolve) == 0
    assert await store.withdraw_vanished("m", resolve, START_AT) == []


async def test_what_another_manifest_wants_is_not_withdrawn(store: Store) -> None:
    """It has vanished from this manifest, and stays for the other."""
    await resolve_to(store, "a", 1, 2)
    await resolve_to(store, "b", 1)
    resolve = await resolve_to(store, "a")
    assert await store.count_vanished("a", resolve) == 2
    assert await store.withdraw_vanished("a", resolve, START_AT) == [uid(2)]
    assert await states(store, "a") == {uid(2): "withdrawn"}
    assert await states(store, "b") == {uid(1): "pending"}
    assert await store.count_vanished("a", resolve) == 0


async def test_the_last_manifest_that_wanted_it_withdraws_it(store: Store) -> None:
    """Once no manifest names a series it is withdrawn."""
    await resolve_to(store, "a", 1)
    await resolve_to(store, "b", 1)
    assert await store.withdraw_vanished("a", await resolve_to(store, "a"), START_AT) == []
    assert await store.withdraw_vanished("b", await resolve_to(store, "b"), START_AT) == [uid(1)]


async def test_withdrawing_is_of_one_manifest(store: Store) -> None:
    """Series of other manifests are not looked at, however old their resolve."""
    await resolve_to(store, "old", 1)
    await resolve_to(store, "m", 2)
    resolve = await resolve_to(store, "m", 2)
    assert await store.withdraw_vanished("m", resolve, START_AT) == []
    assert await states(store) == {uid(1): "pending", uid(2): "pending"}


async def test_a_complete_series_keeps_its_folder_when_withdrawn(store: Store) -> None:
    """A quarantine or deletion must find it."""
    await resolve_to(store, "m", 1)
    await complete_all(store)
    await store.withdraw_vanished("m", await resolve_to(store, "m"), START_AT)
    (row,) = [row async for row in store.find()]
    assert (row.state, row.folder) == ("withdrawn", f"LIDC-IDRI/{uid(1)}")


async def test_a_withdrawn_series_tells_since_when(store: Store) -> None:
    """The grace of a policy counts from then, not from the last resolve; coming back ends it."""
    await resolve_to(store, "m", 1)
    await store.withdraw_vanished("m", await resolve_to(store, "m"), after(60))
    await store.withdraw_vanished("m", await resolve_to(store, "m"), after(120))
    (row,) = await store.find_named([uid(1)])
    assert row.withdrawn_at == after(60)
    await resolve_to(store, "m", 1)
    (row,) = await store.find_named([uid(1)])
    assert row.withdrawn_at is None


async def test_a_withdrawn_series_may_lose_its_folder(store: Store) -> None:
    """It stays on record without images; one that is not withdrawn keeps its own."""
    await resolve_to(store, "m", 1, 2)
    await complete_all(store)
    await store.withdraw_vanished("m", await resolve_to(store, "m", 2), START_AT)
    for number in (1, 2, 3):
        await store.forget_folder(uid(number))
    gone, kept = await store.find_named([uid(1), uid(2)])
    assert (gone.state, gone.folder, gone.stored_bytes, gone.completed_at) == ("withdrawn", "", 0, None)
    assert (kept.state, kept.folder) == ("complete", f"LIDC-IDRI/{uid(2)}")
    await resolve_to(store, "m", 1, 2)
    assert await states(store) == {uid(1): "pending", uid(2): "complete"}


async def test_a_claimed_series_that_is_withdrawn_loses_its_claim(store: Store) -> None:
    """Its worker learns of it when it comes back, and no worker claims it again."""
    await resolve_to(store, "m", 1)
    (held,) = await claim(store)
    await store.withdraw_vanished("m", await resolve_to(store, "m"), START_AT)
    with pytest.raises(LeaseLostError):
        await store.complete(held, receipt(held.series), "f")
    assert await states(store) == {uid(1): "withdrawn"}
    assert await claim(store) == []


async def test_an_unknown_manifest_has_nothing_to_withdraw(store: Store) -> None:
    """It is no error to ask."""
    assert await store.count_vanished("m", 1) == 0
    assert await store.withdraw_vanished("m", 1, START_AT) == []


async def test_a_manifest_that_changes_its_mind_withdraws_nothing(store: Store) -> None:
    """What it no longer wants is no longer its own; what no manifest wants and no worker has is forgotten."""
    await resolve_to(store, "m", 1, 2, 3)
    await resolve_to(store, "other", 2)
    resolve = await resolve_to(store, "m", 3)
    assert await drop_wishes(store, "m", resolve) == 2
    assert await store.count_vanished("m", resolve) == 0
    assert await states(store) == {uid(2): "pending", uid(3): "pending"}
    assert (await store.tally()).selected == 2
    assert (await store.tally("m")).selected == 1


async def test_what_the_manifest_still_wants_has_vanished_for_another_reason(store: Store) -> None:
    """The archive no longer lists it."""
    await resolve_to(store, "m", 1, 2)
    resolve = await resolve_to(store, "m", 2)
    assert await drop_wishes(store, "m", resolve, lambda _series: True) == 0
    assert await store.count_vanished("m", resolve) == 1


async def test_what_is_in_the_library_is_not_forgotten_with_the_wish(store: Store) -> None:
    """A library keeps its images whether or not a manifest still wants them."""
    await resolve_to(store, "m", 1)
    await complete_all(store, "m")
    resolve = await resolve_to(store, "m", 2)
    assert await drop_wishes(store, "m", resolve) == 1
    assert await states(store) == {uid(1): "complete", uid(2): "pending"}


async def test_forgetting_a_claimed_series_ends_its_claim(store: Store) -> None:
    """Its worker learns of it when it comes back."""
    await resolve_to(store, "m", 1)
    (held,) = await claim(store)
    await drop_wishes(store, "m", await resolve_to(store, "m"))
    with pytest.raises(LeaseLostError):
        await store.complete(held, receipt(held.series), "f")
    assert await states(store) == {}


async def test_a_manifest_may_change_its_mind_about_many(store: Store) -> None:
    """However many pages they fill, and whatever stays between them."""
    await resolve_to(store, "m", *range(2500))
    resolve = await resolve_to(store, "m")
    even = {uid(number) for number in range(0, 2500, 2)}
    assert await drop_wishes(store, "m", resolve, lambda found: found.series_instance_uid in even) == 1250
    assert set(await states(store)) == even


async def test_series_that_the_catalogue_does_not_list_can_be_wanted_by_name(store: Store) -> None:
    """So that an attempt tells why; what was listed once and is complete is left to vanish."""
    await resolve_to(store, "m", 1)
    await complete_all(store, "m")
    resolve = await resolve_to(store, "m", 2)
    assert (await store.enqueue_unlisted("m", resolve, "tcia", [uid(1), uid(9)])).new_series == (uid(9),)
    assert await states(store) == {uid(1): "complete", uid(2): "pending", uid(9): "pending"}
    assert await store.count_vanished("m", resolve) == 1


async def test_comparing_tells_what_enqueueing_would_find_and_changes_nothing(store: Store) -> None:
    """New, pending, complete, changed."""
    await resolve_to(store, "m", 1, 2)
    await complete_all(store, "m")
    await resolve_to(store, "m", 1, 2, 3)
    before = await states(store)
    batch = [series(4), series(3), series(1), replace(series(2), image_count=99)]
    assert await store.compare(batch) == ["new", "pending", "complete", "changed"]
    assert await states(store) == before
