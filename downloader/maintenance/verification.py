"""Verifies a library: images against receipts, receipts and store against each other, and both against the archive.

Nothing is changed or downloaded. A run may work at the same time: a series that it replaces during the check is checked again.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath

from anyio import Lock

from downloader.archive.port import Source
from downloader.concurrency import work_through_pages
from downloader.errors import ArchiveError, DamagedReceiptError, ExitCode, LibraryError, TransferError
from downloader.library.port import READERS, LibraryReader
from downloader.maintenance.comparison import compare_contents, compare_members, finding_of
from downloader.maintenance.quick_check import SERIES_AT_ONCE, QuickCheck, SeriesKeys, quick_check_folders
from downloader.maintenance.upstream_digests import UpstreamStanding, compare_upstream
from downloader.model import Digests, Image, Receipt, SeriesState, StoredZip
from downloader.results.findings import DAMAGE, Finding, FindingKind
from downloader.results.verification import WeakSeries
from downloader.store.port import StoreReader
from downloader.store.records import StoredSeries
from downloader.transport.retrying import RetryPolicy

ROWS_AT_ONCE = 100
# bytes hashed in one thread call, which cannot be interrupted
HASHED_AT_ONCE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSeries:
    """The result of checking one folder, or one row of the store that has none.

    `receipt` is None if there is no valid one, `row` if the store was not queried or does not have the series. `read_bytes` were
    read and hashed.
    """

    folder: PurePosixPath
    receipt: Receipt | None = None
    row: StoredSeries | None = None
    read_bytes: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def series_instance_uid(self) -> str:
        """Empty if it is unknown."""
        if self.receipt is not None:
            return self.receipt.series.series_instance_uid
        return self.row.series.series_instance_uid if self.row is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The inputs of a verification.

    `workers`: how many series are read or requested concurrently. `deep`: read and hash every image. `archives`, by name, are
    queried for their digests; None for no queries.
    """

    reader: LibraryReader
    store: StoreReader
    workers: int
    deep: bool
    archives: Mapping[str, Source] | None
    retry_policy: RetryPolicy


