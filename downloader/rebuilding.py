"""Makes a new store from the receipts of a library, each checked against the names and sizes of what lies there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

import anyio.to_thread

from downloader.errors import DamagedReceiptError
from downloader.library.port import Library
from downloader.model import Receipt, SeriesTally
from downloader.store.port import Store
from downloader.verification import DAMAGE, Finding, FindingKind, compare_contents

SERIES_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    folder: PurePosixPath
    receipt: Receipt | None
    findings: tuple[Finding, ...]


async def rebuild(library: Library, store: Store, tell: Callable[[Finding], None], advance: Callable[[int], None]) -> SeriesTally:
    """Enter every series whose images lie there as its receipt says; whatever does not is told and left out.

    Memory does not grow with the library. `advance` is told how many more folders were looked at.

    Raises:
        LibraryError, StoreError: they cannot be used.
    """
    folders = library.folders()
    while found := await anyio.to_thread.run_sync(_check_page, folders, library):
        for one in found:
            for finding in one.findings:
                tell(finding)
        chosen = await _choose([one for one in found if one.receipt is not None], library, store, tell)
        await store.restore(chosen)
        advance(len(found))
    return await store.tally()


def _check_page(folders: Iterator[tuple[PurePosixPath, Receipt | DamagedReceiptError]], library: Library) -> Sequence[_Found]:
    return [_check(folder, receipt, library) for folder, receipt in islice(folders, SERIES_AT_ONCE)]


def _check(folder: PurePosixPath, receipt: Receipt | DamagedReceiptError, library: Library) -> _Found:
    """A folder whose receipt cannot be believed, or does not fit, comes without it."""
    if isinstance(receipt, DamagedReceiptError):
        finding = Finding(kind=FindingKind.DAMAGED_RECEIPT, series_instance_uid="", path=str(folder), sentence=receipt.what)
        return _Found(folder=folder, receipt=None, findings=(finding,))
    findings = tuple(finding for finding in compare_contents(folder, receipt, library.contents(folder)) if finding.kind in DAMAGE)
    return _Found(folder=folder, receipt=None if findings else receipt, findings=findings)


async def _choose(
    found: Sequence[_Found], library: Library, store: Store, tell: Callable[[Finding], None]
) -> Sequence[tuple[Receipt, str]]:
    """One folder for each series: of two copies the one where the layout puts it."""
    uids = [one.receipt.series.series_instance_uid for one in found if one.receipt is not None]
    folders = {row.series.series_instance_uid: row.folder for row in await store.find_named(uids)}
    chosen: dict[str, tuple[Receipt, str]] = {}
    for one in found:
        if one.receipt is None:
            continue
        series = one.receipt.series
        earlier = folders.get(series.series_instance_uid)
        best = one.folder
        if earlier is not None:
            best = await anyio.to_thread.run_sync(partial(library.folder_of, series))
            surplus = PurePosixPath(earlier) if best == one.folder else one.folder
            tell(
                Finding(
                    kind=FindingKind.SECOND_COPY,
                    series_instance_uid=series.series_instance_uid,
                    path=str(surplus),
                    sentence="another copy of the series lies in the library; the store knows that one",
                )
            )
        if earlier is None or best == one.folder:
            chosen[series.series_instance_uid] = (one.receipt, str(one.folder))
            folders[series.series_instance_uid] = str(one.folder)
    return list(chosen.values())
