"""What the state store offers, one protocol for each kind of client.

A series is stored once, whichever manifests want it: its SeriesInstanceUID is unique in the world. Every method raises StoreError
and nothing else. The values that methods take and return are in `records.py`.
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
    """The queue that workers empty: claim a series, keep the claim, record how the attempt ended.

    Leases and delays are durations: the store alone knows what time it is, so that workers with different clocks agree.
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
        """Claim up to `limit` pending series of the manifest that are due, or whose lease has run out.

        What would be due only after `LONGEST_DELAY` is due now: the clock that dated it was wrong.
        With `archives`, only series of these; leaving others out costs nothing, however many wait.
        Counts the attempt: a series that kills the process runs out of attempts. Unknown sizes come last in either order by size.
        A caller that is cancelled meanwhile either claimed nothing, or gets its claims and is cancelled at its next await.
        """
        ...

    async def next_due_seconds(self, manifest: str, archives: Collection[str] | None = None) -> float | None:
        """In how long the earliest pending series of the manifest may be claimed, 0 if at once; None when none is pending.

        With `archives`, of the series of these.
        """
        ...

    async def extend(self, claims: Collection[Claim], lease_seconds: float) -> Sequence[Claim]:
        """Keep claims alive for that long from now. Returns those that are lost: another worker has the series, or nobody."""
        ...

    async def complete(self, claim: Claim, receipt: Receipt, folder: str) -> None:
        """Say complete. Only to be called once the series is durable in the library. Raises LeaseLostError.

        The catalogue's figures in `receipt.series` are those that the images were proven against: changes are told from them.
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
        """Make the series pending again, due after the delay; without `count_attempt` the attempt is taken back.

        With `needed_bytes`, a download ended for want of room: claims tell of both until the series is complete or begins anew.
        Raises LeaseLostError.
        """
        ...

    async def fail(self, claim: Claim, *, error: str, message: str, rest_seconds: float = 0.0) -> None:
        """The series will not be tried again in this run, nor by resolves that let it rest so long. Raises LeaseLostError."""
        ...


class Sessions(Protocol):
    """Who works with the store. A session is alive for as long as its heartbeats say, by the store's clock."""

    async def open_session(self, session: Session, lease_seconds: float, *, is_alone: bool) -> None:
        """Begin to work. With `is_alone`, every other session is over: the caller holds the lock that all of them held."""
        ...

    async def beat(self, session: Session, lease_seconds: float) -> None:
        """Keep the session alive for that long from now. One that was taken for dead meanwhile is alive again."""
        ...

    async def close_session(self, session: Session) -> None:
        """End the session. Claims that it still has are set back; their attempts stay counted."""
        ...

    async def live_claims(self) -> Collection[str]:
        """The names of all claims that somebody may be working under."""
        ...

    async def recover_claims(self, session: Session) -> int:
        """Set back claims under which nobody works; their attempts stay counted. Returns how many.

        Those are the claims of sessions that are over or dead, and those of this session, which does not work now.
        """
        ...