Take = Callable[[CheckedSeries], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingListeners:
    """Callbacks for each finding, and for each series with images that have no matching MD5 of the archive.

    A verification itself only keeps counts.
    """

    finding: Callable[[Finding], None]
    weak: Callable[[WeakSeries], None] = lambda _weak: None

    def take(self, checked: CheckedSeries) -> None:
        """Report the findings of one folder."""
        receipt = checked.receipt
        if receipt is not None and receipt.proof.digests is not Digests.ALL:
            uid, digests = receipt.series.series_instance_uid, receipt.proof.digests
            self.weak(WeakSeries(series_instance_uid=uid, digests=digests, path=str(checked.folder)))
        for finding in checked.findings:
            self.finding(finding)


async def verify_library(examination: Examination, take: Take) -> None:
    """Check every series of the library, and every complete series of the store; `take` is called with one result at a time.

    Memory: one bit per series. A series that `take` repairs at once is not reported again from the store's side.

    Raises:
        LibraryError, StoreError: library or store cannot be read.
        ArchiveError: an archive does not answer, or refuses the credentials.
    """
    walk = examination.reader.walk(with_contents=True)
    checking = _Checking(examination=examination, take=take)
    # a deep or upstream check of one folder takes long: with whole pages, one worker would be busy while others are idle
    if checking.is_quick:
        take_page = partial(quick_check_folders, walk, SERIES_AT_ONCE)
        await work_through_pages(take_page, checking.check, workers=READERS, needs_all=lambda: walk.is_slow)
    else:
        await work_through_pages(partial(quick_check_folders, walk, 1), checking.check, workers=examination.workers)
    await _check_store(examination, checking.seen, checking.damaged, take)
    for folder, error in checking.damaged.items():
        await take(CheckedSeries(folder=folder, findings=(_damaged(folder, "", error),)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checking:
    """Checks pages of folders. Damaged receipts are kept for later: the store may know their series."""

    examination: Examination
    take: Take
    damaged: dict[PurePosixPath, DamagedReceiptError] = field(default_factory=dict)
    seen: SeriesKeys = field(default_factory=SeriesKeys)
    one_at_a_time: Lock = field(default_factory=Lock)

    @property
    def is_quick(self) -> bool:
        """Whether names and sizes suffice for a series that matches its receipt and its row."""
        return not self.examination.deep and self.examination.archives is None

    async def check(self, page: Sequence[QuickCheck]) -> None:
        """Report folders that pass the quick check, and check the others in full."""
        places = await self.examination.store.look_up([quick.series_instance_uid for quick in page if quick.agrees])
        doubtful: list[tuple[PurePosixPath, Receipt]] = []
        async with self.one_at_a_time:
            for quick in page:
                folder, receipt = quick.found.folder, quick.found.receipt
                if isinstance(receipt, DamagedReceiptError):
                    self.damaged[folder] = receipt
                elif self.is_quick and quick.fits(places.get(quick.series_instance_uid)):
                    self.seen.add(places[quick.series_instance_uid].key)
                    await self.take(CheckedSeries(folder=folder, receipt=receipt))
                else:
                    doubtful.append((folder, receipt))
        for folder, receipt in doubtful:
            checked = await _check_folder(folder, receipt, self.examination)
            async with self.one_at_a_time:
                await self.take(checked)


async def _check_folder(folder: PurePosixPath, receipt: Receipt, examination: Examination) -> CheckedSeries:
    """Check a folder against its receipt, and again if a run replaced it meanwhile."""
    checked = await _check_once(folder, receipt, examination)
    if checked.findings:
        try:
            newest = await examination.reader.receipt_in(folder)
        except DamagedReceiptError as error:
            return replace(checked, findings=(_damaged(folder, checked.series_instance_uid, error),))
        if newest is not None and newest != receipt:
            return await _check_once(folder, newest, examination)
    return checked


async def _check_once(folder: PurePosixPath, receipt: Receipt, examination: Examination) -> CheckedSeries:
    contents = await examination.reader.contents(folder)
    findings = [
        finding
        for finding in compare_contents(folder, receipt, contents)
        if not await _is_nested_series(finding, folder, contents, examination)
    ]
    read_bytes = 0
    if examination.deep and receipt.zip is not None:
        if not findings:
            zip_findings, read_bytes = await _check_zip(folder, receipt, receipt.zip, examination)
            findings += zip_findings
    elif examination.deep:
        wrong = {finding.path for finding in findings}
        sound = [image for image in receipt.images if str(folder / image.name) not in wrong]
        for portion in _portions(sound):
            findings += await _hash(folder, receipt, portion, examination.reader)
            read_bytes += sum(image.size_bytes for image in portion)
    damaged = any(finding.kind in DAMAGE for finding in findings)
    rows = await examination.store.find_named([receipt.series.series_instance_uid])
    findings += await _compare_with_store(folder, receipt, rows, examination)
    if examination.archives is not None and not damaged:
        findings += await _compare_with_archive(folder, receipt, examination.archives, examination.retry_policy)
    return CheckedSeries(
        folder=folder,
        receipt=receipt,
        row=rows[0] if rows else None,
        read_bytes=read_bytes,
        findings=tuple(findings),
    )


async def _is_nested_series(
    finding: Finding, folder: PurePosixPath, contents: Mapping[str, int | None], examination: Examination
) -> bool:
    """Whether an unknown entry is a folder that contains a series, which is checked separately."""
    path = PurePosixPath(finding.path)
    if finding.kind is not FindingKind.UNKNOWN_FILE or contents[path.name] is not None:
        return False
    return await examination.reader.has_series_in(folder / path.name)


def _portions(images: Sequence[Image]) -> Iterator[Sequence[Image]]:
    """All images, in groups that are small enough for a quick interruption."""
    portion: list[Image] = []
    portion_bytes = 0
    for image in images:
        portion.append(image)
        portion_bytes += image.size_bytes
        if portion_bytes >= HASHED_AT_ONCE_BYTES:
            yield tuple(portion)
            portion, portion_bytes = [], 0
    if portion:
        yield tuple(portion)


async def _hash(folder: PurePosixPath, receipt: Receipt, images: Sequence[Image], reader: LibraryReader) -> Sequence[Finding]:
    """Read images and compare them with their MD5s."""
    findings = []
    hashed = await reader.hash_images(folder, [image.name for image in images])
    for image, found in zip(images, hashed, strict=True):
        path = folder / image.name
        if found.unreadable:
            findings.append(finding_of(FindingKind.UNREADABLE_IMAGE, receipt.series, path, found.unreadable))
        elif found.md5 != image.md5:
            sentence = f"the image has MD5 {found.md5}, the receipt has {image.md5}"
            findings.append(finding_of(FindingKind.WRONG_MD5, receipt.series, path, sentence))
    return findings


async def _check_zip(
    folder: PurePosixPath, receipt: Receipt, stored: StoredZip, examination: Examination
) -> tuple[Sequence[Finding], int]:
    """Read a whole ZIP, and compare its members with the receipt; returns the findings, and the bytes of the images."""
    place = folder / stored.name
    expected = {image.name: image for image in receipt.images}
    findings: list[Finding] = []
    read_bytes = 0
    try:
        contents = await examination.reader.open_zip(folder, receipt)
        while members := await contents.next_images(HASHED_AT_ONCE_BYTES):
            read_bytes += sum(member.size_bytes for member in members)
            findings += compare_members(place, receipt, members, expected)
    except (LibraryError, TransferError) as error:
        return [*findings, finding_of(FindingKind.UNREADABLE_IMAGE, receipt.series, place, error.what)], read_bytes
    for name in expected:
        findings.append(finding_of(FindingKind.MISSING_IMAGE, receipt.series, place / name, "the image is not in the ZIP"))
    if not findings and contents.md5 != stored.md5:
        # differences outside of the images: headers, lists, the licence
        sentence = f"the ZIP has MD5 {contents.md5}, the receipt has {stored.md5}; its images are whole"
        findings.append(finding_of(FindingKind.WRONG_MD5, receipt.series, place, sentence))
    return findings, read_bytes


async def _compare_with_store(
    folder: PurePosixPath, receipt: Receipt, rows: Sequence[StoredSeries], examination: Examination
) -> Sequence[Finding]:
    """Compare the store's row with the receipt.

    Of a row that is not complete, only the folder is compared: the next run updates the rest.
    """
    series = receipt.series
    if not rows:
        return (finding_of(FindingKind.NOT_IN_STORE, series, folder, "the series is not in the store"),)
    row = rows[0]
    known = PurePosixPath(row.folder)
    if row.state is SeriesState.CLAIMED or (row.state is not SeriesState.COMPLETE and not row.folder):
        return ()
    if known != folder and not await examination.reader.is_one_folder(known, folder):
        if await holds_series(examination.reader, row):
            return (finding_of(FindingKind.SECOND_COPY, series, folder, f"the store uses the copy in {row.folder}"),)
        return (finding_of(FindingKind.OTHER_FOLDER, series, folder, f"the store has the series in {row.folder}"),)
    if row.state is not SeriesState.COMPLETE:
        return ()
    if row.stored_bytes != receipt.stored_bytes:
        sentence = f"the store has {row.stored_bytes:,} bytes, the receipt {receipt.stored_bytes:,}"
        return (finding_of(FindingKind.STORE_DIFFERS, series, folder, sentence),)
    return ()


async def _compare_with_archive(
    folder: PurePosixPath, receipt: Receipt, archives: Mapping[str, Source], retry_policy: RetryPolicy
) -> Sequence[Finding]:
    series = receipt.series
    archive = archives.get(receipt.archive)
    if archive is None:
        sentence = f"the address of the archive {receipt.archive} is not known; name a manifest of it"
        return (finding_of(FindingKind.UPSTREAM_UNKNOWN, series, folder, sentence),)
    try:
        comparison = await compare_upstream(
            series.series_instance_uid, receipt.images, receipt.stored_bytes, archive, retry_policy
        )
    except (ArchiveError, TransferError) as error:
        if error.exit_code is ExitCode.ARCHIVE:
            raise
        return (finding_of(FindingKind.UPSTREAM_UNKNOWN, series, folder, error.what),)
    if comparison.standing is UpstreamStanding.SAME:
        return ()
    differs = comparison.standing is UpstreamStanding.DIFFERS
    kind = FindingKind.UPSTREAM_DIFFERS if differs else FindingKind.UPSTREAM_UNKNOWN
    return (finding_of(kind, series, folder, comparison.sentence),)


async def _check_store(
    examination: Examination, seen: SeriesKeys, damaged: dict[PurePosixPath, DamagedReceiptError], take: Take
) -> None:
    """Check the complete series of the store that the walk did not reach, except those whose folders were checked."""
    after: int | None = 0
    while after is not None:
        page = await examination.store.places(after=after)
        after = page.next_after
        uids = [uid for key, (uid, _) in zip(page.keys, page.places, strict=True) if key not in seen]
        for first in range(0, len(uids), ROWS_AT_ONCE):
            rows = await examination.store.find_named(uids[first : first + ROWS_AT_ONCE])
            complete = [row for row in rows if row.state is SeriesState.COMPLETE]
            await _check_rows(complete, examination, damaged, take)


async def _check_rows(
    rows: Sequence[StoredSeries], examination: Examination, damaged: dict[PurePosixPath, DamagedReceiptError], take: Take
) -> None:
    for row in rows:
        if await holds_series(examination.reader, row):
            continue
        folder = PurePosixPath(row.folder)
        if folder in damaged:
            finding = _damaged(folder, row.series.series_instance_uid, damaged.pop(folder))
        elif await examination.reader.contents(folder):
            sentence = "the store has the series in this folder, but its receipt is missing"
            finding = finding_of(FindingKind.MISSING_RECEIPT, row.series, folder, sentence)
        else:
            sentence = "the store has the series in this folder, but the folder is missing"
            finding = finding_of(FindingKind.MISSING_FOLDER, row.series, folder, sentence)
        await take(CheckedSeries(folder=folder, row=row, findings=(finding,)))


async def holds_series(reader: LibraryReader, row: StoredSeries) -> bool:
    """Whether the folder of the row has a valid receipt of the series."""
    try:
        receipt = await reader.receipt_in(PurePosixPath(row.folder))
    except DamagedReceiptError:
        return False
    return receipt is not None and receipt.series.series_instance_uid == row.series.series_instance_uid


def _damaged(folder: PurePosixPath, series_instance_uid: str, error: DamagedReceiptError) -> Finding:
    return Finding(
        kind=FindingKind.DAMAGED_RECEIPT, series_instance_uid=series_instance_uid, path=str(folder), sentence=error.what
    )
