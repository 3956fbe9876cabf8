"""The protocols of the state store, one per kind of client.

A series is stored once, however many manifests want it: its SeriesInstanceUID is globally unique. All methods raise only
StoreError. `records.py` has the values that methods take and return.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from downloader.model import (
    Claim,
    Failure,
    FetchOrder,
    Proof,
    Receipt,
    Series,
    SeriesState,
    SeriesTally,
    WithdrawalRule,
)
from downloader.store.holdings import Holdings
from downloader.store.records import (
    CycleNote,
    Enqueued,
    FailureGroup,
    ProofGroup,
    SeriesFilter,
    Session,
    Standing,
    StoredPage,
    StoredPlace,
    StoredPlaces,
    StoredSeries,
    WithdrawnSeries,
)


class Queue(Protocol):
    """The queue of the workers: claim a series, keep the claim, record the end of the attempt.

    Leases and delays are durations on the store's clock, so that workers with different clocks agree.
    """

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
        """Claim up to `limit` pending series of the manifest that are due, or whose lease has expired.

        A due time more than `LONGEST_DELAY` ahead counts as due: it was set by a wrong clock. With `archives`, claim only series
        of these; the cost does not depend on how many others wait. The claim counts the attempt, so that a series that kills the
        process runs out of attempts. Unknown sizes come last in both orders by size. If the caller is cancelled meanwhile, it has
        either claimed nothing, or receives its claims and is cancelled at its next await.
        """
        ...

    async def next_due_seconds(self, manifest: str, archives: Collection[str] | None = None) -> float | None:
        """Seconds until the earliest pending series of the manifest may be claimed, 0 if now; None if none is pending.

        With `archives`, only series of these count.
        """
        ...

    async def extend(self, claims: Collection[Claim], lease_seconds: float) -> Sequence[Claim]:
        """Extend the claims by that long from now. Returns the lost ones: another worker has the series, or none."""
        ...

    async def complete(self, claim: Claim, receipt: Receipt, folder: str) -> None:
        """Set the series to complete. Call it only after the series is durable in the library. Raises LeaseLostError.

        `receipt.series` must have the catalogue's values against which the images were proven: later changes are detected by
        them.
        """
        ...

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
        """Make the series pending again, due after the delay; without `count_attempt` the attempt does not count.

        `needed_bytes`: a download ended on a full disk. Later claims have this number and the count of such downloads, until the
        series is complete or its attempts are reset. Raises LeaseLostError.
        """
        ...

    async def fail(self, claim: Claim, *, error: str, message: str, rest_seconds: float = 0.0) -> None:
        """Set the series to failed; resolves that skip recent failures do so for `rest_seconds`. Raises LeaseLostError."""
        ...


class Sessions(Protocol):
    """The sessions of the store's clients. A session is alive until its last heartbeat expires, on the store's clock."""

    async def open_session(self, session: Session, lease_seconds: float, *, is_alone: bool) -> None:
        """Open a session. With `is_alone`, all other sessions are over: the caller holds the lock that they held."""
        ...

    async def beat(self, session: Session, lease_seconds: float) -> None:
        """Keep the session alive for that long from now. A session that counted as dead is alive again."""
        ...

    async def close_session(self, session: Session) -> None:
        """Close the session. Its remaining claims are set back; their attempts stay counted."""
        ...

    async def live_claims(self) -> Collection[str]:
        """The ids of all claims that live sessions may be working on."""
        ...

    async def recover_claims(self, session: Session) -> int:
        """Set back abandoned claims; their attempts stay counted. Returns how many.

        Abandoned are the claims of closed and dead sessions, and those of this session, which must have no attempt in flight.
        """
        ...


class Intake(Protocol):
    """The writes of a resolve: series that a manifest wants, series that it no longer has, and notes on the manifest."""

    async def begin_resolve(self, manifest: str, at: datetime) -> int:
        """Start a resolve of the manifest and return its number; the rows that it enqueues are marked with it."""
        ...

    async def note_withdrawal_rule(self, manifest: str, rule: WithdrawalRule) -> None:
        """Record the manifest's policy for withdrawn series. A manifest without a policy counts as `keep`."""
        ...

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
        """Merge catalogue rows into the queue, in one transaction.

        New series become pending. Known ones get the catalogue's newest attributes; complete ones become pending again if
        ImageCount, FileSize, DateReleased or MaxSubmissionTimestamp changed (both rows have it). Failed and withdrawn series
        become pending again with 0 attempts; claimed ones stay claimed. Attributes that the catalogue leaves out keep their
        earlier values. The manifest's series are fetched from `archive` from now on; but a series that the same resolve has
        enqueued from another archive keeps that one.

        Two contradictory lists are not a change: figures are not accepted if the same resolve has listed the series with others,
        or if the series is complete and was proven against another archive from which another manifest wants it.

        With `settles`, these rows replace earlier ones of the same resolve: they are the choice between contradictory rows.

        With `skips_recent_failures`, a failed series stays failed during its back-off, unless one of the four figures changed.

        Raises:
            StoreError: also if the resolve was never started.
        """
        ...

    async def enqueue_unlisted(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        series_instance_uids: Sequence[str],
        *,
        skips_recent_failures: bool = False,
    ) -> Enqueued:
        """Enqueue series that the manifest names and the catalogue does not list, so that fetching them reports the reason.

        Complete and withdrawn series are not enqueued: they were listed once, and count as vanished. The manifest's policy
        applies to them.
        """
        ...

    async def keep_named(self, manifest: str, resolve: int, series_instance_uids: Sequence[str]) -> None:
        """Mark these series as listed in the resolve, if the manifest has them already; nothing else changes."""
        ...

    async def update_series(self, series: Series) -> None:
        """Update the catalogue's attributes of a series, without a change of its state."""
        ...

    async def count_vanished(self, manifest: str, resolve: int) -> int:
        """The number of series of the manifest that this resolve did not list, without those already withdrawn."""
        ...

    def find_vanished(self, manifest: str, resolve: int) -> AsyncIterator[StoredSeries]:
        """The series that `count_vanished` counts, read in pages. `archive` is the archive from which the manifest wants each."""
        ...

    async def drop_wishes(self, manifest: str, resolve: int, series_instance_uids: Collection[str]) -> int:
        """Remove those of these series from the manifest that this resolve did not list.

        For series that the manifest itself no longer selects. Series that no manifest wants, and that have nothing in the
        library, are deleted. Returns how many were removed.
        """
        ...

    async def withdraw_vanished(
        self, manifest: str, resolve: int, at: datetime, *, denied: Collection[str] | None = None
    ) -> Sequence[str]:
        """Set series of this manifest to withdrawn that this resolve did not list and no other manifest wants.

        With `denied`, only these: the others stay, and vanish again in the next resolve. `at` is the time of the withdrawal.
        Returns the SeriesInstanceUIDs, sorted. A claimed series loses its claim. A series that another manifest wants keeps its
        state, and is removed from this manifest, whose policy still applies to it.
        """
        ...

    async def note_cycle(self, manifest: str, note: CycleNote) -> None:
        """Record the end of the last cycle of a known manifest; `succeeded_at` is set to its end if the exit code is 0."""
        ...


