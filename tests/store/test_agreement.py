"""Whatever is done to it, the SQLite store answers as the simple one in memory does, and its sums are those of its rows."""

import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from downloader.errors import StoreError
from downloader.model import Claim, FetchOrder, Series, SeriesState, WithdrawalRule, WithdrawnPolicy
from downloader.store.port import Store
from downloader.store.records import CycleNote, SeriesFilter
from downloader.store.sqlite.store import open_store
from tests.fakes.memory_store import MemoryStore
from tests.store.examples import ARCHIVE, CLOCK, START_AT, after, drop_wishes, receipt, series, session, turn_to

Step = Callable[[Store, "Memory"], Awaitable[object]]


class Memory:
    """What the steps of one run have to know of those before: the time, the claims and the resolves."""

    def __init__(self) -> None:
        self.at = START_AT
        self.claims: list[Claim] = []
        self.resolves: dict[str, int] = {}


MANIFESTS = st.sampled_from(["a", "b"])
ARCHIVES = st.sampled_from([ARCHIVE, "nlst"])
MIDNIGHT = datetime(2015, 7, 20, tzinfo=UTC)
SERIES = st.builds(
    series,
    st.integers(1, 6),
    image_count=st.sampled_from([None, 1, 2]),
    file_size_bytes=st.sampled_from([None, 0, 10, 20]),
    submitted_at=st.sampled_from([None, MIDNIGHT, MIDNIGHT + timedelta(hours=8), MIDNIGHT + timedelta(hours=9)]),
)


def resolve(manifest: str, archive: str, batch: list[Series], withdraw: bool, let_rest: bool) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        number = await store.begin_resolve(manifest, memory.at)
        met = await store.enqueue(manifest, number, archive, batch, skips_recent_failures=let_rest)
        vanished = await store.count_vanished(manifest, number)
        gone = [row async for row in store.find_vanished(manifest, number)]
        denied = [row.series.series_instance_uid for row in gone[1:]] if let_rest else None
        return met, vanished, gone, withdraw and await store.withdraw_vanished(manifest, number, memory.at, denied=denied)

    return step


def narrow(manifest: str, batch: list[Series], unlisted: list[int], keep: bool) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        number = await store.begin_resolve(manifest, memory.at)
        standings = await store.compare(batch)
        names = [series(which).series_instance_uid for which in unlisted]
        wishes = await store.enqueue_unlisted(manifest, number, ARCHIVE, names)
        dropped = await drop_wishes(store, manifest, number, lambda found: keep and found.image_count == 1)
        return standings, wishes, dropped

    return step


def claim(manifest: str, owner: str, limit: int, archives: list[str] | None) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        claims = await store.claim(
            manifest,
            session_id=owner,
            lease_seconds=30,
            limit=limit,
            order=FetchOrder.ARCHIVE,
            archives=archives,
        )
        memory.claims.extend(claims)
        # only the names of claims may differ
        return [replace(held, claim_id="") for held in claims]

    return step


def wait(seconds: int) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        memory.at += timedelta(seconds=seconds)
        turn_to(memory.at)
        return [await store.next_due_seconds(manifest, archives) for manifest in ("a", "b") for archives in (None, [ARCHIVE], [])]

    return step


def end(which: int, how: str) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        if not memory.claims:
            return None
        held = memory.claims[which % len(memory.claims)]
        match how:
            case "complete":
                await store.complete(held, receipt(held.series), "f")
            case "fail":
                await store.fail(held, error="E", message="m", rest_seconds=30)
            case "extend":
                return len(await store.extend([held], 30))
            case _:
                needed_bytes = 7 * which if how == "no room" else None
                await store.set_back(
                    held, delay_seconds=10, error="E", message="m", count_attempt=how == "count", needed_bytes=needed_bytes
                )
        return None

    return step


def mend(how: str, manifest: str | None, number: int) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        match how:
            case "open":
                await store.open_session(session("w1"), 30, is_alone=number == 1)
            case "beat":
                await store.beat(session("w2"), 30)
            case "close":
                await store.close_session(session("w1"))
            case "recover":
                return await store.recover_claims(session("w2"))
            case "retry":
                return await store.retry(manifest)
            case "retry one":
                return await store.retry(manifest, series(number).series_instance_uid)
            case "forget folder":
                await store.forget_folder(series(number).series_instance_uid)
                return None
            case "rule":
                rule = WithdrawalRule(policy=list(WithdrawnPolicy)[number % 3], grace_seconds=float(number))
                await store.note_withdrawal_rule(manifest or "c", rule)
                return None
            case "note":
                note = CycleNote(began_at=START_AT, ended_at=after(number), outcome="complete", exit_code=number % 2, error="e")
                await store.note_cycle(manifest or "c", note)
                return None
            case _:
                return await store.reopen([series(number).series_instance_uid], message="m")
        return None

    return step


