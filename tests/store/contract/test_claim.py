"""Claim and extend: a worker's right to a series, and until when."""

from datetime import timedelta

import pytest

from downloader.errors import LeaseLostError
from downloader.model import Claim, FetchOrder
from downloader.store.port import Store
from downloader.store.records import LONGEST_DELAY
from tests.store.examples import ARCHIVE, after, claim, enqueue, receipt, series, states, turn_to, uid, uids

pytestmark = pytest.mark.anyio


async def test_a_claim_tells_everything_a_worker_needs(store: Store) -> None:
    """Series, archive, attempt, and a name of the claim's own."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    assert held == Claim(series=series(1), archive=ARCHIVE, attempt=1, claim_id=held.claim_id)
    assert held.claim_id
    assert await states(store) == {uid(1): "claimed"}


async def test_a_series_is_claimed_once(store: Store) -> None:
    """While the lease holds no other worker gets it."""
    await enqueue(store, "m", series(1))
    await claim(store)
    assert await claim(store, owner="w2", at=after(59)) == []


async def test_what_a_clock_that_was_wrong_dated_is_due_at_once(store: Store) -> None:
    """No wait lasts for years: no delay is that long, and no lease."""
    await enqueue(store, "m", series(1), series(2), series(3))
    delayed, dated, held = await claim(store, limit=3)
    await store.extend([held], 2 * LONGEST_DELAY.total_seconds())
    await store.set_back(delayed, delay_seconds=LONGEST_DELAY.total_seconds(), error="", message="", count_attempt=True)
    await store.set_back(dated, delay_seconds=2 * LONGEST_DELAY.total_seconds(), error="", message="", count_attempt=True)
    assert uids(await claim(store, owner="w2", limit=9)) == [uid(2), uid(3)]


async def test_no_more_than_the_limit_are_claimed(store: Store) -> None:
    """The rest stays for others."""
    await enqueue(store, "m", *map(series, range(5)))
    assert len(await claim(store, limit=2)) == 2
    assert len(await claim(store, limit=10)) == 3


async def test_only_series_of_the_manifest_are_claimed(store: Store) -> None:
    """Also when others are older."""
    await enqueue(store, "other", series(1))
    await enqueue(store, "m", series(2))
    assert uids(await claim(store)) == [uid(2)]
    assert await claim(store, "unknown") == []


async def test_archive_order_is_the_order_of_enqueuing(store: Store) -> None:
    """Across batches, and whatever the UIDs."""
    await enqueue(store, "m", series(5), series(3))
    await enqueue(store, "m", series(4), series(5), series(1))
    assert uids(await claim(store)) == [uid(5), uid(3), uid(4), uid(1)]


@pytest.mark.parametrize(
    ("order", "expected"),
    [(FetchOrder.SMALLEST_FIRST, [3, 1, 4, 2]), (FetchOrder.LARGEST_FIRST, [4, 1, 3, 2])],
)
async def test_order_by_size_puts_unknown_sizes_last(store: Store, order: FetchOrder, expected: list[int]) -> None:
    """By FileSize, either way."""
    sizes = {1: 20, 2: None, 3: 10, 4: 30}
    batch = [series(number, file_size_bytes=size) for number, size in sizes.items()]
    await enqueue(store, "m", *batch)
    claimed = [uids(await claim(store, order=order, limit=1)) for _ in batch]
    assert claimed == [[uid(number)] for number in expected]


async def test_order_by_size_follows_the_newest_size(store: Store) -> None:
    """What the catalogue says now decides."""
    await enqueue(store, "m", series(1, file_size_bytes=10), series(2, file_size_bytes=20))
    await enqueue(store, "m", series(1, file_size_bytes=30))
    assert uids(await claim(store, order=FetchOrder.SMALLEST_FIRST)) == [uid(2), uid(1)]


async def test_a_series_set_back_is_not_due_before_its_time(store: Store) -> None:
    """And is in its old place when it is due."""
    await enqueue(store, "m", series(1), series(2))
    (held,) = await claim(store, limit=1)
    await store.set_back(held, delay_seconds=30, error="E", message="m", count_attempt=True)
    assert uids(await claim(store, at=after(29), limit=1)) == [uid(2)]
    assert uids(await claim(store, at=after(30))) == [uid(1)]


async def test_each_claim_counts_as_an_attempt(store: Store) -> None:
    """Also when the worker never comes back, so that a series which kills the process runs out of attempts."""
    await enqueue(store, "m", series(1))
    attempts = [(await claim(store, at=after(seconds)))[0].attempt for seconds in (0, 60, 120)]
    assert attempts == [1, 2, 3]


async def test_a_lease_that_ran_out_is_free_for_others(store: Store) -> None:
    """In its place in the order; its old owner has lost it."""
    await enqueue(store, "m", series(1), series(2))
    (held,) = await claim(store, limit=1)
    (again,) = await claim(store, owner="w2", at=after(60), limit=1)
    assert (again.series, again.attempt) == (series(1), 2)
    assert again.claim_id != held.claim_id
    assert await store.extend([held, again], 200) == [held]


async def test_a_lease_that_ran_out_is_still_its_owners_while_nobody_took_it(store: Store) -> None:
    """A slow worker may go on: others could have had it, and did not."""
    await enqueue(store, "m", series(1), series(2))
    first, second = await claim(store)
    assert uids(await claim(store, owner="w2", at=after(60), limit=1)) == [uid(1)]
    assert await store.extend([second], 140) == []
    assert await claim(store, owner="w3", at=after(100)) == []
    await store.complete(second, receipt(second.series), "f")
    with pytest.raises(LeaseLostError):
        await store.complete(first, receipt(first.series), "f")


async def test_extending_keeps_the_claim_alive(store: Store) -> None:
    """From now on, by the store's clock."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    turn_to(after(50))
    assert await store.extend([held], 250) == []
    assert await claim(store, owner="w2", at=after(299)) == []
    assert len(await claim(store, owner="w2", at=after(300))) == 1


