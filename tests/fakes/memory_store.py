"""A store in memory, for tests of the layers above it; it satisfies the contract of the SQLite store (tests/store/contract)."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

from downloader.clock import Clock, SystemClock
from downloader.errors import LeaseLostError, StoreError
from downloader.model import (
    VERSION_ATTRIBUTES,
    Claim,
    Digests,
    Failure,
    FetchOrder,
    Proof,
    Receipt,
    Series,
    SeriesState,
    SeriesTally,
    WithdrawalRule,
    WithdrawnPolicy,
    is_day_of,
)
from downloader.store.holdings import HoldingRow, Holdings, count_holdings
from downloader.store.records import (
    LONGEST_DELAY,
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

_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Row:
    stored: StoredSeries
    claimable_at: datetime = _AT_ONCE
    session_id: str = ""
    claim_id: str = ""
    images: int = 0
    key: int = 0
    unended_attempts: int = 0
    rounds_without_room: int = 0

    def move(self, state: SeriesState, claimable_at: datetime = _AT_ONCE, **changes: object) -> None:
        self.stored = replace(self.stored, state=state, **changes)  # type: ignore[arg-type]  # checked by the dataclass
        self.claimable_at = claimable_at
        self.session_id = self.claim_id = ""

    def begin_anew(self) -> None:
        """Discard what earlier attempts recorded about the series."""
        self.unended_attempts = self.rounds_without_room = 0
        self.stored = replace(self.stored, needed_bytes=0)


@dataclass(slots=True, eq=False)
class _Manifest:
    resolve: int = 0
    note: CycleNote | None = None
    wanted: dict[str, int] = field(default_factory=dict)  # the last resolve that selected each series, by series_instance_uid
    archives: dict[str, str] = field(default_factory=dict)  # the archive that listed it in that resolve, by series_instance_uid
    former: set[str] = field(default_factory=set)
    rule: WithdrawalRule | None = None

    def drop(self, series_instance_uid: str) -> None:
        if self.wanted.pop(series_instance_uid, None) is not None:
            self.former.add(series_instance_uid)


class MemoryStore:
    """Implements `downloader.store.port.Store` with dictionaries."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self._claims = 0
        self._alive_until: dict[str, datetime] = {}
        self._rows: dict[str, _Row] = {}
        self._manifests: dict[str, _Manifest] = {}
        self._last_key = 0
        self._library_id = ""

    async def begin_resolve(self, manifest: str, at: datetime) -> int:
        found = self._manifests.setdefault(manifest, _Manifest())
        found.resolve += 1
        return found.resolve

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
        if resolve > self._manifest(manifest).resolve:
            raise StoreError(f"resolve {resolve} of the manifest {manifest} has not started")
        found = self._manifests[manifest]
        newest: dict[str, Series] = {}
        contradicting: list[Series] = []
        for series in batch:
            first = newest.setdefault(series.series_instance_uid, series)
            if first.version.differs_from(series.version):
                contradicting.append(series)
            else:
                newest[series.series_instance_uid] = series
        new: list[str] = []
        changed: list[str] = []
        returned: list[str] = []
        for series_instance_uid, series in newest.items():
            match self._contradiction(found, 0 if settles else resolve, archive, series):
                case "resolve":
                    contradicting.append(series)
                    continue
                case "archive":
                    contradicting.append(series)
                    series = replace(series, **dict.fromkeys(VERSION_ATTRIBUTES))  # type: ignore[arg-type]  # noqa: PLW2901
            if found.wanted.get(series_instance_uid) == resolve and found.archives[series_instance_uid] != archive:
                continue
            if series_instance_uid not in self._rows:
                new.append(series_instance_uid)
                self._add(series, archive)
            else:
                rested_at = self.clock.now() if skips_recent_failures else None
                self._enqueue_known(self._rows[series_instance_uid], series, rested_at, changed, returned)
            found.wanted[series_instance_uid] = resolve
            found.archives[series_instance_uid] = archive
        return Enqueued(
            new=len(new),
            changed=len(changed),
            known=len(newest) - len(new) - len(changed),
            new_series=tuple(new),
            changed_series=tuple(changed),
            returned_series=tuple(returned),
            contradicting=tuple(contradicting),
        )

    def _contradiction(self, found: _Manifest, resolve: int, archive: str, series: Series) -> str:
        row = self._rows.get(series.series_instance_uid)
        if row is None or not row.stored.series.version.differs_from(series.version):
            return ""
        if found.wanted.get(series.series_instance_uid) == resolve:
            return "resolve"
        name = series.series_instance_uid
        others = [one.archives[name] for one in self._manifests.values() if one is not found and name in one.wanted]
        is_proven_elsewhere = row.stored.state is SeriesState.COMPLETE and row.stored.archive != archive
        return "archive" if is_proven_elsewhere and row.stored.archive in others else ""

    def _add(self, series: Series, archive: str) -> _Row:
        self._last_key += 1
        row = self._rows[series.series_instance_uid] = _Row(_new_row(series, archive), key=self._last_key)
        return row

    def _enqueue_known(
        self, row: _Row, series: Series, rested_at: datetime | None, changed: list[str], returned: list[str]
    ) -> None:
        before = row.stored
        differs = before.series.version.differs_from(series.version)
        chance = {"attempts": 0, "error": "", "message": "", "rests_until_at": None, "withdrawn_at": None}
        rests = rested_at is not None and before.rests_until_at is not None and before.rests_until_at > rested_at
        if before.state is SeriesState.COMPLETE and differs:
            changed.append(series.series_instance_uid)
            row.begin_anew()
            row.move(SeriesState.PENDING, attempts=0)
        elif before.state is SeriesState.FAILED and (differs or not rests):
            row.begin_anew()
            row.move(SeriesState.PENDING, **chance)  # type: ignore[arg-type]  # checked by the dataclass
        elif before.state is SeriesState.WITHDRAWN:
            returned.append(series.series_instance_uid)
            row.begin_anew()
            row.move(SeriesState.PENDING, failed_rounds=0, **chance)  # type: ignore[arg-type]  # checked by the dataclass
            for manifest in self._manifests.values():
                manifest.drop(series.series_instance_uid)
        row.stored = replace(row.stored, series=_merge(before.series, series))

    async def enqueue_unlisted(
        self,
        manifest: str,
        resolve: int,
        archive: str,
        series_instance_uids: Sequence[str],
        *,
        skips_recent_failures: bool = False,
    ) -> Enqueued:
        listed_once = {SeriesState.COMPLETE, SeriesState.WITHDRAWN}
        wishes = [
            Series(series_instance_uid=name)
            for name in series_instance_uids
            if name not in self._rows or self._rows[name].stored.state not in listed_once
        ]
        asked_by_name = {name for name in series_instance_uids if name in self._rows} - {
            one.series_instance_uid for one in wishes
        }
        self._manifest(manifest).former.update(asked_by_name)
        return await self.enqueue(manifest, resolve, archive, wishes, skips_recent_failures=skips_recent_failures)

    async def keep_named(self, manifest: str, resolve: int, series_instance_uids: Sequence[str]) -> None:
        wanted = self._manifest(manifest).wanted
        wanted.update({name: resolve for name in series_instance_uids if name in wanted})

    async def compare(self, batch: Sequence[Series]) -> Sequence[Standing]:
        return [self._standing(series) for series in batch]

    def _standing(self, series: Series) -> Standing:
        row = self._rows.get(series.series_instance_uid)
        if row is None:
            return Standing.NEW
        if row.stored.state is not SeriesState.COMPLETE:
            return Standing.PENDING
        return Standing.CHANGED if row.stored.series.version.differs_from(series.version) else Standing.COMPLETE

    async def drop_wishes(self, manifest: str, resolve: int, series_instance_uids: Collection[str]) -> int:
        dropped = [name for name in self._vanished(manifest, resolve) if name in series_instance_uids]
        for name in dropped:
            self._manifests[manifest].drop(name)
            stored = self._rows[name].stored
            if not self._wanting(name) and not stored.folder:
                del self._rows[name]
                for known in self._manifests.values():
                    known.former.discard(name)
        return len(dropped)

    async def count_vanished(self, manifest: str, resolve: int) -> int:
        return len(self._vanished(manifest, resolve))

    async def find_vanished(self, manifest: str, resolve: int) -> AsyncIterator[StoredSeries]:
        vanished = set(self._vanished(manifest, resolve))
        for row in list(self._select(manifest)):
            name = row.stored.series.series_instance_uid
            if name in vanished:
                yield replace(row.stored, archive=self._manifest(manifest).archives[name])

    async def withdraw_vanished(
        self, manifest: str, resolve: int, at: datetime, *, denied: Collection[str] | None = None
    ) -> Sequence[str]:
        withdrawn = []
        for series_instance_uid in self._vanished(manifest, resolve):
            if denied is not None and series_instance_uid not in denied:
                continue
            if self._wanting(series_instance_uid) == 1:
                self._rows[series_instance_uid].move(SeriesState.WITHDRAWN, rests_until_at=None, withdrawn_at=at)
                withdrawn.append(series_instance_uid)
            else:
                self._manifests[manifest].drop(series_instance_uid)
        return withdrawn

    async def note_withdrawal_rule(self, manifest: str, rule: WithdrawalRule) -> None:
        self._manifests.setdefault(manifest, _Manifest()).rule = rule

    async def find_withdrawn(self, manifest: str) -> AsyncIterator[WithdrawnSeries]:
        care = list(WithdrawnPolicy)
        for name, row in list(self._rows.items()):
            claimants = [one for one in self._manifests.values() if name in one.wanted or name in one.former]
            if row.stored.state is not SeriesState.WITHDRAWN or not row.stored.folder:
                continue
            if self._manifests.get(manifest) in claimants:
                rules = [one.rule or WithdrawalRule() for one in claimants]
                policy = min((rule.policy for rule in rules), key=care.index)
                grace_seconds = max(rule.grace_seconds for rule in rules)
                yield WithdrawnSeries(stored=row.stored, rule=WithdrawalRule(policy=policy, grace_seconds=grace_seconds))

    def _vanished(self, manifest: str, resolve: int) -> list[str]:
        return sorted(
            series_instance_uid
            for series_instance_uid, named_by in self._manifest(manifest).wanted.items()
            if named_by < resolve and self._rows[series_instance_uid].stored.state is not SeriesState.WITHDRAWN
        )

    def _wanting(self, series_instance_uid: str) -> int:
        return sum(series_instance_uid in manifest.wanted for manifest in self._manifests.values())

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
        at = self.clock.steady_now()
        due = [
            row
            for row in self._select_of(manifest, archives)
            if row.stored.state in {SeriesState.PENDING, SeriesState.CLAIMED} and not at < row.claimable_at <= at + LONGEST_DELAY
        ]
        if order is not FetchOrder.ARCHIVE:
            sign = 1 if order is FetchOrder.SMALLEST_FIRST else -1
            due.sort(key=lambda row: _size_key(row.stored.series.file_size_bytes, sign))
        archive_of = self._manifest(manifest).archives
        claims = []
        for row in due[:limit]:
            archive = archive_of[row.stored.series.series_instance_uid]
            row.move(SeriesState.CLAIMED, self._in(lease_seconds), attempts=row.stored.attempts + 1, archive=archive)
            self._claims += 1
            row.session_id, row.claim_id = session_id, f"claim {self._claims}"
            row.unended_attempts += 1
            claims.append(
                Claim(
                    series=row.stored.series,
                    archive=archive,
                    attempt=row.stored.attempts,
                    claim_id=row.claim_id,
                    failed_rounds=row.stored.failed_rounds,
                    folder=row.stored.folder,
                    unended_attempts=row.unended_attempts - 1,
                    needed_bytes=row.stored.needed_bytes,
                    rounds_without_room=row.rounds_without_room,
                )
            )
        return claims

    async def next_due_seconds(self, manifest: str, archives: Collection[str] | None = None) -> float | None:
        pending = (row for row in self._select_of(manifest, archives) if row.stored.state is SeriesState.PENDING)
        due_at = min((row.claimable_at for row in pending), default=None)
        return None if due_at is None else max(0.0, (due_at - self.clock.steady_now()).total_seconds())

    async def extend(self, claims: Collection[Claim], lease_seconds: float) -> Sequence[Claim]:
        lost = []
        for claim in claims:
            try:
                self._held(claim).claimable_at = self._in(lease_seconds)
            except LeaseLostError:
                lost.append(claim)
        return lost

    def _in(self, seconds: float) -> datetime:
        return self.clock.steady_now() + timedelta(seconds=seconds)

    async def complete(self, claim: Claim, receipt: Receipt, folder: str) -> None:
        row = self._held(claim)
        row.begin_anew()
        figures = {name: getattr(receipt.series, name) for name in VERSION_ATTRIBUTES}
        row.images = len(receipt.images)
        row.move(
            SeriesState.COMPLETE,
            series=replace(row.stored.series, **{name: value for name, value in figures.items() if value is not None}),
            archive=receipt.archive,
            error="",
            message="",
            failed_rounds=0,
            rests_until_at=None,
            withdrawn_at=None,
            folder=folder,
            stored_bytes=receipt.stored_bytes,
            sop_class_uid=receipt.sop_class_uid,
            digests=receipt.proof.digests,
            came_with_list=receipt.proof.came_with_list,
            completed_at=receipt.completed_at,
        )

    async def restore(self, stored: Sequence[tuple[Receipt, str]]) -> None:
        for receipt, folder in stored:
            name = receipt.series.series_instance_uid
            row = self._rows.get(name) or self._add(receipt.series, "")
            row.move(SeriesState.CLAIMED, attempts=1)
            row.unended_attempts = 1
            claim = Claim(series=receipt.series, archive="", attempt=1, claim_id="")
            await self.complete(claim, receipt, folder)

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
        row = self._held(claim)
        row.unended_attempts -= 1
        if needed_bytes is not None:
            row.rounds_without_room += 1
            row.stored = replace(row.stored, needed_bytes=needed_bytes)
        attempts = row.stored.attempts - (not count_attempt)
        row.move(SeriesState.PENDING, self._in(delay_seconds), attempts=attempts, error=error, message=message)

    async def fail(self, claim: Claim, *, error: str, message: str, rest_seconds: float = 0.0) -> None:
        row = self._held(claim)
        row.unended_attempts = 0
        rounds = row.stored.failed_rounds + 1
        rests_until_at = self.clock.now() + timedelta(seconds=rest_seconds) if rest_seconds else None
        row.move(SeriesState.FAILED, error=error, message=message, failed_rounds=rounds, rests_until_at=rests_until_at)

    def _held(self, claim: Claim) -> _Row:
        row = self._rows.get(claim.series.series_instance_uid)
        if row is None or row.stored.state is not SeriesState.CLAIMED or row.claim_id != claim.claim_id:
            raise LeaseLostError(
                f"attempt {claim.attempt} no longer holds the lease",
                series_instance_uid=claim.series.series_instance_uid,
            )
        return row

    async def open_session(self, session: Session, lease_seconds: float, *, is_alone: bool) -> None:
        if is_alone:
            self._alive_until.clear()
        await self.beat(session, lease_seconds)

    async def beat(self, session: Session, lease_seconds: float) -> None:
        self._alive_until[session.session_id] = self._in(lease_seconds)

    async def close_session(self, session: Session) -> None:
        self._alive_until.pop(session.session_id, None)
        self._set_back_all(lambda owner: owner == session.session_id)

    async def live_claims(self) -> Collection[str]:
        return {row.claim_id for row in self._select(None, SeriesState.CLAIMED)}

    async def recover_claims(self, session: Session) -> int:
        now = self.clock.steady_now()
        self._alive_until = {name: at for name, at in self._alive_until.items() if now < at <= now + LONGEST_DELAY}
        return self._set_back_all(lambda owner: owner == session.session_id or owner not in self._alive_until)

    def _set_back_all(self, is_over: Callable[[str], bool]) -> int:
        rows = [row for row in self._select(None, SeriesState.CLAIMED) if is_over(row.session_id)]
        for row in rows:
            row.move(SeriesState.PENDING)
        return len(rows)

    async def update_series(self, series: Series) -> None:
        row = self._rows.get(series.series_instance_uid)
        if row is not None:
            row.stored = replace(row.stored, series=_merge(row.stored.series, series))

    async def retry(
        self,
        manifest: str | None = None,
        series_instance_uid: str | None = None,
        *,
        collection: str | None = None,
        error: str | None = None,
    ) -> int:
        rows = [
            row
            for row in self._select(manifest, SeriesState.FAILED)
            if series_instance_uid in {None, row.stored.series.series_instance_uid}
            and (collection is None or collection.casefold() == row.stored.series.collection.casefold())
            and error in {None, row.stored.error}
        ]
        for row in rows:
            row.begin_anew()
            row.move(SeriesState.PENDING, attempts=0, error="", message="", failed_rounds=0, rests_until_at=None)
        return len(rows)

    async def reopen(self, series_instance_uids: Sequence[str], *, message: str) -> int:
        rows = [self._rows[name] for name in series_instance_uids if name in self._rows]
        complete = [row for row in rows if row.stored.state is SeriesState.COMPLETE]
        for row in complete:
            row.begin_anew()
            row.move(SeriesState.PENDING, attempts=0, error="", message=message)
        return len(complete)

    async def places(self, manifest: str | None = None, *, after: int = 0, limit: int = 10_000) -> StoredPlaces:
        rows = [row for row in self._select(manifest, SeriesState.COMPLETE) if row.key > after]
        return StoredPlaces(
            places=tuple((row.stored.series.series_instance_uid, row.stored.folder) for row in rows[:limit]),
            next_after=rows[limit - 1].key if len(rows) >= limit else None,
            keys=tuple(row.key for row in rows[:limit]),
        )

    async def look_up(self, series_instance_uids: Sequence[str]) -> Mapping[str, StoredPlace]:
        known = {uid: self._rows[uid] for uid in series_instance_uids if uid in self._rows}
        return {
            uid: StoredPlace(key=row.key, state=row.stored.state, folder=row.stored.folder, stored_bytes=row.stored.stored_bytes)
            for uid, row in known.items()
        }

    async def library_id(self) -> str:
        return self._library_id

    async def bind_library(self, identity: str) -> None:
        self._library_id = identity

    async def tally(self, manifest: str | None = None) -> SeriesTally:
        rows = list(self._select(manifest))
        counts = {str(state): sum(row.stored.state is state for row in rows) for state in SeriesState}
        complete = [row for row in rows if row.stored.state is SeriesState.COMPLETE]
        selected = [row.stored.series for row in rows if row.stored.state is not SeriesState.WITHDRAWN]
        return SeriesTally(
            **counts,
            images=sum(row.images for row in complete),
            stored_bytes=sum(row.stored.stored_bytes for row in complete),
            expected_images=sum(series.image_count or 0 for series in selected),
            expected_bytes=sum(series.file_size_bytes or 0 for series in selected),
        )

    async def holdings(self) -> Holdings:
        return count_holdings(_holding_row(row) for row in self._rows.values())

    async def failures(self, manifest: str | None = None) -> Sequence[Failure]:
        failed = [row.stored for row in self._select(manifest, SeriesState.FAILED)]
        return sorted(
            (
                Failure(
                    series_instance_uid=stored.series.series_instance_uid,
                    error=stored.error,
                    message=stored.message,
                    attempts=stored.attempts,
                )
                for stored in failed
            ),
            key=lambda failure: failure.series_instance_uid,
        )

    async def find(self, manifest: str | None = None, state: SeriesState | None = None) -> AsyncIterator[StoredSeries]:
        for row in list(self._select(manifest, state)):
            yield row.stored

    async def failure_groups(self, manifest: str | None = None) -> Sequence[FailureGroup]:
        groups: dict[tuple[str, str], list[StoredSeries]] = {}
        for row in self._select(manifest, SeriesState.FAILED):
            groups.setdefault((row.stored.error, row.stored.series.collection), []).append(row.stored)
        counted = [_failure_group(*key, group) for key, group in groups.items()]
        return sorted(counted, key=lambda group: (-group.series, group.error, group.collection))

    async def proof_groups(self, manifest: str | None = None) -> Sequence[ProofGroup]:
        counts = Counter((row.archive, row.digests, row.came_with_list) for row in self._weak(manifest))
        return [
            ProofGroup(archive=archive, digests=digests, came_with_list=came_with_list, series=count)
            for (archive, digests, came_with_list), count in sorted(
                counts.items(), key=lambda item: (item[0][0], item[0][1] or "")
            )
        ]

    async def find_weak(self, manifest: str | None = None, *, with_list: bool = True) -> AsyncIterator[StoredSeries]:
        for row in self._weak(manifest):
            if row.digests is not None and (with_list or not row.came_with_list):
                yield row

    async def find_unknown_proofs(self) -> AsyncIterator[StoredSeries]:
        for row in self._weak(None):
            if row.digests is None:
                yield row

    def _weak(self, manifest: str | None) -> list[StoredSeries]:
        complete = [row.stored for row in self._select(manifest, SeriesState.COMPLETE)]
        return [stored for stored in complete if stored.digests is not Digests.ALL]

    async def note_proofs(self, proofs: Sequence[tuple[str, Proof]]) -> None:
        for name, proof in proofs:
            row = self._rows.get(name)
            if row is not None and row.stored.state is SeriesState.COMPLETE:
                row.stored = replace(row.stored, digests=proof.digests, came_with_list=proof.came_with_list)

    async def sent_md5_lists(self, archive: str) -> bool:
        return any(row.stored.archive == archive and row.stored.came_with_list for row in self._rows.values())

    async def find_page(self, wanted: SeriesFilter, *, after: int = 0, limit: int = 100) -> StoredPage:
        rows = [row for row in self._select(wanted.manifest, wanted.state) if row.key > after and _fits(row.stored, wanted)]
        next_after = rows[limit - 1].key if len(rows) >= limit else None
        return StoredPage(rows=tuple(row.stored for row in rows[:limit]), next_after=next_after)

    async def relocate(self, folders: Sequence[tuple[str, str]]) -> None:
        for series_instance_uid, folder in folders:
            row = self._rows.get(series_instance_uid)
            if row is not None and row.stored.folder:
                row.stored = replace(row.stored, folder=folder)

    async def forget_folder(self, series_instance_uid: str) -> None:
        row = self._rows.get(series_instance_uid)
        if row is not None and row.stored.state is SeriesState.WITHDRAWN:
            row.images = 0
            row.stored = replace(row.stored, folder="", stored_bytes=0, completed_at=None)

    async def note_cycle(self, manifest: str, note: CycleNote) -> None:
        known = self._manifests.setdefault(manifest, _Manifest())
        before = known.note.succeeded_at if known.note else None
        succeeded_at = note.ended_at if note.exit_code == 0 else before
        known.note = replace(note, succeeded_at=succeeded_at)

    async def cycles(self) -> Mapping[str, CycleNote]:
        return {name: known.note for name, known in sorted(self._manifests.items()) if known.note is not None}

    async def manifests(self) -> Sequence[str]:
        return sorted(self._manifests)

    async def archives(self) -> Sequence[str]:
        return sorted({row.stored.archive for row in self._rows.values()})

    async def find_named(self, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
        return [self._rows[name].stored for name in series_instance_uids if name in self._rows]

    async def forget_manifest(self, manifest: str) -> None:
        self._manifests.pop(manifest, None)

    def _manifest(self, name: str) -> _Manifest:
        return self._manifests.get(name, _Manifest())

    def _select_of(self, manifest: str, archives: Collection[str] | None) -> Iterator[_Row]:
        """Rows of the manifest from these archives, or from any."""
        archive_of = self._manifest(manifest).archives
        for row in self._select(manifest):
            if archives is None or archive_of[row.stored.series.series_instance_uid] in archives:
                yield row

    def _select(self, manifest: str | None = None, state: SeriesState | None = None) -> Iterator[_Row]:
        """Rows in the order in which they were enqueued."""
        wanted = self._rows if manifest is None else self._manifest(manifest).wanted
        for series_instance_uid, row in self._rows.items():
            if series_instance_uid in wanted and (state is None or row.stored.state is state):
                yield row


def _new_row(series: Series, archive: str) -> StoredSeries:
    return StoredSeries(
        series=series,
        archive=archive,
        state=SeriesState.PENDING,
        attempts=0,
        error="",
        message="",
        folder="",
        stored_bytes=0,
        completed_at=None,
    )


def _holding_row(row: _Row) -> HoldingRow:
    stored, series = row.stored, row.stored.series
    return HoldingRow(
        collection=series.collection,
        modality=series.modality,
        state=stored.state,
        patient_id=series.patient_id,
        study_instance_uid=series.study_instance_uid,
        images=row.images,
        stored_bytes=stored.stored_bytes,
        expected_images=series.image_count or 0,
        expected_bytes=series.file_size_bytes or 0,
        completed_at=stored.completed_at.isoformat() if stored.completed_at else "",
        error=stored.error,
        license_name=series.license_name,
        license_uri=series.license_uri,
        data_description_uri=series.data_description_uri,
    )


def _failure_group(error: str, collection: str, group: list[StoredSeries]) -> FailureGroup:
    retries = [stored.rests_until_at for stored in group if stored.rests_until_at]
    return FailureGroup(
        error=error,
        collection=collection,
        series=len(group),
        message=min(stored.message for stored in group),
        first_retry_at=min(retries, default=None),
        last_retry_at=max(retries, default=None),
    )


def _fits(stored: StoredSeries, wanted: SeriesFilter) -> bool:
    of = stored.series
    texts = (
        *(of.series_instance_uid, of.study_instance_uid, of.patient_id, of.collection, of.modality, of.series_description),
        *(stored.error, stored.message),
    )
    in_collection = not wanted.collection or wanted.collection.casefold() == of.collection.casefold()
    return (
        in_collection
        and wanted.error in {None, stored.error}
        and any(wanted.text.casefold() in text.casefold() for text in texts)
    )


def _merge(stored: Series, listed: Series) -> Series:
    told = {name: getattr(listed, name) for name in (attribute.name for attribute in fields(Series))}
    if stored.submitted_at and listed.submitted_at and is_day_of(listed.submitted_at, stored.submitted_at):
        del told["submitted_at"]
    return replace(stored, **{name: value for name, value in told.items() if value not in {None, ""}})


def _size_key(file_size_bytes: int | None, sign: int) -> tuple[bool, int]:
    return file_size_bytes is None, sign * (file_size_bytes or 0)
