"""The store in an SQLite file: made where there is none, brought up to date, and changed."""

from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from downloader.model import Claim, FetchOrder, Proof, Receipt, Series, WithdrawalRule
from downloader.store.records import CycleNote, Enqueued, StoredSeries
from downloader.store.sqlite import claiming, corrections, enqueuing
from downloader.store.sqlite.connection import BUSY_SECONDS, PAGE_SIZE, open_connection
from downloader.store.sqlite.reader import SqliteReader, StoreThread, on_own_thread


@asynccontextmanager
async def open_store(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> AsyncIterator["SqliteStore"]:
    """The state store at `path`, made or brought up to date where that is needed.

    Raises:
        DamagedStoreError: damaged, or no database at all.
        StoreError: not writable, not a state store, or made by a newer tciad.
        StoreLockedError: another process would not let go of it for `busy_seconds`; later calls raise it too.
    """
    async with on_own_thread(path, partial(open_connection, path, busy_seconds)) as thread:
        yield SqliteStore(thread)


class SqliteStore(SqliteReader):
    """Implements `Store`, whose docstrings say what each method does; made by `open_store`."""

    def __init__(self, thread: StoreThread) -> None:
        super().__init__(thread)
        self._completions: deque[claiming.Completion] = deque()

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
        """See the port."""
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
        """See the port."""
        return await self._on_thread(claiming.next_due_at, manifest, archives)

    async def extend(self, claim: Claim, lease_until_at: datetime) -> Claim:
        """See the port."""
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
        """See the port."""
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
        """See the port."""
        await self._on_thread(claiming.fail, claim, error=error, message=message, rests_until_at=rests_until_at)

    async def release(self, owner_alive: Sequence[str]) -> int:
        """See the port."""
        return await self._on_thread(claiming.release, owner_alive)

    async def begin_resolve(self, manifest: str, at: datetime) -> int:
        """See the port."""
        return await self._on_thread(enqueuing.begin_resolve, manifest, at)

    async def note_withdrawal_rule(self, manifest: str, rule: WithdrawalRule) -> None:
        """See the port."""
        await self._on_thread(enqueuing.note_withdrawal_rule, manifest, rule)

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
        """See the port."""
        return await self._on_thread(enqueuing.enqueue, manifest, resolve, archive, batch, rested_at, settles)

    async def enqueue_unlisted(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        series_instance_uids: Sequence[str],
        *,
        rested_at: datetime | None = None,
    ) -> Enqueued:
        """See the port."""
        return await self._on_thread(enqueuing.enqueue_unlisted, manifest, resolve, archive, series_instance_uids, rested_at)

    async def keep_named(self, manifest: str, resolve: int, series_instance_uids: Sequence[str]) -> None:
        """See the port."""
        await self._on_thread(enqueuing.keep_named, manifest, resolve, series_instance_uids)

    async def update_series(self, series: Series) -> None:
        """See the port."""
        await self._on_thread(enqueuing.update_series, series)

    async def count_vanished(self, manifest: str, resolve: int) -> int:
        """See the port."""
        return await self._on_thread(enqueuing.count_vanished, manifest, resolve)

    async def find_vanished(self, manifest: str, resolve: int) -> AsyncIterator[StoredSeries]:
        """See the port."""
        after = 0
        while True:
            after, rows = await self._on_thread(enqueuing.page_of_vanished, manifest, resolve, after)
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return

    async def drop_wishes(self, manifest: str, resolve: int, series_instance_uids: Collection[str]) -> int:
        """See the port."""
        return await self._on_thread(enqueuing.drop_wishes, manifest, resolve, series_instance_uids)

    async def withdraw_vanished(
        self, manifest: str, resolve: int, at: datetime, *, denied: Collection[str] | None = None
    ) -> Sequence[str]:
        """See the port."""
        return await self._on_thread(enqueuing.withdraw_vanished, manifest, resolve, at, denied)

    async def note_cycle(self, manifest: str, note: CycleNote) -> None:
        """See the port."""
        await self._on_thread(enqueuing.note_cycle, manifest, note)

    async def restore(self, stored: Sequence[tuple[Receipt, str]]) -> None:
        """See the port."""
        await self._on_thread(corrections.restore, stored)

    async def reopen(self, series_instance_uids: Sequence[str], *, message: str) -> int:
        """See the port."""
        return await self._on_thread(corrections.reopen, series_instance_uids, message)

    async def relocate(self, folders: Sequence[tuple[str, str]]) -> None:
        """See the port."""
        await self._on_thread(corrections.relocate, folders)

    async def forget_folder(self, series_instance_uid: str) -> None:
        """See the port."""
        await self._on_thread(corrections.forget_folder, series_instance_uid)

    async def note_proofs(self, proofs: Sequence[tuple[str, Proof]]) -> None:
        """See the port."""
        await self._on_thread(corrections.note_proofs, proofs)

    async def retry(self, manifest: str | None = None, series_instance_uid: str | None = None) -> int:
        """See the port."""
        return await self._on_thread(corrections.retry, manifest, series_instance_uid)

    async def forget_manifest(self, manifest: str) -> None:
        """See the port."""
        await self._on_thread(corrections.forget_manifest, manifest)

    async def bind_library(self, identity: str) -> None:
        """See the port."""
        await self._on_thread(corrections.bind_library, identity)
