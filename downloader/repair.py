"""Mends what a verification found: sets aside what is wrong and fetches it again, and tells the store what the library knows."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Final

import anyio.to_thread

from downloader.archive.port import Archive
from downloader.clock import Clock
from downloader.inventory import write_metadata
from downloader.library.port import Library
from downloader.model import Event, Receipt, Series, SeriesState, WithdrawalRule, WithdrawnPolicy
from downloader.scheduler import Scheduler
from downloader.store.port import Store
from downloader.verification import DAMAGE, CheckedSeries, Examination, Finding, FindingKind, verify_library
from downloader.views.counting import CountView
from downloader.views.mending import RepairTally, VerificationReport
from downloader.views.progress import ProgressView

MANIFEST_PREFIX: Final = "verify --repair "
"""Names, with the archive's, the wishes of a repair in the store; they stay there until all of them are fulfilled."""

FETCHED_AGAIN: Final = DAMAGE | {
    FindingKind.MISSING_FOLDER,
    FindingKind.MISSING_RECEIPT,
    FindingKind.DAMAGED_RECEIPT,
    FindingKind.UPSTREAM_DIFFERS,
}
TOLD_TO_STORE: Final = frozenset({FindingKind.NOT_IN_STORE, FindingKind.STORE_DIFFERS, FindingKind.OTHER_FOLDER})


class Repair:
    """Mends one library, which is locked.

    Args:
        archives: by name; a series of any other is left as it is, since it could not be fetched again.
        make_scheduler: gives what fetches from one archive, and tells its events to the listener.
    """

    def __init__(
        self,
        *,
        library: Library,
        store: Store,
        clock: Clock,
        archives: Mapping[str, Archive],
        make_scheduler: Callable[[Archive, Callable[[Event], None]], Scheduler],
    ) -> None:
        self._library = library
        self._store = store
        self._clock = clock
        self._archives = archives
        self._make_scheduler = make_scheduler
        self._resolves: dict[str, int] = {}
        self.tally = RepairTally()

    async def mend(self, checked: CheckedSeries) -> None:
        """Do at once what can be done without the archive, and enqueue what must be fetched again."""
        kinds = {finding.kind for finding in checked.findings}
        if FindingKind.SECOND_COPY in kinds:
            await self._quarantine(checked.folder, checked.series_instance_uid)
            return
        if kinds & FETCHED_AGAIN:
            await self._replace(checked)
            return
        for finding in checked.findings:
            if finding.kind is FindingKind.UNKNOWN_FILE:
                await self._quarantine(PurePosixPath(finding.path), checked.series_instance_uid)
            elif finding.kind is FindingKind.UPSTREAM_UNKNOWN:
                self.tally.left.append(finding)
        if kinds & TOLD_TO_STORE and checked.receipt is not None:
            await self._restore(checked.folder, checked.receipt)

    async def fetch(self, progress: ProgressView) -> None:
        """Fetch what was set aside, by this repair or by one that did not come to its end.

        Raises:
            TciadError: it could not go on; the series stay pending, and the next repair or run fetches them.
        """
        for manifest in await self._store.manifests():
            archive = self._archives.get(manifest.removeprefix(MANIFEST_PREFIX))
            if manifest.startswith(MANIFEST_PREFIX) and archive is not None:
                await self._drain(manifest, archive, progress)
        if self.tally.fetched or self.tally.restored or self.tally.quarantined:
            await write_metadata(self._library, self._store)

    async def _drain(self, manifest: str, archive: Archive, progress: ProgressView) -> None:
        before = await self._store.tally(manifest)
        progress.begin(manifest, before)
        await self._make_scheduler(archive, progress.take).drain(manifest)
        after = await self._store.tally(manifest)
        self.tally.fetched += after.complete - before.complete
        self.tally.failures += await self._store.failures(manifest)
        if after.complete == after.selected:
            await self._store.forget_manifest(manifest)

    async def _replace(self, checked: CheckedSeries) -> None:
        """Quarantine first: a series that is pending while its damaged folder is in place would be taken for whole."""
        series, archive = _origin_of(checked)
        why_not = self._why_not(checked, series, archive)
        if why_not:
            self.tally.left += [
                Finding(kind=found.kind, series_instance_uid=found.series_instance_uid, path=found.path, sentence=why_not)
                for found in checked.findings
                if found.kind in FETCHED_AGAIN
            ]
            return
        if not {finding.kind for finding in checked.findings} & {FindingKind.MISSING_FOLDER}:
            await self._quarantine(checked.folder, checked.series_instance_uid)
        if series is None:
            return
        worst = next(finding for finding in checked.findings if finding.kind in FETCHED_AGAIN)
        await self._store.reopen(series.series_instance_uid, error="", message=f"{worst.path}: {worst.sentence}")
        await self._enqueue(series, archive)

    def _why_not(self, checked: CheckedSeries, series: Series | None, archive: str) -> str:
        """Why a series must stay as it is, damaged or not; empty where it can be fetched again."""
        if series is not None and archive not in self._archives:
            return f"left as it is: nothing says where its archive {archive} is; name a manifest of it"
        if checked.row is not None and checked.row.state is SeriesState.WITHDRAWN:
            return "left as it is: the archive has withdrawn the series, so it cannot be fetched again"
        return ""

    async def _enqueue(self, series: Series, archive: str) -> None:
        manifest = MANIFEST_PREFIX + archive
        if manifest not in self._resolves:
            # a repair has no wish of its own: what becomes of withdrawn series is for the user's manifests to say
            await self._store.note_withdrawal_rule(manifest, WithdrawalRule(policy=WithdrawnPolicy.DELETE))
            self._resolves[manifest] = await self._store.begin_resolve(manifest, self._clock.now())
        await self._store.enqueue(manifest, self._resolves[manifest], archive, [series])

    async def _restore(self, folder: PurePosixPath, receipt: Receipt) -> None:
        await self._store.restore([(receipt, str(folder))])
        self.tally.restored += 1

    async def _quarantine(self, path: PurePosixPath, series_instance_uid: str) -> None:
        label = series_instance_uid or path.name
        moved = await anyio.to_thread.run_sync(partial(self._library.quarantine, path, label, self._clock.now()))
        self.tally.quarantined.append(str(moved))


async def verify_into(report: VerificationReport, examination: Examination, count: CountView, repair: Repair | None) -> None:
    """Verify the library into the report; with a repair, mend at once what can be, and enqueue the rest.

    Raises:
        LibraryError, StoreError: they cannot be used.
        ArchiveError: an archive is out of reach, or refuses the credentials.
    """
    tally = await examination.store.tally()
    count.begin("verified", tally.complete)

    async def take(checked: CheckedSeries) -> None:
        report.take(checked)
        count.advance(1, checked.read_bytes)
        if repair is not None and checked.findings:
            await repair.mend(checked)

    await verify_library(examination, take)


def _origin_of(checked: CheckedSeries) -> tuple[Series | None, str]:
    """The series and its archive; none where neither store nor receipt know it."""
    if checked.row is not None:
        return checked.row.series, checked.row.archive
    if checked.receipt is not None:
        return checked.receipt.series, checked.receipt.archive
    return None, ""
