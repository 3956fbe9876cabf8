"""Sessions: whose claims are set back, and by which clock a session is dead."""

import pytest

from downloader.errors import LeaseLostError
from downloader.store.port import Store
from downloader.store.records import LONGEST_DELAY
from tests.store.examples import after, claim, complete, enqueue, series, session, states, turn_to, uid

pytestmark = pytest.mark.anyio

ME, OTHER, NEW = session("me"), session("other"), session("new")


async def open_both(store: Store) -> None:
    """Two sessions of a minute, each with a claim of longer."""
    await enqueue(store, "m", series(1), series(2), series(3))
    for one in (ME, OTHER):
        await store.open_session(one, 60, is_alone=False)
        await store.claim("m", session_id=one.session_id, lease_seconds=600)


async def test_the_claims_of_a_session_that_is_alive_are_left_to_it(store: Store) -> None:
    """Another one starts beside it."""
    await open_both(store)
    turn_to(after(59))
    await store.open_session(NEW, 60, is_alone=False)
    assert await store.recover_claims(NEW) == 0
    assert await states(store) == {uid(1): "claimed", uid(2): "claimed", uid(3): "pending"}


async def test_the_claims_of_a_session_without_a_heartbeat_are_set_back(store: Store) -> None:
    """Long before their leases end; their attempts stay counted, and the series may be claimed at once."""
    await open_both(store)
    turn_to(after(30))
    await store.beat(ME, 60)
    turn_to(after(60))
    assert await store.recover_claims(NEW) == 1
    assert await states(store) == {uid(1): "claimed", uid(2): "pending", uid(3): "pending"}
    again = await claim(store, owner="new", at=after(60))
    assert {held.series.series_instance_uid: held.attempt for held in again} == {uid(2): 2, uid(3): 1}


async def test_a_session_that_was_taken_for_dead_goes_on(store: Store) -> None:
    """It learns that its claim is lost, and claims again: nothing ends it."""
    await enqueue(store, "m", series(1), series(2))
    await store.open_session(ME, 60, is_alone=False)
    (held,) = await claim(store, owner="me", limit=1)
    turn_to(after(300))
    await store.recover_claims(NEW)
    await store.beat(ME, 60)
    with pytest.raises(LeaseLostError):
        await complete(store, held)
    assert await store.extend([held], 60) == [held]
    (mine, _) = await claim(store, owner="me", at=after(300))
    assert await store.recover_claims(NEW) == 0
    await complete(store, mine)
    assert await states(store) == {uid(1): "complete", uid(2): "claimed"}


async def test_whoever_holds_the_lock_is_alone(store: Store) -> None:
    """Every other session held it before, and is over, whatever its heartbeats promised."""
    await open_both(store)
    await store.open_session(NEW, 60, is_alone=True)
    assert await store.recover_claims(NEW) == 2
    assert set((await states(store)).values()) == {"pending"}


async def test_a_session_that_ends_sets_its_own_claims_back(store: Store) -> None:
    """And those of no other."""
    await open_both(store)
    await store.close_session(ME)
    await store.close_session(ME)
    assert await states(store) == {uid(1): "pending", uid(2): "claimed", uid(3): "pending"}
    assert await store.recover_claims(OTHER) == 1, "that it does not work now is for it to say"


async def test_claims_of_before_there_were_sessions_are_set_back(store: Store) -> None:
    """As in a store of an older tciad."""
    await enqueue(store, "m", series(1))
    await claim(store, owner="8f14e45fceea167a5a36dedd4bea2543")
    await store.open_session(NEW, 60, is_alone=False)
    assert await store.recover_claims(NEW) == 1
    assert await store.recover_claims(NEW) == 0


async def test_a_heartbeat_that_a_wrong_clock_dated_keeps_no_session_alive(store: Store) -> None:
    """No session is silent for so long."""
    await enqueue(store, "m", series(1))
    turn_to(after(2 * LONGEST_DELAY.total_seconds()))
    await store.open_session(ME, 60, is_alone=False)
    await store.claim("m", session_id="me", lease_seconds=60)
    turn_to(after(0))
    assert await store.recover_claims(NEW) == 1
