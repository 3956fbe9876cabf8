"""The store in an SQLite file: created, migrated, and changed."""

from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from downloader.clock import Clock, SystemClock
from downloader.model import Claim, FetchOrder, Proof, Receipt, Series, WithdrawalRule
from downloader.store.records import CycleNote, Enqueued, Session, StoredSeries
from downloader.store.sqlite import claiming, corrections, enqueuing, sessions
from downloader.store.sqlite.connection import BUSY_SECONDS, open_connection
from downloader.store.sqlite.reader import SqliteReader, StoreThread, on_own_thread


@asynccontextmanager
async def open_store(
    path: Path, clock: Clock | None = None, *, busy_seconds: float = BUSY_SECONDS
) -> AsyncIterator["SqliteStore"]:
    """Open the state store at `path`; create or migrate it if needed.

    `clock` is the store's clock for leases, delays and back-offs; the machine's own by default.

    Raises:
        DamagedStoreError: it is damaged, or not a database.
        StoreError: it is not writable, is not a state store, or was written by a newer tciad.
        StoreLockedError: another process locked it for longer than `busy_seconds`; later calls raise it too.
    """
    async with on_own_thread(path, partial(open_connection, path, busy_seconds)) as thread:
        yield SqliteStore(thread, clock or SystemClock())


class SqliteStore(SqliteReader):
    """Implements `Store`; see its docstrings. Created by `open_store`."""

    def __init__(self, thread: StoreThread, clock: Clock) -> None:
        super().__init__(thread)
        self._clock = clock
        self._completions: deque[claiming.Completion] = deque()

    async def claim(
        self,
        manifest: str,
        *,
        session_id: str,
        lease_seconds: float,
        limit: int = 1,
        order: FetchOrder = FetchOrder.ARCHIVE,
        archives: Collection[str] | None = None,
    ) -> Sequence[Claim]:
        """See the port."""
        return await self._on_thread(
            claiming.claim,
            manifest,
            session_id=session_id,
            at=self._clock.steady_now(),
            lease_until_at=self._in(lease_seconds),
            limit=limit,
            order=order,
            archives=archives,
        )

    async def next_due_seconds(self, manifest: str, archives: Collection[str] | None = None) -> float | None:
        """See the port."""
        return await self._on_thread(claiming.next_due_seconds, manifest, self._clock.steady_now(), archives)

    async def extend(self, claims: Collection[Claim], lease_seconds: float) -> Sequence[Claim]:
        """See the port."""
        return await self._on_thread(claiming.extend, claims, self._in(lease_seconds))

    async def complete(self, claim: Claim, receipt: Receipt, folder: str) -> None:
        """See `Queue`. Completions that arrive while the thread is busy are written in one transaction."""
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
        self,
        claim: Claim,
        *,
        delay_seconds: float,
        error: str,
        message: str,
        count_attempt: bool,
        needed_bytes: int | None = None,
    ) -> None:
        """See the port."""
        await self._on_thread(
            claiming.set_back,
            claim,
            due_at=self._in(delay_seconds),
            error=error,
            message=message,
            count_attempt=count_attempt,
            needed_bytes=needed_bytes,
        )

    async def fail(self, claim: Claim, *, error: str, message: str, rest_seconds: float = 0.0) -> None:
        """See the port."""
        rests_until_at = self._clock.now() + timedelta(seconds=rest_seconds) if rest_seconds else None
        await self._on_thread(claiming.fail, claim, error=error, message=message, rests_until_at=rests_until_at)

    async def open_session(self, session: Session, lease_seconds: float, *, is_alone: bool) -> None:
        """See the port."""
        at, until_at = self._clock.steady_now(), self._in(lease_seconds)
        await self._on_thread(sessions.open_session, session, at, until_at, is_alone=is_alone)

    async def beat(self, session: Session, lease_seconds: float) -> None:
        """See the port."""
        await self._on_thread(sessions.beat, session, self._clock.steady_now(), self._in(lease_seconds))

    async def close_session(self, session: Session) -> None:
        """See the port."""
        await self._on_thread(sessions.close_session, session)

    async def live_claims(self) -> Collection[str]:
        """See the port."""
        return await self._on_thread(sessions.live_claims)

    async def recover_claims(self, session: Session) -> int:
        """See the port."""
        return await self._on_thread(sessions.recover_claims, session, self._clock.steady_now())

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
        skips_recent_failures: bool = False,
        settles: bool = False,
    ) -> Enqueued:
        """See the port."""
        return await self._on_thread(
            enqueuing.enqueue, manifest, resolve, archive, batch, self._rested_at(skips_recent_failures), settles
        )

    async def enqueue_unlisted(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        series_instance_uids: Sequence[str],
        *,
        skips_recent_failures: bool = False,
    ) -> Enqueued:
        """See the port."""
        return await self._on_thread(
            enqueuing.enqueue_unlisted, manifest, resolve, archive, series_instance_uids, self._rested_at(skips_recent_failures)
        )

    async def keep_named(self, manifest: str, resolve: int, series_instance_uids: Sequence[str]) -> None:
        """See the port."""
        await self._on_thread(enqueuing.keep_named, manifest, resolve, series_instance_uids)

    async def update_series(self, series: Series) -> None:
        """See the port."""
        await self._on_thread(enqueuing.update_series, series)

    async def count_vanished(self, manifest: str, resolve: int) -> int:
        """See the port."""
        return await self._on_thread(enqueuing.count_vanished, manifest, resolve)

    def find_vanished(self, manifest: str, resolve: int) -> AsyncIterator[StoredSeries]:
        """See the port."""
        return self._pages(lambda connection, after: enqueuing.page_of_vanished(connection, manifest, resolve, after))

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

    async def retry(
        self,
        manifest: str | None = None,
        series_instance_uid: str | None = None,
        *,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        """See the port."""
        wanted = {"manifest": manifest, "series_instance_uid": series_instance_uid, "collection": collection, "error": error}
        return await self._on_thread(corrections.retry, wanted)

    async def forget_manifest(self, manifest: str) -> None:
        """See the port."""
        await self._on_thread(corrections.forget_manifest, manifest)

    async def bind_library(self, identity: str) -> None:
        """See the port."""
        await self._on_thread(corrections.bind_library, identity)

    def _in(self, seconds: float) -> datetime:
        """Due times and leases use the steady clock: setting the wall clock neither lengthens nor ends them."""
        return self._clock.steady_now() + timedelta(seconds=seconds)

    def _rested_at(self, skips_recent_failures: bool) -> datetime | None:
        """Back-offs take hours and days and outlive the process: they use the wall clock."""
        return self._clock.now() if skips_recent_failures else None
