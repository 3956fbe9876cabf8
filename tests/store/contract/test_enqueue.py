"""Enqueue: merging what the catalogue lists into the queue."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from downloader.errors import StoreError
from downloader.model import Series
from downloader.store.port import Store
from downloader.store.records import Enqueued, Standing, StoredSeries
from tests.store.examples import (
    ARCHIVE,
    START_AT,
    SUBMITTED_AT,
    after,
    claim,
    complete_all,
    enqueue,
    fail_all,
    folder_of,
    grown,
    receipt,
    series,
    states,
    turn_to,
    uid,
    uids,
    whole_series,
)

pytestmark = pytest.mark.anyio


async def stored(store: Store, number: int = 1) -> StoredSeries:
    (row,) = [row async for row in store.find() if row.series.series_instance_uid == uid(number)]
    return row


async def test_resolves_are_numbered_per_manifest(store: Store) -> None:
    """Each resolve of a manifest has a higher number than the one before."""
    assert await store.begin_resolve("a", START_AT) < await store.begin_resolve("a", after(1))
    assert await store.begin_resolve("b", START_AT) == 1


async def test_new_series_become_pending(store: Store) -> None:
    """A series that the store did not know is pending, with no attempt yet."""
    assert await enqueue(store, "m", series(1), series(2)) == Enqueued(new=2, new_series=(uid(1), uid(2)))
    assert await states(store) == {uid(1): "pending", uid(2): "pending"}
    assert (await stored(store)).attempts == 0


async def test_every_attribute_of_a_series_is_kept(store: Store) -> None:
    """What the catalogue said comes back unchanged, control characters included."""
    await enqueue(store, "m", whole_series())
    assert (await stored(store)).series == whole_series()


async def test_absent_attributes_stay_absent(store: Store) -> None:
    """A series of which only the UID is known comes back as that."""
    await enqueue(store, "m", Series(series_instance_uid=uid(1)))
    assert (await stored(store)).series == Series(series_instance_uid=uid(1))


async def test_known_series_get_the_newest_attributes(store: Store) -> None:
    """A pending series takes what the catalogue says now, and stays pending."""
    await enqueue(store, "m", series(1))
    newest = replace(series(1), series_description="AXIAL", file_size_bytes=9, image_count=7)
    assert await enqueue(store, "m", newest) == Enqueued(known=1)
    assert (await stored(store)).series == newest


async def test_what_the_catalogue_leaves_out_stays(store: Store) -> None:
    """A listing that tells less does not undo what an earlier one told."""
    await enqueue(store, "m", whole_series())
    await enqueue(store, "m", Series(series_instance_uid=uid(1), modality="MR"))
    assert (await stored(store)).series == replace(whole_series(), modality="MR")


async def test_a_complete_series_learns_its_study_without_seeming_changed(store: Store) -> None:
    """One way of asking tells StudyID and another does not: the series is the same, and keeps what it learned."""
    untold, told = series(1), replace(series(1), study_id="7", study_description="CT")
    await enqueue(store, "m", untold)
    await complete_all(store)
    for row in (told, untold):
        assert await enqueue(store, "m", row) == Enqueued(known=1)
        assert (await stored(store)).series == told
    assert await states(store) == {uid(1): "complete"}


async def test_days_and_times_of_one_submission_are_the_same(store: Store) -> None:
    """v4 tells the day where v1 tells the second: neither way round does a complete series seem changed, and the time stays."""
    with_time = series(1)
    day_only = replace(with_time, submitted_at=SUBMITTED_AT.replace(hour=0, minute=0))
    for told in ([with_time, day_only, with_time], [day_only, with_time, day_only]):
        await store.retry()
        await enqueue(store, "m", told[0])
        await complete_all(store)
        for row in told[1:]:
            assert await store.compare([row]) == [Standing.COMPLETE]
            assert await enqueue(store, "m", row) == Enqueued(known=1)
            assert (await stored(store)).series == with_time


@pytest.mark.parametrize("first_hour", [0, 8])
@pytest.mark.parametrize("later", [{"days": 1}, {"hours": 2}])
async def test_another_time_of_submission_is_a_change(store: Store, first_hour: int, later: dict[str, int]) -> None:
    """Another day always is; another time of the day is one where both times are known."""
    first = replace(series(1), submitted_at=SUBMITTED_AT.replace(hour=first_hour, minute=0))
    await enqueue(store, "m", first)
    await complete_all(store)
    row = replace(first, submitted_at=SUBMITTED_AT.replace(hour=first_hour, minute=0) + timedelta(**later))
    is_known_day = first_hour == 0 and "hours" in later
    assert await store.compare([row]) == [Standing.COMPLETE if is_known_day else Standing.CHANGED]
    assert (await enqueue(store, "m", row)).changed == (0 if is_known_day else 1)


async def test_a_series_named_twice_in_a_batch_counts_once(store: Store) -> None:
    """In the place of its first row, with what the last one says, as long as that means the same images."""
    told = replace(series(1), modality="CT")
    assert await enqueue(store, "m", series(1), series(2), told) == Enqueued(new=2, new_series=(uid(1), uid(2)))
    assert [held.series for held in await claim(store)] == [told, series(2)]


async def test_rows_of_one_resolve_that_disagree_are_no_change(store: Store) -> None:
    """In one batch or in several, of one archive or two: the first row stands, and the others are handed back."""
    other = grown(series(1))
    met = await enqueue(store, "m", series(1), other)
    assert met == Enqueued(new=1, new_series=(uid(1),), contradicting=(other,))
    await complete_all(store)
    resolve = await store.begin_resolve("m", START_AT)
    assert await enqueue(store, "m", series(1), resolve=resolve) == Enqueued(known=1)
    assert (await enqueue(store, "m", other, resolve=resolve)).contradicting == (other,)
    assert (await enqueue(store, "m", other, resolve=resolve, archive="nlst")).contradicting == (other,)
    assert await states(store) == {uid(1): "complete"}
    assert (await stored(store)).series == series(1)


async def test_the_row_that_settles_replaces_the_one_that_was_taken(store: Store) -> None:
    """A complete series of which it tells something else is pending again."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    resolve = await store.begin_resolve("m", START_AT)
    await enqueue(store, "m", series(1), resolve=resolve)
    met = await store.enqueue("m", resolve, "tcia", [grown(series(1))], settles=True)
    assert met == Enqueued(changed=1, changed_series=(uid(1),))
    assert await states(store) == {uid(1): "pending"}
    assert (await stored(store)).series == grown(series(1))


