"""How a claim ends: complete, set back, failed, released; and what brings a series back."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from downloader.errors import LeaseLostError
from downloader.model import Claim, Digests, Failure, SeriesState
from downloader.store.port import Store
from downloader.store.records import StoredSeries
from tests.store.examples import (
    CT,
    after,
    claim,
    complete_all,
    enqueue,
    fail_all,
    receipt,
    series,
    session,
    states,
    uid,
    uids,
)

pytestmark = pytest.mark.anyio


async def complete(store: Store, held: Claim) -> None:
    await store.complete(held, receipt(held.series), "f")


async def set_back(store: Store, held: Claim) -> None:
    await store.set_back(held, delay_seconds=0, error="E", message="m", count_attempt=True)


async def fail(store: Store, held: Claim) -> None:
    await store.fail(held, error="E", message="m")


ENDINGS = pytest.mark.parametrize("end", [complete, set_back, fail])


async def test_complete_records_what_was_stored(store: Store) -> None:
    """State, folder, bytes, time and archive; an error of an earlier attempt is gone."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await set_back(store, held)
    (held,) = await claim(store)
    await store.complete(held, receipt(series(1), archive="mirror"), "LIDC-IDRI/x")
    assert [row async for row in store.find()] == [
        StoredSeries(
            series=series(1),
            archive="mirror",
            state=SeriesState.COMPLETE,
            attempts=2,
            error="",
            message="",
            folder="LIDC-IDRI/x",
            stored_bytes=3000,
            completed_at=after(60),
            sop_class_uid=CT,
            digests=Digests.ALL,
            came_with_list=True,
        )
    ]


async def test_complete_records_the_figures_that_were_proven(store: Store) -> None:
    """Not those that the claim carried: the catalogue may have been asked again."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    proven = replace(held.series, image_count=2, file_size_bytes=2000)
    await store.complete(held, receipt(proven, images=2), "f")
    (row,) = [row async for row in store.find()]
    assert row.series == proven


async def test_complete_series_are_not_claimed(store: Store) -> None:
    """However late."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    assert await claim(store, at=after(10**6)) == []


async def test_setting_back_records_why(store: Store) -> None:
    """The series is pending with its attempt counted."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await store.set_back(held, delay_seconds=5, error="CutTransferError", message="cut", count_attempt=True)
    (row,) = [row async for row in store.find()]
    assert (row.state, row.attempts, row.error, row.message) == ("pending", 1, "CutTransferError", "cut")


async def test_setting_back_can_take_the_attempt_back(store: Store) -> None:
    """As when the run was interrupted: the next attempt has the same number."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await store.set_back(held, delay_seconds=0, error="", message="", count_attempt=False)
    (held,) = await claim(store)
    assert held.attempt == 1


async def test_failed_series_are_not_tried_again(store: Store) -> None:
    """They are listed with their reason, and not claimed."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await store.fail(held, error="CorruptZipError", message="no ZIP")
    assert await claim(store, at=after(10**6)) == []
    assert await store.failures() == [Failure(series_instance_uid=uid(1), error="CorruptZipError", message="no ZIP", attempts=1)]


@ENDINGS
async def test_a_claim_ends_once(store: Store, end: Callable[[Store, Claim], Awaitable[None]]) -> None:
    """What ended cannot end again, nor be extended."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await end(store, held)
    for late in (complete, set_back, fail):
        with pytest.raises(LeaseLostError):
            await late(store, held)
    assert await store.extend([held], 600) == [held]


@ENDINGS
async def test_a_lost_claim_changes_nothing(store: Store, end: Callable[[Store, Claim], Awaitable[None]]) -> None:
    """The worker that has the series now goes on undisturbed."""
    await enqueue(store, "m", series(1))
    (lost,) = await claim(store)
    (held,) = await claim(store, owner="w2", at=after(60))
    with pytest.raises(LeaseLostError):
        await end(store, lost)
    await complete(store, held)
    assert await states(store) == {uid(1): "complete"}


async def test_retry_makes_failed_series_pending_with_all_attempts(store: Store) -> None:
    """Others stay as they are."""
    await enqueue(store, "m", series(1))
    await fail_all(store)
    await enqueue(store, "other", series(2))
    await complete_all(store, "other")
    assert await store.retry() == 1
    assert await states(store) == {uid(1): "pending", uid(2): "complete"}
    assert await store.failures() == []
    assert [held.attempt for held in await claim(store)] == [1]


async def test_retry_can_be_of_one_manifest(store: Store) -> None:
    """Failed series of others stay failed."""
    await enqueue(store, "a", series(1))
    await enqueue(store, "b", series(2))
    await fail_all(store, "a")
    await fail_all(store, "b")
    assert await store.retry("b") == 1
    assert await states(store) == {uid(1): "failed", uid(2): "pending"}
    assert await store.retry("unknown") == 0


async def test_reopen_makes_a_damaged_series_pending(store: Store) -> None:
    """With all its attempts, the reason on record, and its folder still known."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    assert await store.reopen([uid(1)], message="1-1.dcm is damaged")
    (row,) = [row async for row in store.find()]
    assert (row.state, row.attempts, row.error, row.message) == (
        "pending",
        0,
        "",
        "1-1.dcm is damaged",
    )
    assert row.folder == f"LIDC-IDRI/{uid(1)}"
    assert uids(await claim(store)) == [uid(1)]


async def test_reopen_touches_complete_series_only(store: Store) -> None:
    """What is pending or unknown has nothing to take back."""
    await enqueue(store, "m", series(1))
    assert not await store.reopen([uid(1)], message="m")
    assert not await store.reopen([uid(2)], message="m")
    assert await states(store) == {uid(1): "pending"}


async def test_attempts_without_an_end_are_told_from_those_that_ended(store: Store) -> None:
    """An attempt that was set back has ended, counted or not; one whose owner died has not."""
    await enqueue(store, "m", series(1))
    for count_attempt in (True, False):
        (held,) = await claim(store)
        await store.set_back(held, delay_seconds=0, error="E", message="m", count_attempt=count_attempt)
    for unended in range(3):
        (held,) = await claim(store)
        assert (held.attempt, held.unended_attempts) == (2 + unended, unended)
        await store.recover_claims(session("w1"))
    (held,) = await claim(store)
    await store.fail(held, error="E", message="m")
    await store.retry()
    (held,) = await claim(store)
    assert (held.attempt, held.unended_attempts) == (1, 0)


async def test_the_room_that_a_series_needs_is_kept_until_it_is_complete(store: Store) -> None:
    """And how many downloads ended for want of it; an attempt that ends otherwise changes neither."""
    await enqueue(store, "m", series(1))
    for downloads, needed_bytes in enumerate((10, 20, None)):
        (held,) = await claim(store)
        assert (held.needed_bytes, held.rounds_without_room) == (10 * downloads, downloads)
        await store.set_back(held, delay_seconds=0, error="E", message="m", count_attempt=False, needed_bytes=needed_bytes)
    (held,) = await claim(store)
    assert (held.attempt, held.needed_bytes, held.rounds_without_room) == (1, 20, 2)
    await complete(store, held)
    await store.reopen([uid(1)], message="m")
    (held,) = await claim(store)
    assert (held.needed_bytes, held.rounds_without_room) == (0, 0)
