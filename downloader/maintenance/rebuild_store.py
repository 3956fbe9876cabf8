"""Creates a new store from the receipts of a library; each receipt is compared with the names and sizes in its folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Final, Protocol

import anyio

from downloader.concurrency import work_through_pages
from downloader.errors import DamagedReceiptError
from downloader.library.model import FoundSeries
from downloader.library.port import READERS, FolderWalk, LibraryParts
from downloader.maintenance.comparison import compare_contents
from downloader.maintenance.copies import SeriesCopy, choose_copy
from downloader.model import Receipt, SeriesTally
from downloader.results.findings import DAMAGE, Finding, FindingKind
from downloader.store.port import Corrections, FolderIndex, Inventory

SERIES_AT_ONCE: Final = 250


class RebuiltStore(Inventory, FolderIndex, Corrections, Protocol):
    """The part of the new store that a rebuild uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    folder: PurePosixPath
    receipt: Receipt | None
    findings: tuple[Finding, ...]


async def rebuild(
    library: LibraryParts, store: RebuiltStore, report: Callable[[Finding], None], advance: Callable[[int], None]
) -> SeriesTally:
    """Record every series whose files match its receipt; report every other folder.

    Folders are read concurrently, in constant memory. `advance` is called with the number of folders that were read.

    Raises:
        LibraryError, StoreError: library or store cannot be used.
    """
    one_at_a_time = anyio.Lock()

    async def enter(page: Sequence[_Found]) -> None:
        async with one_at_a_time:
            for one in page:
                for finding in one.findings:
                    report(finding)
            chosen = await _choose([one for one in page if one.receipt is not None], library, store, report)
            await store.restore(chosen)
            advance(len(page))

    # not beside the store: the walk takes its waits for the store's thread for those of a slow disk, and starts all readers
    walk = library.reader.walk(with_contents=True)
    await work_through_pages(partial(_check_page, walk), enter, workers=READERS, needs_all=lambda: walk.is_slow)
    return await store.tally()


async def _check_page(walk: FolderWalk) -> Sequence[_Found]:
    return [_check(found) for found in await walk.take(SERIES_AT_ONCE)]


def _check(found: FoundSeries) -> _Found:
    """Check a folder. If its receipt is invalid or does not match, the result has no receipt."""
    folder, receipt = found.folder, found.receipt
    if isinstance(receipt, DamagedReceiptError):
        finding = Finding(kind=FindingKind.DAMAGED_RECEIPT, series_instance_uid="", path=str(folder), sentence=receipt.what)
        return _Found(folder=folder, receipt=None, findings=(finding,))
    findings = tuple(finding for finding in compare_contents(folder, receipt, found.contents) if finding.kind in DAMAGE)
    return _Found(folder=folder, receipt=None if findings else receipt, findings=findings)


async def _choose(
    found: Sequence[_Found], library: LibraryParts, store: FolderIndex, report: Callable[[Finding], None]
) -> Sequence[tuple[Receipt, str]]:
    """One folder for each series: of two copies the newer version, and of equal versions the one in the folder of the layout."""
    uids = [one.receipt.series.series_instance_uid for one in found if one.receipt is not None]
    folders = {uid: place.folder for uid, place in (await store.look_up(uids)).items()}
    chosen: dict[str, tuple[Receipt, str]] = {}
    for one in found:
        if one.receipt is None:
            continue
        uid = one.receipt.series.series_instance_uid
        kept = SeriesCopy(folder=one.folder, receipt=one.receipt, is_known=False)
        if uid in folders:
            kept = await _better(PurePosixPath(folders[uid]), kept, library)
            surplus = PurePosixPath(folders[uid]) if kept.folder == one.folder else one.folder
            sentence = "the library has another copy of the series, which the store uses"
            report(Finding(kind=FindingKind.SECOND_COPY, series_instance_uid=uid, path=str(surplus), sentence=sentence))
        folders[uid] = str(kept.folder)
        chosen[uid] = (kept.receipt, str(kept.folder))
    return list(chosen.values())


async def _better(earlier: PurePosixPath, later: SeriesCopy, library: LibraryParts) -> SeriesCopy:
    """Choose between two copies of a series, after reading the images of both."""
    try:
        receipt = await library.reader.receipt_in(earlier)
    except DamagedReceiptError:
        receipt = None
    if receipt is None:
        return later
    copies = [SeriesCopy(folder=earlier, receipt=receipt, is_known=True), later]
    proven = [copy for copy in copies if await library.reader.proves(copy.folder, copy.receipt)]
    return choose_copy(proven or copies, None, library.maintenance)