async def test_archives_of_two_manifests_that_disagree_do_not_take_turns(store: Store) -> None:
    """What is proven against one of them stays so while a manifest wants it from there; then the other one's figures count."""
    other = grown(series(1))
    await enqueue(store, "a", series(1))
    await complete_all(store, "a")
    for _ in range(2):
        met = await enqueue(store, "b", other, archive="nlst")
        assert (met.changed, met.contradicting) == (0, (other,))
        assert await enqueue(store, "a", series(1)) == Enqueued(known=1)
    assert await states(store, "b") == {uid(1): "complete"}
    await store.forget_manifest("a")
    assert (await enqueue(store, "b", other, archive="nlst")).changed == 1


async def test_an_empty_batch_changes_nothing(store: Store) -> None:
    """Nothing listed, nothing met."""
    await enqueue(store, "m", series(1))
    assert await enqueue(store, "m") == Enqueued()
    assert await states(store) == {uid(1): "pending"}


@pytest.mark.parametrize(
    "change",
    [
        {"image_count": 4},
        {"file_size_bytes": 3001},
        {"date_released": date(2016, 1, 1)},
        {"submitted_at": START_AT},
    ],
)
async def test_a_complete_series_that_changed_becomes_pending(store: Store, change: dict[str, int | date | datetime]) -> None:
    """Each of the four figures that tell of other images makes a complete series pending again, with all its attempts."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    assert await enqueue(store, "m", replace(series(1), **change)) == Enqueued(changed=1, changed_series=(uid(1),))  # type: ignore[arg-type]
    row = await stored(store)
    assert (row.state, row.attempts) == ("pending", 0)


async def test_a_changed_series_keeps_where_its_old_images_lie(store: Store) -> None:
    """The old images stay in the library until the new ones replace them."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    before = await stored(store)
    await enqueue(store, "m", grown(series(1)))
    row = await stored(store)
    assert (row.folder, row.stored_bytes, row.completed_at) == (
        before.folder,
        before.stored_bytes,
        before.completed_at,
    )