class Intake(Protocol):
    """What a resolve writes: the series that a manifest wants, those that it no longer names, and notes on the manifest."""

    async def begin_resolve(self, manifest: str, at: datetime) -> int:
        """Start a resolve of the manifest and return its number; what it enqueues is marked with it."""
        ...

    async def note_withdrawal_rule(self, manifest: str, rule: WithdrawalRule) -> None:
        """Keep what the manifest wants done with withdrawn series. A manifest that never said counts as one that keeps them."""
        ...

    async def enqueue(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        batch: Sequence[Series],
        *,
        lets_failed_rest: bool = False,
        settles: bool = False,
    ) -> Enqueued:
        """Merge catalogue rows into the queue, in one transaction.

        New series become pending. Known ones get the catalogue's newest attributes; one that is complete becomes pending again
        when ImageCount, FileSize, DateReleased or MaxSubmissionTimestamp changed (both sides known). A failed or withdrawn series
        becomes pending again with its attempts at 0; a claimed one is left to its worker. What the catalogue leaves out does not
        undo what it told before. The manifest's claims of these series go to `archive` from now on; a series that the same
        resolve has enqueued from another archive is left as that one lists it.

        Two lists that disagree are no change: figures are not taken where the same resolve has named the series with other ones,
        nor where it is complete and proven against another archive from which another manifest wants it.

        With `settles`, these rows replace those that the same resolve took before: the choice between rows that disagreed.

        With `lets_failed_rest`, a failed series whose rest is not over stays failed, unless one of the four figures changed.

        Raises:
            StoreError: also when the resolve never began.
        """
        ...

    async def enqueue_unlisted(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        series_instance_uids: Sequence[str],
        *,
        lets_failed_rest: bool = False,
    ) -> Enqueued:
        """Want series by name that the catalogue does not list, so that fetching them tells why.

        A series that is complete or withdrawn is left to vanish: it was listed once. The manifest has a say in what
        becomes of it.
        """
        ...

    async def keep_named(self, manifest: str, resolve: int, series_instance_uids: Sequence[str]) -> None:
        """Count these series as named by the resolve, where the manifest wants them already; nothing else of them changes."""
        ...

    async def update_series(self, series: Series) -> None:
        """Take the catalogue's newest attributes of a series whose state stays as it is."""
        ...

    async def count_vanished(self, manifest: str, resolve: int) -> int:
        """How many series an earlier resolve of the manifest wanted and this one did not name, less those already withdrawn."""
        ...

    def find_vanished(self, manifest: str, resolve: int) -> AsyncIterator[StoredSeries]:
        """The series that `count_vanished` counts, read in pages. `archive` is where the manifest asked for each."""
        ...

    async def drop_wishes(self, manifest: str, resolve: int, series_instance_uids: Collection[str]) -> int:
        """Forget the manifest's wish for those of these series that this resolve did not name.

        For series that the manifest itself no longer means. What no manifest wants any more, and has nothing in the library, is
        forgotten whole. Returns how many wishes were dropped.
        """
        ...

    async def withdraw_vanished(
        self, manifest: str, resolve: int, at: datetime, *, denied: Collection[str] | None = None
    ) -> Sequence[str]:
        """Mark as withdrawn those series that this manifest wanted, this resolve did not name and no other manifest wants.

        With `denied`, only those of them: the others stay as they are, and vanish again in the next resolve. `at` is when that
        was seen. Returns their SeriesInstanceUIDs, sorted. One that is claimed loses its claim. One that another manifest wants
        stays as it is, and is no longer among this manifest's, which keeps its say in what becomes of it.
        """
        ...

    async def note_cycle(self, manifest: str, note: CycleNote) -> None:
        """Keep how the last cycle of a known manifest ended; `succeeded_at` is set to its end when the exit code is 0."""
        ...


