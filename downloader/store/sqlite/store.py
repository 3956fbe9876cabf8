"""The store in an SQLite file. One thread owns the connection, so the event loop never waits for the disk."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from downloader.model import Claim, Failure, FetchOrder, Proof, Receipt, Series, SeriesState, SeriesTally, WithdrawalRule
from downloader.store.port import (
    CycleNote,
    Enqueued,
    ProofGroup,
    SeriesFilter,
    Standing,
    StoredPage,
    StoredPlace,
    StoredPlaces,
    StoredSeries,
    WithdrawnSeries,
)
from downloader.store.sqlite import claiming
from downloader.store.sqlite import enqueuing as queueing
from downloader.store.sqlite import inventory as listing
from downloader.store.sqlite import library_folders as presence
from downloader.store.sqlite.connection import BUSY_SECONDS, PAGE_SIZE, Connection, open_connection
from downloader.store.sqlite.errors import translated_errors
from downloader.store.sqlite.holdings import Holdings

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@asynccontextmanager
async def open_store(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> AsyncIterator["SqliteStore"]:
    """The state store at `path`, made or brought up to date where that is needed.

    Raises:
        DamagedStoreError: damaged, or no database at all.
        StoreError: not writable, not a state store, or made by a newer tciad.
        StoreLockedError: another process would not let go of it for `busy_seconds`; later calls raise it too.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
    try:
        connection = await _run(executor, partial(open_connection, path, busy_seconds))
        try:
            yield SqliteStore(path, connection, executor)
        finally:
            with CancelScope(shield=True):
                await _run(executor, connection.close)
    finally:
        executor.shutdown()


async def _run(executor: ThreadPoolExecutor, function: Callable[[], Result]) -> Result:
    """Run `function` on the thread. A cancelled caller either never begins, or learns how it ended: no claim is lost half-way."""
    await checkpoint_if_cancelled()
    outcome = asyncio.get_running_loop().run_in_executor(executor, function)
    with CancelScope(shield=True):
        await asyncio.wait([outcome])
    return outcome.result()