async def test_a_complete_series_with_other_words_stays_complete(store: Store) -> None:
    """A new description is taken, but means no new images."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    newest = replace(series(1), series_description="AXIAL")
    assert await enqueue(store, "m", newest) == Enqueued(known=1)
    row = await stored(store)
    assert (row.state, row.series) == ("complete", newest)


@pytest.mark.parametrize("known_first", [True, False])
async def test_a_figure_that_one_side_does_not_know_tells_no_change(store: Store, known_first: bool) -> None:
    """A change needs both an old and a new figure."""
    unknown = Series(series_instance_uid=uid(1))
    first, second = (series(1), unknown) if known_first else (unknown, series(1))
    await enqueue(store, "m", first)
    await complete_all(store)
    assert await enqueue(store, "m", second) == Enqueued(known=1)
    assert await states(store) == {uid(1): "complete"}


async def test_a_failed_series_gets_a_new_chance(store: Store) -> None:
    """It is pending again with its attempts at 0."""
    await enqueue(store, "m", series(1))
    await fail_all(store)
    assert await enqueue(store, "m", series(1)) == Enqueued(known=1)
    row = await stored(store)
    assert (row.state, row.attempts, row.error, row.message) == ("pending", 0, "", "")


async def test_a_withdrawn_series_that_comes_back_is_pending(store: Store) -> None:
    """It is pending again with its attempts at 0."""
    await enqueue(store, "m", series(1))
    await claim(store)
    await store.withdraw_vanished("m", await store.begin_resolve("m", START_AT), START_AT)
    await enqueue(store, "m", series(1))
    row = await stored(store)
    assert (row.state, row.attempts) == ("pending", 0)
    assert uids(await claim(store)) == [uid(1)]


async def test_a_series_that_comes_back_is_named(store: Store) -> None:
    """It counts as known: it was listed once."""
    await enqueue(store, "m", series(1), series(2))
    await store.withdraw_vanished("m", await store.begin_resolve("m", START_AT), START_AT)
    assert await enqueue(store, "m", series(2)) == Enqueued(known=1, returned_series=(uid(2),))


async def fail_and_rest(store: Store, seconds: float) -> None:
    for held in await claim(store):
        await store.fail(held, error="E", message="m", rest_seconds=seconds)


async def test_a_failed_series_rests_for_those_who_let_it(store: Store) -> None:
    """Until its time has come; a resolve that does not ask about rest gives it a chance at once."""
    await enqueue(store, "m", series(1))
    await fail_and_rest(store, 60)
    resolve = await store.begin_resolve("m", START_AT)
    turn_to(after(59))
    await store.enqueue("m", resolve, ARCHIVE, [series(1)], skips_recent_failures=True)
    assert await states(store) == {uid(1): "failed"}
    turn_to(after(60))
    await store.enqueue("m", resolve, ARCHIVE, [series(1)], skips_recent_failures=True)
    assert await states(store) == {uid(1): "pending"}
    await fail_and_rest(store, 600)
    await enqueue(store, "m", series(1))
    assert await states(store) == {uid(1): "pending"}


async def test_a_series_that_the_catalogue_changed_rests_no_longer(store: Store) -> None:
    """What failed before is not what is there now."""
    await enqueue(store, "m", series(1))
    await fail_and_rest(store, 60)
    resolve = await store.begin_resolve("m", START_AT)
    await store.enqueue("m", resolve, ARCHIVE, [grown(series(1))], skips_recent_failures=True)
    assert await states(store) == {uid(1): "pending"}


async def test_rounds_of_failure_are_counted_until_it_is_complete_or_retried(store: Store) -> None:
    """So that pauses can grow."""
    for rounds in range(3):
        await enqueue(store, "m", series(1))
        (held,) = await claim(store)
        assert held.failed_rounds == rounds
        await store.fail(held, error="E", message="m")
    assert await store.retry() == 1
    assert (await stored(store)).failed_rounds == 0
    await fail_all(store)
    await enqueue(store, "m", series(1))
    await complete_all(store)
    row = await stored(store)
    assert (row.failed_rounds, row.rests_until_at) == (0, None)


async def test_a_changed_series_tells_its_worker_where_the_old_images_lie(store: Store) -> None:
    """They may have to go once the new ones are there."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    await enqueue(store, "m", grown(series(1)))
    (held,) = await claim(store)
    assert held.folder == folder_of(held)


async def test_a_withdrawn_series_that_another_manifest_names_is_that_ones(store: Store) -> None:
    """The manifest that lost it does not fetch it, nor count it."""
    await enqueue(store, "a", series(1))
    await store.withdraw_vanished("a", await store.begin_resolve("a", START_AT), START_AT)
    await enqueue(store, "b", series(1))
    assert await claim(store, "a") == []
    assert await states(store, "a") == {}
    assert uids(await claim(store, "b")) == [uid(1)]