class Corrections(Protocol):
    """What the library or a person knows better than the store: folders that moved, images that are damaged, new chances."""

    async def restore(self, stored: Sequence[tuple[Receipt, str]]) -> None:
        """Say complete of series that lie proven in these folders of the library, without a claim; durable, all or none.

        For what the library knows and the store does not: after the loss of the store, or when other trees are taken over. Series
        that are not known become known, wanted by no manifest. Whoever had claimed one of them loses it.
        """
        ...

    async def reopen(self, series_instance_uids: Sequence[str], *, message: str) -> int:
        """Make complete series that are damaged or gone pending again with their attempts at 0, all or none; durable.

        Series in another state stay as they are. Returns how many were complete.
        """
        ...

    async def relocate(self, folders: Sequence[tuple[str, str]]) -> None:
        """Note where series lie now, by SeriesInstanceUID; durable. What has nothing in the library stays as it is."""
        ...

    async def forget_folder(self, series_instance_uid: str) -> None:
        """The images of a withdrawn series are gone from the library. Does nothing to one that is not withdrawn."""
        ...

    async def note_proofs(self, proofs: Sequence[tuple[str, Proof]]) -> None:
        """Note how complete series are proven, by SeriesInstanceUID, as their receipts say. Others are passed over."""
        ...

    async def retry(
        self,
        manifest: str | None = None,
        series_instance_uid: str | None = None,
        *,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        """Make failed series pending again with their attempts at 0: those that fit every one of these. Returns how many.

        An empty `collection` fits series without one.
        """
        ...

    async def forget_manifest(self, manifest: str) -> None:
        """Forget the manifest, its wishes and its say in what becomes of withdrawn series. Its series stay as they are."""
        ...

    async def bind_library(self, identity: str) -> None:
        """Belong to the library of this identity from now on; durable."""
        ...


class Inventory(Protocol):
    """What people and reports ask. Nothing here writes."""

    async def library_id(self) -> str:
        """The identity of the library that this store belongs to; empty until `bind_library`."""
        ...

    async def manifests(self) -> Sequence[str]:
        """Names of the manifests that this store knows, sorted."""
        ...

    async def archives(self) -> Sequence[str]:
        """Names of the archives that series of the library come from, or will, sorted."""
        ...

    async def cycles(self) -> Mapping[str, CycleNote]:
        """What was noted last, by manifest."""
        ...

    async def tally(self, manifest: str | None = None) -> SeriesTally:
        """Counts of one manifest's series, or of the whole library.

        `images` and `stored_bytes` are those of complete series, `expected_images` and `expected_bytes` what the catalogue says
        of all selected ones.
        """
        ...

    async def holdings(self) -> Holdings:
        """What the library holds, all figures of one moment. Reads every row: seconds for a million series."""
        ...

    async def failures(self, manifest: str | None = None) -> Sequence[Failure]:
        """Failed series with their reason, sorted by SeriesInstanceUID."""
        ...

    async def failure_groups(self, manifest: str | None = None) -> Sequence[FailureGroup]:
        """Failed series counted by error and collection, the largest groups first. Reads every failed row, and no other."""
        ...

    def find(self, manifest: str | None = None, state: SeriesState | None = None) -> AsyncIterator[StoredSeries]:
        """Every matching row in the archive's order, read in pages so that memory does not grow with the library."""
        ...

    async def find_page(self, wanted: SeriesFilter, *, after: int = 0, limit: int = 100) -> StoredPage:
        """Up to `limit` rows that fit, after those of an earlier page."""
        ...

    async def compare(self, batch: Sequence[Series]) -> Sequence[Standing]:
        """What enqueueing these rows would find, in their order. Changes nothing."""
        ...


class FolderIndex(Protocol):
    """Where series lie in the library, by name. Nothing here writes."""

    async def find_named(self, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
        """The rows of these series, in this order; those that are not known are left out."""
        ...

    async def look_up(self, series_instance_uids: Sequence[str]) -> Mapping[str, StoredPlace]:
        """Where these series lie, by their UIDs; those that are not known are left out. Reads far less than `find_named`."""
        ...

    async def places(self, manifest: str | None = None, *, after: int = 0, limit: int = 10_000) -> StoredPlaces:
        """Up to `limit` complete series of the manifest, or of the library, and their folders, after those of an earlier page."""
        ...

    def find_withdrawn(self, manifest: str) -> AsyncIterator[WithdrawnSeries]:
        """Withdrawn series with a folder that the manifest wants or once wanted, in the archive's order, read in pages."""
        ...


class ProofRecords(Protocol):
    """How complete series are proven. Nothing here writes."""

    async def proof_groups(self, manifest: str | None = None) -> Sequence[ProofGroup]:
        """The complete series whose proof is not by all digests, or not known, counted: a manifest's, or the library's."""
        ...

    def find_weak(self, manifest: str | None = None, *, with_list: bool = True) -> AsyncIterator[StoredSeries]:
        """The same series one by one, in the archive's order; without `with_list` only those that came without an MD5 list."""
        ...

    def find_unknown_proofs(self) -> AsyncIterator[StoredSeries]:
        """Complete series of which it was never noted how they are proven: those that an older tciad stored."""
        ...

    async def sent_md5_lists(self, archive: str) -> bool:
        """Whether any series ever came from this archive with an MD5 list."""
        ...


class StoreReader(Inventory, FolderIndex, ProofRecords, Protocol):
    """A store that is only asked."""


class Store(StoreReader, Queue, Sessions, Intake, Corrections, Protocol):
    """All of it, for the code that opens a store and hands its parts on."""
