"""Fixes the findings of a verification: keeps the good copy of a series, fetches damaged series again, updates the store.

Nothing is moved to quarantine before an intact and proven copy is in its place. A damaged series without a good copy keeps its
folder, with its receipt renamed, until a new copy replaces it; then its damaged images are moved to quarantine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from downloader.archive.port import Source
from downloader.clock import Clock
from downloader.errors import DamagedReceiptError
from downloader.indexing.metadata import write_metadata
from downloader.library.port import LibraryParts, LibraryReader
from downloader.maintenance.copies import SeriesCopy, choose_copy
from downloader.maintenance.recovery import REPAIR_PREFIX, want_again
from downloader.maintenance.verification import CheckedSeries, Examination, FindingListeners, verify_library
from downloader.model import Event, Receipt, Series, SeriesCompleted, SeriesState
from downloader.results.findings import DAMAGE, Finding, FindingKind
from downloader.results.listeners import CountListener, RunListener
from downloader.results.verification import RepairTally, VerificationTally
from downloader.scheduling.scheduler import Scheduler
from downloader.store.port import Store
from downloader.store.records import StoredSeries

_LOST: Final = frozenset({FindingKind.MISSING_FOLDER, FindingKind.MISSING_RECEIPT})
_DAMAGED: Final = DAMAGE | _LOST | {FindingKind.DAMAGED_RECEIPT}
FETCHED_AGAIN: Final = _DAMAGED | {FindingKind.UPSTREAM_DIFFERS}
UPDATES_STORE: Final = frozenset({FindingKind.NOT_IN_STORE, FindingKind.STORE_DIFFERS, FindingKind.OTHER_FOLDER})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspect:
    """A damaged or surplus folder of a series; `findings` are those that require fetching the series again."""

    folder: PurePosixPath
    findings: tuple[Finding, ...]

    @property
    def kinds(self) -> frozenset[FindingKind]:
        return frozenset(finding.kind for finding in self.findings)


class Repair:
    """Repairs one library. The caller holds its lock.

    Memory grows with the number of damaged and duplicate series, not with the library.

    Args:
        archives: by name; series of other archives are left as they are, because they cannot be fetched again.
        make_scheduler: creates a scheduler that fetches from one archive and passes its events to the listener.
    """

    def __init__(
        self,
        *,
        library: LibraryParts,
        store: Store,
        clock: Clock,
        archives: Mapping[str, Source],
        make_scheduler: Callable[[Source, Callable[[Event], None]], Scheduler],
    ) -> None:
        self._library = library
        self._store = store
        self._clock = clock
        self._archives = archives
        self._make_scheduler = make_scheduler
        self._resolves: dict[str, int] = {}
        self._suspects: dict[str, dict[PurePosixPath, _Suspect]] = {}
        self._surplus: dict[str, Sequence[PurePosixPath]] = {}
        self.tally = RepairTally()

    async def mend(self, checked: CheckedSeries) -> None:
        """Fix what can be fixed at once, and remember damaged and surplus folders for `settle`."""
        kinds = {finding.kind for finding in checked.findings}
        if kinds & (FETCHED_AGAIN | {FindingKind.SECOND_COPY}):
            self._suspect(checked)
            return
        for finding in checked.findings:
            if finding.kind is FindingKind.UNKNOWN_FILE:
                await self._quarantine(PurePosixPath(finding.path), checked.series_instance_uid)
            elif finding.kind is FindingKind.UPSTREAM_UNKNOWN:
                self.tally.left.append(finding)
        if kinds & UPDATES_STORE and checked.receipt is not None:
            row = await self._row_of(checked.series_instance_uid)
            if await self._has_rival(row, checked.folder):
                self._suspect(checked)
            else:
                await self._update_store(checked.folder, checked.receipt, row)

    async def settle(self) -> None:
        """Decide about every series with damaged or surplus folders. Call it after all folders were checked."""
        without_series = self._suspects.pop("", {})
        for series_instance_uid, suspects in self._suspects.items():
            await self._settle(series_instance_uid, suspects)
        for folder in without_series:  # neither store nor receipt has its series; a move with another series may have emptied it
            if await self._is_there(folder):
                await self._set_aside(folder, folder.name)
        self._suspects.clear()

    async def fetch(self, progress: RunListener) -> None:
        """Fetch damaged series of this repair, and of earlier ones that were interrupted.

        Raises:
            TciadError: the fetch stopped; the series stay pending, and the next repair or run fetches them.
        """
        for manifest in await self._store.manifests():
            archive = self._archives.get(manifest.removeprefix(REPAIR_PREFIX))
            if manifest.startswith(REPAIR_PREFIX) and archive is not None:
                await self._drain(manifest, archive, progress)
        for series_instance_uid, folders in self._surplus.items():
            await self._set_surplus_aside(series_instance_uid, folders)
        if self.tally.fetched or self.tally.restored or self.tally.quarantined:
            await write_metadata(self._library.index, self._store)

    async def _drain(self, manifest: str, archive: Source, progress: RunListener) -> None:
        def take(event: Event) -> None:
            progress.take(event)
            if isinstance(event, SeriesCompleted) and event.quarantined:
                self.tally.quarantined.append(event.quarantined)

        before = await self._store.tally(manifest)
        progress.begin(manifest, before)
        await self._make_scheduler(archive, take).drain(manifest)
        after = await self._store.tally(manifest)
        self.tally.fetched += after.complete - before.complete
        self.tally.failures += await self._store.failures(manifest)
        if after.complete == after.selected:
            await self._store.forget_manifest(manifest)

    def _suspect(self, checked: CheckedSeries) -> None:
        findings = tuple(finding for finding in checked.findings if finding.kind in FETCHED_AGAIN)
        suspects = self._suspects.setdefault(checked.series_instance_uid, {})
        suspects[checked.folder] = _Suspect(folder=checked.folder, findings=findings)

    async def _has_rival(self, row: StoredSeries | None, folder: PurePosixPath) -> bool:
        """Whether the store has another folder of the series, and that folder is not empty."""
        if row is None or not row.folder or await self._library.reader.is_one_folder(PurePosixPath(row.folder), folder):
            return False
        return bool(await self._library.reader.contents(PurePosixPath(row.folder)))

    async def _settle(self, uid: str, suspects: Mapping[PurePosixPath, _Suspect]) -> None:
        row = await self._row_of(uid)
        copies = await self._whole_copies(uid, suspects, row)
        if not copies:
            await self._renew(uid, await self._with_known(suspects, uid, row), row)
            return
        keeper = choose_copy(copies, row.series if row is not None else None, self._library.maintenance)
        others = {*suspects, *(copy.folder for copy in copies)} - {keeper.folder}
        if row is not None and row.folder:
            others |= {PurePosixPath(row.folder)} - {keeper.folder}
        await self._keep(uid, keeper, others, row)
        if keeper.folder in suspects and FindingKind.UPSTREAM_DIFFERS in suspects[keeper.folder].kinds:
            await self._renew(uid, {keeper.folder: suspects[keeper.folder]}, await self._row_of(uid))

    async def _whole_copies(
        self, uid: str, suspects: Mapping[PurePosixPath, _Suspect], row: StoredSeries | None
    ) -> Sequence[SeriesCopy]:
        """The intact copies of a series. If there are several folders, every image of each is read."""
        known = PurePosixPath(row.folder) if row is not None and row.folder else None
        folders = dict.fromkeys([*([known] if known is not None else []), *suspects])
        is_alone = len(folders) == 1
        copies: list[SeriesCopy] = []
        for folder in folders:
            if folder in suspects and suspects[folder].kinds & _DAMAGED:
                continue
            receipt = await _receipt_in(self._library.reader, folder)
            if receipt is None or receipt.series.series_instance_uid != uid:
                continue
            if is_alone or await self._library.reader.proves(folder, receipt):
                copies.append(SeriesCopy(folder=folder, receipt=receipt, is_known=folder == known))
        return copies

    async def _keep(self, uid: str, keeper: SeriesCopy, others: Iterable[PurePosixPath], row: StoredSeries | None) -> None:
        """Record the good copy in the store, and move the others to quarantine; after a kill, the next start finishes this."""
        now = self._clock.now()
        changes = [
            await self._library.changes.plan_quarantine(folder, uid, uid, now, keeper.folder)
            for folder in sorted(others)
            if await self._is_surplus(folder, keeper.folder)
        ]
        record = await self._library.changes.begin(changes) if changes else None
        await self._update_store(keeper.folder, keeper.receipt, row)
        for change in changes:
            await self._library.changes.carry_out(change)
            self.tally.quarantined.append(str(change.targets[0]))
        if record is not None:
            await self._library.changes.end(record)

    async def _is_surplus(self, folder: PurePosixPath, keeper: PurePosixPath) -> bool:
        """Whether the folder exists, and is not the kept folder under another name."""
        if await self._library.reader.is_one_folder(folder, keeper):
            return False
        return await self._is_there(folder)

    async def _is_there(self, folder: PurePosixPath) -> bool:
        return bool(await self._library.reader.contents(folder)) or await self._library.reader.has_series_in(folder)

    async def _with_known(
        self, suspects: Mapping[PurePosixPath, _Suspect], uid: str, row: StoredSeries | None
    ) -> Mapping[PurePosixPath, _Suspect]:
        """The suspects, and the store's own copy, in which only reading the images showed a problem."""
        if row is None or not row.folder or not await self._library.reader.is_whole(PurePosixPath(row.folder), uid):
            return suspects
        known = PurePosixPath(row.folder)
        return {known: _Suspect(folder=known, findings=()), **suspects}

    async def _renew(self, uid: str, suspects: Mapping[PurePosixPath, _Suspect], row: StoredSeries | None) -> None:
        """Invalidate every receipt of the series, and enqueue it; the damaged images stay until the new copy is there."""
        known = PurePosixPath(row.folder) if row is not None and row.folder else None
        folder = known if known is not None and known in suspects else next(iter(suspects))
        series, archive = await self._origin_of(row, folder)
        why_not = self._why_not(row, series, archive)
        if why_not or series is None:
            findings = [finding for suspect in suspects.values() for finding in suspect.findings]
            self.tally.left += [replace(found, sentence=why_not or found.sentence) for found in findings]
            return
        if FindingKind.MISSING_RECEIPT in suspects[folder].kinds and await self._holds_folders(folder):
            await self._set_aside(folder, uid)  # a new version takes no such place
        worst = next(iter(suspects[folder].findings), None)
        message = f"{worst.path}: {worst.sentence}" if worst is not None else f"{folder}: an image differs from its receipt"
        await self._doubt(suspects.values(), series, archive, message)
        self._surplus[uid] = [other for other in suspects if other != known]

    async def _doubt(self, suspects: Iterable[_Suspect], series: Series, archive: str, message: str) -> None:
        """Rename the receipts, and enqueue the series; after a kill, the next start finishes this."""
        uid = series.series_instance_uid
        folders = [suspect.folder for suspect in suspects if not suspect.kinds & _LOST]
        changes = [await self._library.changes.plan_doubt(folder, uid) for folder in folders]
        record = await self._library.changes.begin(changes) if changes else None
        for change in changes:
            await self._library.changes.carry_out(change)
        now, resolve = self._clock.now(), self._resolves.get(archive, 0)
        self._resolves[archive] = await want_again(self._store, series, archive, message=message, at=now, resolve=resolve)
        if record is not None:
            await self._library.changes.end(record)

    async def _holds_folders(self, folder: PurePosixPath) -> bool:
        return None in (await self._library.reader.contents(folder)).values()

    async def _set_surplus_aside(self, uid: str, folders: Sequence[PurePosixPath]) -> None:
        """After a series was fetched again, move its damaged copies in other folders to quarantine."""
        row = await self._row_of(uid)
        if row is None or row.state is not SeriesState.COMPLETE:
            return
        keeper = PurePosixPath(row.folder)
        receipt = await _receipt_in(self._library.reader, keeper)
        if receipt is not None and await self._library.reader.is_whole(keeper, uid):
            copy = SeriesCopy(folder=keeper, receipt=receipt, is_known=True)
            others = [folder for folder in folders if folder != keeper and await self._is_surplus(folder, keeper)]
            if others:
                await self._keep(uid, copy, others, row)

    async def _origin_of(self, row: StoredSeries | None, folder: PurePosixPath) -> tuple[Series | None, str]:
        """The series and its archive; (None, "") if neither store nor receipt has them."""
        if row is not None:
            return row.series, row.archive
        receipt = await _receipt_in(self._library.reader, folder)
        return (receipt.series, receipt.archive) if receipt is not None else (None, "")

    def _why_not(self, row: StoredSeries | None, series: Series | None, archive: str) -> str:
        """Why a series cannot be fetched again and stays as it is; empty if it can."""
        if row is not None and row.state is SeriesState.WITHDRAWN:
            return "not repaired: the archive has withdrawn the series, so it cannot be fetched again"
        if series is not None and archive not in self._archives:
            return f"not repaired: the address of its archive {archive} is not known; name a manifest of it"
        return ""

    async def _update_store(self, folder: PurePosixPath, receipt: Receipt, row: StoredSeries | None) -> None:
        """Record an intact copy in the store; as complete only if the catalogue lists this version and did not withdraw it."""
        uid = receipt.series.series_instance_uid
        is_new = row is None or row.folder != str(folder) or row.stored_bytes != receipt.stored_bytes
        is_listed_so = row is None or not receipt.series.version.differs_from(row.series.version)
        if row is None or row.state is SeriesState.COMPLETE or (row.state is not SeriesState.WITHDRAWN and is_listed_so):
            if is_new or row is None or row.state is not SeriesState.COMPLETE:
                await self._store.restore([(receipt, str(folder))])
                self.tally.restored += 1
        elif is_new:
            await self._store.relocate([(uid, str(folder))])
            self.tally.restored += 1

    async def _row_of(self, series_instance_uid: str) -> StoredSeries | None:
        return next(iter(await self._store.find_named([series_instance_uid])), None)

    async def _set_aside(self, folder: PurePosixPath, label: str) -> None:
        """Move a folder without a proof to quarantine; folders of other series inside it stay."""
        change = await self._library.changes.plan_quarantine(folder, label, label, self._clock.now())
        await self._library.changes.carry_out(change)
        self.tally.quarantined.append(str(change.targets[0]))

    async def _quarantine(self, path: PurePosixPath, series_instance_uid: str) -> None:
        label = series_instance_uid or path.name
        moved = await self._library.maintenance.quarantine(path, label, self._clock.now())
        self.tally.quarantined.append(str(moved))


async def verify_and_mend(
    examination: Examination, repair: Repair | None, count: CountListener, heard: FindingListeners
) -> VerificationTally:
    """Verify the library; with a repair, fix what can be fixed at once, and enqueue the rest.

    Raises:
        LibraryError, StoreError: library or store cannot be used.
        ArchiveError: an archive does not answer, or refuses the credentials.
    """
    tally = VerificationTally()
    count.begin("verified", (await examination.store.tally()).complete)

    async def take(checked: CheckedSeries) -> None:
        tally.take(checked.receipt, checked.findings, checked.read_bytes)
        heard.take(checked)
        count.advance(1, checked.read_bytes)
        if repair is not None and checked.findings:
            await repair.mend(checked)

    await verify_library(examination, take)
    if repair is not None:
        await repair.settle()
    return tally


async def _receipt_in(reader: LibraryReader, folder: PurePosixPath) -> Receipt | None:
    """The receipt in a folder; None if there is no valid one."""
    try:
        return await reader.receipt_in(folder)
    except DamagedReceiptError:
        return None