async def test_a_claimed_series_is_left_to_its_worker(store: Store) -> None:
    """It takes the newest attributes, but stays claimed, and its worker can complete it."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    assert await enqueue(store, "m", grown(series(1))) == Enqueued(known=1)
    assert (await stored(store)).series == grown(series(1))
    await store.complete(held, receipt(held.series), "f")
    assert await states(store) == {uid(1): "complete"}


async def test_a_change_during_the_attempt_is_seen_by_the_next_resolve(store: Store) -> None:
    """What the images were proven against counts, not what the catalogue said meanwhile."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await enqueue(store, "m", grown(series(1)))
    await store.complete(held, receipt(held.series), "f")
    assert await enqueue(store, "m", grown(series(1))) == Enqueued(changed=1, changed_series=(uid(1),))


async def test_a_series_that_waits_goes_on_waiting(store: Store) -> None:
    """A resolve is no reason to try sooner than the delay says, nor to forget attempts."""
    await enqueue(store, "m", series(1))
    (held,) = await claim(store)
    await store.set_back(held, delay_seconds=90, error="E", message="m", count_attempt=True)
    await enqueue(store, "m", series(1))
    assert await claim(store, at=after(89)) == []
    assert [again.attempt for again in await claim(store, at=after(90))] == [2]


async def test_a_series_is_stored_once_whichever_manifests_want_it(store: Store) -> None:
    """The second manifest meets a known series, and one claim serves both."""
    await enqueue(store, "a", series(1))
    assert await enqueue(store, "b", series(1)) == Enqueued(known=1)
    assert uids(await claim(store, "b")) == [uid(1)]
    assert await claim(store, "a") == []


async def test_claims_go_to_the_archive_of_their_manifest(store: Store) -> None:
    """Two manifests may name two archives for one series."""
    await enqueue(store, "a", series(1), archive="tcia")
    await enqueue(store, "b", series(1), archive="mirror")
    (held,) = await claim(store, "a")
    assert held.archive == "tcia"
    await store.set_back(held, delay_seconds=0, error="", message="", count_attempt=False)
    (held,) = await claim(store, "b")
    assert held.archive == "mirror"
    assert (await stored(store)).archive == "mirror"


async def test_a_manifest_may_want_series_of_two_archives(store: Store) -> None:
    """Each is claimed for the archive that listed it; the next resolve may find it elsewhere."""
    resolve = await store.begin_resolve("m", START_AT)
    await enqueue(store, "m", series(1), archive="tcia", resolve=resolve)
    await enqueue(store, "m", series(2), archive="nlst", resolve=resolve)
    held = await claim(store)
    assert [(one.series, one.archive) for one in held] == [(series(1), "tcia"), (series(2), "nlst")]
    for one in held:
        await store.set_back(one, delay_seconds=0, error="", message="", count_attempt=False)
    await enqueue(store, "m", series(1), series(2), archive="mirror")
    assert {one.archive for one in await claim(store)} == {"mirror"}


async def test_of_two_archives_in_one_resolve_the_first_has_the_series(store: Store) -> None:
    """It is fetched once, and what the other says of it is no change."""
    resolve = await store.begin_resolve("m", START_AT)
    await enqueue(store, "m", series(1), archive="tcia", resolve=resolve)
    await complete_all(store)
    other = grown(series(1))
    met = await enqueue(store, "m", other, archive="mirror", resolve=resolve)
    assert met == Enqueued(known=1, contradicting=(other,))
    row = await stored(store)
    assert (row.state, row.series, row.archive) == ("complete", series(1), "tcia")


async def test_enqueue_needs_a_resolve_that_began(store: Store) -> None:
    """A resolve number that the store did not give is refused, and nothing is enqueued."""
    with pytest.raises(StoreError, match="has not started"):
        await store.enqueue("m", 1, "tcia", [series(1)])
    assert await states(store) == {}


async def test_update_series_takes_attributes_and_leaves_the_state(store: Store) -> None:
    """Whatever the state, only what the catalogue says changes."""
    await enqueue(store, "m", series(1))
    await complete_all(store)
    await store.update_series(grown(series(1)))
    row = await stored(store)
    assert (row.state, row.series) == ("complete", grown(series(1)))


async def test_update_series_does_not_add_one(store: Store) -> None:
    """A series that no manifest wants is not taken in."""
    await store.update_series(series(1))
    assert await states(store) == {}
