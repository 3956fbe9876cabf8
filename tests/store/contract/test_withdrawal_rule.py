"""What becomes of a withdrawn series: every manifest that ever wanted it has a say, and the most careful one decides."""

from itertools import permutations

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downloader.model import WithdrawalRule, WithdrawnPolicy
from downloader.store.port import Store
from tests.fakes.memory_store import MemoryStore
from tests.store.examples import START_AT, complete_all, drop_wishes, enqueue, series, uid

pytestmark = pytest.mark.anyio
KEEP, QUARANTINE, DELETE = WithdrawnPolicy
CARE = list(WithdrawnPolicy)


async def want(store: Store, rules: dict[str, WithdrawalRule], *numbers: int) -> None:
    """Every manifest says its rule and wants these series; the first completes them."""
    for manifest, rule in rules.items():
        await store.note_withdrawal_rule(manifest, rule)
        await enqueue(store, manifest, *map(series, numbers))
    await complete_all(store, next(iter(rules)))


async def lose(store: Store, manifest: str) -> None:
    """The manifest resolves to nothing, and what it wanted is withdrawn as far as others let it."""
    await store.withdraw_vanished(manifest, await store.begin_resolve(manifest, START_AT), START_AT)


async def rules_of(store: Store, manifest: str) -> dict[str, WithdrawalRule]:
    """What the store says of each withdrawn series, asked by this manifest."""
    return {found.stored.series.series_instance_uid: found.rule async for found in store.find_withdrawn(manifest)}


def rule(policy: WithdrawnPolicy, grace_seconds: float = 0.0) -> WithdrawalRule:
    return WithdrawalRule(policy=policy, grace_seconds=grace_seconds)


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
async def test_the_most_careful_rule_counts_whichever_manifest_loses_the_series_last(
    store: Store, order: tuple[str, ...]
) -> None:
    """The policy of one and the grace of another; each of them is answered alike."""
    await want(store, {"a": rule(DELETE, 5), "b": rule(QUARANTINE, 1), "c": rule(DELETE, 9)}, 1)
    for manifest in order:
        assert await rules_of(store, manifest) == {}
        await lose(store, manifest)
    assert [await rules_of(store, manifest) for manifest in "abc"] == [{uid(1): rule(QUARANTINE, 9)}] * 3


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["lose", "drop", "return"])), max_size=8)
RULES = st.fixed_dictionaries({name: st.builds(rule, st.sampled_from(WithdrawnPolicy), st.integers(0, 3)) for name in "abc"})


@given(RULES, STEPS, st.permutations("abc"))
@settings(max_examples=80, deadline=None)
def test_no_order_of_runs_makes_a_series_lose_its_most_careful_manifest(
    rules: dict[str, WithdrawalRule], steps: list[tuple[str, str]], order: list[str]
) -> None:
    """Whatever happened before the archive withdrew it for good; tests/store/test_agreement.py holds both stores together."""
    anyio.run(lose_in_order, rules, steps, order)


async def lose_in_order(rules: dict[str, WithdrawalRule], steps: list[tuple[str, str]], order: list[str]) -> None:
    store = MemoryStore()
    await want(store, rules, 1)
    for manifest, step in steps:
        match step:
            case "lose":
                await lose(store, manifest)
            case "drop":
                await drop_wishes(store, manifest, await store.begin_resolve(manifest, START_AT))
            case _:
                await enqueue(store, manifest, series(1))
                await complete_all(store, manifest)
    await enqueue(store, order[0], series(1))
    await complete_all(store, order[0])
    for manifest in order:
        await lose(store, manifest)
    most_careful = rule(
        min((one.policy for one in rules.values()), key=CARE.index), max(one.grace_seconds for one in rules.values())
    )
    assert [await rules_of(store, manifest) for manifest in "abc"] == [{uid(1): most_careful}] * 3


async def test_a_manifest_that_never_said_counts_as_one_that_keeps(store: Store) -> None:
    """As every manifest of a store that an older tciad wrote, until it runs again."""
    await enqueue(store, "old", series(1))
    await want(store, {"m": rule(DELETE)}, 1)
    await lose(store, "old")
    await lose(store, "m")
    assert await rules_of(store, "m") == {uid(1): rule(KEEP)}
    await store.note_withdrawal_rule("old", rule(QUARANTINE, 7))
    assert await rules_of(store, "m") == {uid(1): rule(QUARANTINE, 7)}


async def test_a_manifest_that_changed_its_mind_keeps_its_say(store: Store) -> None:
    """It no longer wants the series, but never asked for its end."""
    await want(store, {"m": rule(DELETE), "careful": rule(KEEP)}, 1)
    await drop_wishes(store, "careful", await store.begin_resolve("careful", START_AT))
    await lose(store, "m")
    assert await rules_of(store, "m") == {uid(1): rule(KEEP)}


async def test_a_manifest_that_names_a_withdrawn_series_has_a_say(store: Store) -> None:
    """Though the archive no longer lists it, so that there is nothing to fetch."""
    await want(store, {"m": rule(DELETE)}, 1)
    await lose(store, "m")
    await store.note_withdrawal_rule("later", rule(KEEP))
    assert await rules_of(store, "later") == {}
    await store.enqueue_unlisted("later", await store.begin_resolve("later", START_AT), "tcia", [uid(1)])
    assert await rules_of(store, "m") == await rules_of(store, "later") == {uid(1): rule(KEEP)}


async def test_a_forgotten_manifest_has_no_say(store: Store) -> None:
    """It exists no longer."""
    await want(store, {"m": rule(DELETE), "careful": rule(KEEP)}, 1, 2)
    await lose(store, "careful")
    await lose(store, "m")
    await store.forget_manifest("careful")
    assert await rules_of(store, "m") == {uid(1): rule(DELETE), uid(2): rule(DELETE)}


async def test_only_withdrawn_series_that_lie_in_the_library_are_found(store: Store) -> None:
    """Of many pages, each once."""
    await want(store, {"m": rule(DELETE)}, *range(100))
    await store.withdraw_vanished("m", await resolve_to(store, 0, 1, 2), START_AT)
    await enqueue(store, "m", series(2000), resolve=None)
    await store.forget_folder(uid(3))
    assert set(await rules_of(store, "m")) == {uid(number) for number in range(4, 100)}


async def resolve_to(store: Store, *numbers: int) -> int:
    resolve = await store.begin_resolve("m", START_AT)
    await enqueue(store, "m", *map(series, numbers), resolve=resolve)
    return resolve