def restore(batch: list[Series], archive: str) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        await store.restore([(receipt(one, images=2, archive=archive), f"there/{number}") for number, one in enumerate(batch)])
        return [one.attempts for one in await store.find_named([one.series_instance_uid for one in batch])]

    return step


def forget(manifest: str) -> Step:
    async def step(store: Store, memory: Memory) -> object:
        await store.forget_manifest(manifest)
        return await store.archives()

    return step


STEPS = st.one_of(
    st.builds(resolve, MANIFESTS, ARCHIVES, st.lists(SERIES, max_size=5), st.booleans(), st.booleans()),
    st.builds(
        narrow,
        MANIFESTS,
        st.lists(SERIES, max_size=3, unique_by=lambda one: one.series_instance_uid),
        st.lists(st.integers(1, 8), max_size=2, unique=True),
        st.booleans(),
    ),
    st.builds(claim, MANIFESTS, st.sampled_from(["w1", "w2"]), st.integers(1, 3), st.none() | st.lists(ARCHIVES, unique=True)),
    st.builds(wait, st.sampled_from([1, 10, 40])),
    st.builds(end, st.integers(0, 5), st.sampled_from(["complete", "fail", "extend", "count", "uncounted", "no room"])),
    st.builds(restore, st.lists(SERIES, max_size=3), st.sampled_from(["tcia", "nlst"])),
    st.builds(forget, MANIFESTS),
    st.builds(
        mend,
        st.sampled_from(["open", "beat", "close", "recover", "retry", "retry one", "forget folder", "note", "rule", "reopen"]),
        st.none() | MANIFESTS,
        st.integers(1, 6),
    ),
)


@given(st.lists(STEPS, min_size=5, max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_stores_answer_alike(steps: list[Step]) -> None:
    """Every answer and every error, and after each step everything that can be asked."""
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(run_on_both, steps, Path(folder) / "state.db")


async def run_on_both(steps: list[Step], path: Path) -> None:
    simple, memory, simple_memory = MemoryStore(CLOCK), Memory(), Memory()
    turn_to(START_AT)
    async with open_store(path, CLOCK) as store:
        for step in steps:
            at = memory.at
            answered = await answer(step, store, memory)
            turn_to(at)
            assert answered == await answer(step, simple, simple_memory)
            assert await everything(store) == await everything(simple)
    with closing(sqlite3.connect(path)) as database:
        assert_sums_are_those_of_the_rows(database)


async def answer(step: Step, store: Store, memory: Memory) -> object:
    try:
        return await step(store, memory)
    except StoreError as error:
        return type(error), str(error)


async def everything(store: Store) -> object:
    scopes = (None, "a", "b")
    return (
        [await store.tally(manifest) for manifest in scopes],
        [await store.failures(manifest) for manifest in scopes],
        [[row async for row in store.find(manifest)] for manifest in scopes],
        [[row async for row in store.find("a", state)] for state in SeriesState],
        await store.manifests(),
        await store.cycles(),
        [[found async for found in store.find_withdrawn(manifest)] for manifest in ("a", "b")],
        (await store.find_page(SeriesFilter(manifest="a", text="9.1"))).rows,
        (await store.find_page(SeriesFilter(state=SeriesState.FAILED), limit=2)).rows,
    )


def assert_sums_are_those_of_the_rows(database: sqlite3.Connection) -> None:
    """What triggers keep is what counting would give."""
    sums = """
        SELECT {key} AS manifest_key, state, count(*), IFNULL(sum(image_count), 0), IFNULL(sum(file_size_bytes), 0),
            sum(stored_images), sum(stored_bytes)
        FROM {source} GROUP BY manifest_key, state
    """
    counted = {
        *database.execute(sums.format(key="0", source="series")),
        *database.execute(sums.format(key="wanted.manifest_key", source="wanted JOIN series USING (series_key)")),
    }
    assert {*database.execute("SELECT * FROM tally WHERE series_count <> 0")} == counted
    assert not [*database.execute("SELECT * FROM tally WHERE series_count = 0 AND (expected_images OR stored_bytes)")]
    queued = "SELECT manifest_key, series_key, wanted.archive, file_size_bytes FROM"
    assert {*database.execute(f"{queued} queue AS wanted")} == {
        *database.execute(f"{queued} wanted JOIN series USING (series_key) WHERE state IN ('pending', 'claimed')")
    }