async def test_an_extended_claim_can_be_used_as_it_was_given(store: Store) -> None:
    """The worker need not carry the newest copy."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await store.extend([held], 300)
    await store.extend([held], 600)
    await store.complete(held, receipt(held.series), "f")
    assert await states(store) == {uid(1): "complete"}


async def test_the_same_owner_does_not_keep_an_earlier_claim(store: Store) -> None:
    """A worker that slept through its lease and claimed again holds the later claim only."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await claim(store, at=after(60))
    assert await store.extend([held], 200) == [held]


async def test_a_claim_of_a_series_that_is_not_there_is_lost(store: Store) -> None:
    """As after a store was replaced under a running worker."""
    stranger = Claim(series=series(9), archive=ARCHIVE, attempt=1, claim_id="of another store")
    assert await store.extend([stranger], 120) == [stranger]


async def test_next_due_is_at_once_while_a_series_may_be_claimed_at_once(store: Store) -> None:
    """A new series need not wait."""
    await enqueue(store, "m", series(1))
    assert await store.next_due_seconds("m") == 0


async def test_next_due_is_the_earliest_delay(store: Store) -> None:
    """Of the pending series of the manifest: claimed ones and those of others do not count."""
    await enqueue(store, "m", series(1), series(2), series(3))
    await enqueue(store, "other", series(4))
    for held, seconds in zip(await claim(store, limit=2), (200, 100), strict=True):
        await store.set_back(held, delay_seconds=seconds, error="E", message="m", count_attempt=True)
    await claim(store, at=after(30))
    assert await store.next_due_seconds("m") == 70


async def test_nothing_is_due_when_nothing_is_pending(store: Store) -> None:
    """Claimed series are no reason to wait; an unknown manifest has none."""
    await enqueue(store, "m", series(1))
    await claim(store)
    assert await store.next_due_seconds("m") is None
    assert await store.next_due_seconds("unknown") is None


async def test_a_lease_that_ran_out_is_not_pending(store: Store) -> None:
    """Also after a claim that passed over it."""
    await enqueue(store, "m", series(1), series(2))
    await claim(store)
    await claim(store, owner="w2", at=after(60), limit=1)
    assert await store.next_due_seconds("m") is None
    assert len(await claim(store, at=after(60) + timedelta(seconds=1))) == 1


async def test_a_claim_can_leave_archives_out(store: Store) -> None:
    """Series of those that want a rest stay where they are in the queue, whatever the order."""
    await enqueue(store, "m", series(1, file_size_bytes=10), series(4, file_size_bytes=40), archive="tired")
    await enqueue(store, "m", series(2, file_size_bytes=30), series(3, file_size_bytes=20), resolve=1, archive="well")
    assert await claim(store, archives=[]) == []
    assert await claim(store, archives=["unknown"]) == []
    for order, expected in (
        (FetchOrder.ARCHIVE, uid(2)),
        (FetchOrder.SMALLEST_FIRST, uid(3)),
        (FetchOrder.LARGEST_FIRST, uid(2)),
    ):
        (held,) = await claim(store, archives=["well"], order=order, limit=1)
        assert held.series.series_instance_uid == expected
        await store.set_back(held, delay_seconds=0, error="", message="", count_attempt=False)
    assert uids(await claim(store, archives=["well"])) == [uid(2), uid(3)]
    assert uids(await claim(store)) == [uid(1), uid(4)]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (FetchOrder.ARCHIVE, [1, 2, 3, 4, 5]),
        (FetchOrder.SMALLEST_FIRST, [1, 4, 3, 2, 5]),
        (FetchOrder.LARGEST_FIRST, [2, 3, 4, 1, 5]),
    ],
)
async def test_series_of_several_archives_are_one_queue(store: Store, order: FetchOrder, expected: list[int]) -> None:
    """The order is that of all of them, not of one archive after the other."""
    for number, size_bytes in enumerate([10, 40, 30, 20, None], start=1):
        await enqueue(store, "m", series(number, file_size_bytes=size_bytes), resolve=None, archive=f"a{number % 2}")
    assert uids(await claim(store, order=order, limit=2)) == [uid(number) for number in expected[:2]]
    assert uids(await claim(store, order=order)) == [uid(number) for number in expected[2:]]


async def test_a_series_that_another_archive_lists_now_is_claimed_of_that(store: Store) -> None:
    """The newest resolve says where it is to be had."""
    await enqueue(store, "m", series(1), archive="former")
    await enqueue(store, "m", series(1), archive="newer")
    assert await claim(store, archives=["former"]) == []
    (held,) = await claim(store, archives=["newer"])
    assert held.archive == "newer"


async def test_next_due_can_leave_archives_out(store: Store) -> None:
    """What waits for an archive that wants a rest is no reason to look into the queue."""
    await enqueue(store, "m", series(1), archive="tired")
    await enqueue(store, "m", series(2), resolve=1, archive="well")
    (held,) = await claim(store, archives=["well"])
    assert await store.next_due_seconds("m", ["well"]) is None
    await store.set_back(held, delay_seconds=30, error="E", message="m", count_attempt=True)
    assert await store.next_due_seconds("m", ["well"]) == 30
    assert await store.next_due_seconds("m", ["tired", "well"]) == 0
    assert await store.next_due_seconds("m", []) is None