class Corrections(Protocol):
    """Corrections by the library or the user: folders that moved, damaged images, new attempts."""

    async def restore(self, stored: Sequence[tuple[Receipt, str]]) -> None:
        """Set series to complete that are proven in these folders of the library, without a claim; durable, all or none.

        For series that the library has and the store lacks: after the loss of the store, or when a tree is adopted. Unknown
        series are added, without a manifest. Workers that had claimed one of them lose the claim.
        """
        ...

    async def reopen(self, series_instance_uids: Sequence[str], *, message: str) -> int:
        """Make damaged or missing complete series pending again with 0 attempts, all or none; durable.

        Series in another state stay as they are. Returns how many were complete.
        """
        ...

    async def relocate(self, folders: Sequence[tuple[str, str]]) -> None:
        """Update the folders of series, by SeriesInstanceUID; durable. Series without a folder are ignored."""
        ...

    async def forget_folder(self, series_instance_uid: str) -> None:
        """Clear the folder of a withdrawn series. Other series are ignored."""
        ...

    async def note_proofs(self, proofs: Sequence[tuple[str, Proof]]) -> None:
        """Record the proofs of complete series, by SeriesInstanceUID, from their receipts. Other series are ignored."""
        ...

    async def retry(
        self,
        manifest: str | None = None,
        series_instance_uid: str | None = None,
        *,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        """Make failed series pending again with 0 attempts: those that match all of these filters. Returns how many.

        An empty `collection` matches series without one.
        """
        ...

    async def forget_manifest(self, manifest: str) -> None:
        """Delete the manifest with its list of series and its policy for withdrawn series. The series stay as they are."""
        ...

    async def bind_library(self, identity: str) -> None:
        """Bind the store to the library with this id; durable."""
        ...


class Inventory(Protocol):
    """Queries for people and reports. Read-only."""

    async def library_id(self) -> str:
        """The id of the library that this store belongs to; empty until `bind_library`."""
        ...

    async def manifests(self) -> Sequence[str]:
        """The names of the manifests in this store, sorted."""
        ...

    async def archives(self) -> Sequence[str]:
        """The names of the archives of all series, sorted."""
        ...

    async def cycles(self) -> Mapping[str, CycleNote]:
        """The end of the last cycle, by manifest."""
        ...

    async def tally(self, manifest: str | None = None) -> SeriesTally:
        """Counts of one manifest's series, or of the whole library.

        `images` and `stored_bytes` are those of complete series, `expected_images` and `expected_bytes` the catalogue's of all
        selected ones.
        """
        ...

    async def holdings(self) -> Holdings:
        """The counts of the whole library at one time. Reads every row: seconds for a million series."""
        ...

    async def failures(self, manifest: str | None = None) -> Sequence[Failure]:
        """Failed series with their errors, sorted by SeriesInstanceUID."""
        ...

    async def failure_groups(self, manifest: str | None = None) -> Sequence[FailureGroup]:
        """Failed series counted by error and collection, the largest groups first. Reads every failed row, and no other."""
        ...

    def find(self, manifest: str | None = None, state: SeriesState | None = None) -> AsyncIterator[StoredSeries]:
        """Every matching row in the archive's order, read in pages, in constant memory."""
        ...

    async def find_page(self, wanted: SeriesFilter, *, after: int = 0, limit: int = 100) -> StoredPage:
        """Up to `limit` matching rows, after those of an earlier page."""
        ...

    async def compare(self, batch: Sequence[Series]) -> Sequence[Standing]:
        """The result that enqueueing each of these rows would have, in order. Changes nothing."""
        ...


class FolderIndex(Protocol):
    """The folders of series in the library, by UID. Read-only."""

    async def find_named(self, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
        """The rows of these series, in this order; unknown ones are left out."""
        ...

    async def look_up(self, series_instance_uids: Sequence[str]) -> Mapping[str, StoredPlace]:
        """The folders of these series, by UID; unknown ones are left out. Reads far less than `find_named`."""
        ...

    async def places(self, manifest: str | None = None, *, after: int = 0, limit: int = 10_000) -> StoredPlaces:
        """Up to `limit` complete series of the manifest, or of the library, and their folders, after those of an earlier page."""
        ...

    def find_withdrawn(self, manifest: str) -> AsyncIterator[WithdrawnSeries]:
        """Withdrawn series with a folder that the manifest wants or once wanted, in the archive's order, read in pages."""
        ...


class ProofRecords(Protocol):
    """The proofs of complete series. Read-only."""

    async def proof_groups(self, manifest: str | None = None) -> Sequence[ProofGroup]:
        """Counts of complete series whose proof is weaker than all MD5s, or unknown: of a manifest, or of the library."""
        ...

    def find_weak(self, manifest: str | None = None, *, with_list: bool = True) -> AsyncIterator[StoredSeries]:
        """Those whose proof is known to be weaker, in the archive's order; without `with_list` only those without an MD5 list."""
        ...

    def find_unknown_proofs(self) -> AsyncIterator[StoredSeries]:
        """Complete series whose proof was never recorded: an older tciad stored them."""
        ...

    async def sent_md5_lists(self, archive: str) -> bool:
        """Whether any series arrived from this archive with an MD5 list."""
        ...


class StoreReader(Inventory, FolderIndex, ProofRecords, Protocol):
    """A store for reading only."""


class Store(StoreReader, Queue, Sessions, Intake, Corrections, Protocol):
    """The whole store, for code that opens it and passes on its parts."""