class SqliteStore:
    """Implements `Store`, whose docstrings say what each method does; made by `open_store`."""

    def __init__(self, path: Path, connection: Connection, executor: ThreadPoolExecutor) -> None:
        self._path = path
        self._connection = connection
        self._executor = executor
        self._completions: deque[claiming.Completion] = deque()

    async def _on_thread(
        self,
        function: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        def call() -> Result:
            with translated_errors(self._path):
                return function(self._connection, *args, **kwargs)

        return await _run(self._executor, call)

    async def begin_resolve(self, manifest: str, at: datetime) -> int:
        """See `Store`."""
        return await self._on_thread(queueing.begin_resolve, manifest, at)

    async def note_withdrawal_rule(self, manifest: str, rule: WithdrawalRule) -> None:
        """See `Store`."""
        await self._on_thread(queueing.note_withdrawal_rule, manifest, rule)

    async def enqueue(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        batch: Sequence[Series],
        *,
        rested_at: datetime | None = None,
        settles: bool = False,
    ) -> Enqueued:
        """See `Store`."""
        return await self._on_thread(queueing.enqueue, manifest, resolve, archive, batch, rested_at, settles)

    async def enqueue_unlisted(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        series_instance_uids: Sequence[str],
        *,
        rested_at: datetime | None = None,
    ) -> Enqueued:
        """See `Store`."""
        return await self._on_thread(queueing.enqueue_unlisted, manifest, resolve, archive, series_instance_uids, rested_at)

    async def keep_named(self, manifest: str, resolve: int, series_instance_uids: Sequence[str]) -> None:
        """See `Store`."""
        await self._on_thread(queueing.keep_named, manifest, resolve, series_instance_uids)

    async def compare(self, batch: Sequence[Series]) -> Sequence[Standing]:
        """See `Store`."""
        return await self._on_thread(queueing.compare, batch)

    async def drop_unwanted(self, manifest: str, resolve: int, is_wanted: Callable[[Series], bool]) -> int:
        """See `Store`."""
        return await self._on_thread(queueing.drop_unwanted, manifest, resolve, is_wanted)

    async def count_vanished(self, manifest: str, resolve: int) -> int:
        """See `Store`."""
        return await self._on_thread(queueing.count_vanished, manifest, resolve)

    async def find_vanished(self, manifest: str, resolve: int) -> AsyncIterator[StoredSeries]:
        """See `Store`."""
        after = 0
        while True:
            after, rows = await self._on_thread(queueing.page_of_vanished, manifest, resolve, after)
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return

    async def withdraw_vanished(
        self, manifest: str, resolve: int, at: datetime, *, denied: Collection[str] | None = None
    ) -> Sequence[str]:
        """See `Store`."""
        return await self._on_thread(queueing.withdraw_vanished, manifest, resolve, at, denied)

    async def forget_folder(self, series_instance_uid: str) -> None:
        """See `Store`."""
        await self._on_thread(queueing.forget_folder, series_instance_uid)

    async def note_cycle(self, manifest: str, note: CycleNote) -> None:
        """See `Store`."""
        await self._on_thread(queueing.note_cycle, manifest, note)

    async def update_series(self, series: Series) -> None:
        """See `Store`."""
        await self._on_thread(queueing.update_series, series)

    async def claim(
        self,
        manifest: str,
        *,
        owner: str,
        at: datetime,
        lease_until_at: datetime,
        limit: int = 1,
        order: FetchOrder = FetchOrder.ARCHIVE,
        archives: Collection[str] | None = None,
    ) -> Sequence[Claim]:
        """See `Store`."""
        return await self._on_thread(
            claiming.claim,
            manifest,
            owner=owner,
            at=at,
            lease_until_at=lease_until_at,
            limit=limit,
            order=order,
            archives=archives,
        )

    async def next_due_at(self, manifest: str, archives: Collection[str] | None = None) -> datetime | None:
        """See `Store`."""
        return await self._on_thread(claiming.next_due_at, manifest, archives)

    async def extend(self, claim: Claim, lease_until_at: datetime) -> Claim:
        """See `Store`."""
        return await self._on_thread(claiming.extend, claim, lease_until_at)

    async def complete(self, claim: Claim, receipt: Receipt, folder: str) -> None:
        """See `Store`. What comes while the thread is busy is written together."""
        completion = claiming.Completion(held=claim, receipt=receipt, folder=folder)
        self._completions.append(completion)
        try:
            await self._on_thread(claiming.complete_waiting, self._completions, completion)
        finally:
            if completion in self._completions:  # the caller was cancelled before its turn
                self._completions.remove(completion)
        if completion.lost is not None:
            raise completion.lost

    async def set_back(
        self, claim: Claim, *, due_at: datetime, error: str, message: str, count_attempt: bool, needed_bytes: int | None = None
    ) -> None:
        """See `Store`."""
        await self._on_thread(
            claiming.set_back,
            claim,
            due_at=due_at,
            error=error,
            message=message,
            count_attempt=count_attempt,
            needed_bytes=needed_bytes,
        )

    async def fail(self, claim: Claim, *, error: str, message: str, rests_until_at: datetime | None = None) -> None:
        """See `Store`."""
        await self._on_thread(claiming.fail, claim, error=error, message=message, rests_until_at=rests_until_at)

    async def release(self, owner_alive: Sequence[str]) -> int:
        """See `Store`."""
        return await self._on_thread(claiming.release, owner_alive)

    async def retry(self, manifest: str | None = None, series_instance_uid: str | None = None) -> int:
        """See `Store`."""
        return await self._on_thread(claiming.retry, manifest, series_instance_uid)

    async def reopen(self, series_instance_uid: str, *, error: str, message: str) -> bool:
        """See `Store`."""
        return await self._on_thread(claiming.reopen, series_instance_uid, error=error, message=message)

    async def reopen_each(self, series_instance_uids: Sequence[str], *, message: str) -> int:
        """See `Store`."""
        return await self._on_thread(presence.reopen_each, series_instance_uids, message)

    async def places(self, manifest: str | None = None, *, after: int = 0, limit: int = 10_000) -> StoredPlaces:
        """See `Store`."""
        return await self._on_thread(presence.places, manifest, after, limit)

    async def look_up(self, series_instance_uids: Sequence[str]) -> Mapping[str, StoredPlace]:
        """See `Store`."""
        return await self._on_thread(presence.look_up, series_instance_uids)

    async def library_id(self) -> str:
        """See `Store`."""
        return await self._on_thread(presence.library_id)

    async def bind_library(self, identity: str) -> None:
        """See `Store`."""
        await self._on_thread(presence.bind_library, identity)

    async def tally(self, manifest: str | None = None) -> SeriesTally:
        """See `Store`."""
        return await self._on_thread(listing.tally, manifest)

    async def holdings(self) -> Holdings:
        """See `Store`."""
        return await self._on_thread(listing.holdings)

    async def failures(self, manifest: str | None = None) -> Sequence[Failure]:
        """See `Store`."""
        return await self._on_thread(listing.failures, manifest)

    async def find(self, manifest: str | None = None, state: SeriesState | None = None) -> AsyncIterator[StoredSeries]:
        """See `Store`."""
        after = 0
        while True:
            after, rows = await self._on_thread(listing.page, manifest, state, after)
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return

    async def find_withdrawn(self, manifest: str) -> AsyncIterator[WithdrawnSeries]:
        """See `Store`."""
        after = 0
        while True:
            after, rows = await self._on_thread(listing.page_of_withdrawn, manifest, after)
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return

    async def find_page(self, wanted: SeriesFilter, *, after: int = 0, limit: int = 100) -> StoredPage:
        """See `Store`."""
        last_key = await self._on_thread(listing.last_key)
        rows: list[StoredSeries] = []
        while after < last_key and len(rows) < limit:
            after, found = await self._on_thread(listing.search, wanted, after, limit - len(rows))
            rows += found
        return StoredPage(rows=tuple(rows), next_after=after if after < last_key else None)

    async def cycles(self) -> Mapping[str, CycleNote]:
        """See `Store`."""
        return await self._on_thread(listing.cycles)

    async def manifests(self) -> Sequence[str]:
        """See `Store`."""
        return await self._on_thread(listing.manifests)

    async def restore(self, stored: Sequence[tuple[Receipt, str]]) -> None:
        """See `Store`."""
        await self._on_thread(claiming.restore, stored)

    async def relocate(self, folders: Sequence[tuple[str, str]]) -> None:
        """See `Store`."""
        await self._on_thread(claiming.relocate, folders)

    async def find_named(self, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
        """See `Store`."""
        return await self._on_thread(listing.find_named, series_instance_uids)

    async def archives(self) -> Sequence[str]:
        """See `Store`."""
        return await self._on_thread(listing.archives)

    async def forget_manifest(self, manifest: str) -> None:
        """See `Store`."""
        await self._on_thread(queueing.forget_manifest, manifest)

    async def proof_groups(self, manifest: str | None = None) -> Sequence[ProofGroup]:
        """See `Store`."""
        return await self._on_thread(listing.proof_groups, manifest)

    async def find_weak(self, manifest: str | None = None, *, with_list: bool = True) -> AsyncIterator[StoredSeries]:
        """See `Store`."""
        after = 0
        while True:
            after, rows = await self._on_thread(listing.page_of_weak, manifest, after, with_list=with_list)
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return

    async def find_unknown_proofs(self) -> AsyncIterator[StoredSeries]:
        """See `Store`."""
        after = 0
        while True:
            after, rows = await self._on_thread(listing.page_of_unknown, after)
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return

    async def note_proofs(self, proofs: Sequence[tuple[str, Proof]]) -> None:
        """See `Store`."""
        await self._on_thread(claiming.note_proofs, proofs)

    async def sent_md5_lists(self, archive: str) -> bool:
        """See `Store`."""
        return await self._on_thread(listing.sent_md5_lists, archive)
