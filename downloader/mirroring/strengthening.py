"""Proves weak complete series again, if the archive offers MD5s by now.

The cheapest way comes first: the archive's digests are compared with the MD5s in the receipt, without a download. If the archive
has MD5s only as lists in its ZIPs, the series is fetched again. A failed attempt leaves a series complete; only series whose
images the archive's digests disprove are reopened and fetched again.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import PurePosixPath
from typing import Final, Protocol

import structlog
from anyio import CancelScope

from downloader.archive.port import Md5Lists, Source
from downloader.completeness import series_digests
from downloader.errors import REFUSED_DIGEST, ArchiveError, DamagedReceiptError, DigestMismatchError, ExitCode, TransferError
from downloader.fetching.attempt import fetch_with_list
from downloader.fetching.context import AttemptContext
from downloader.fetching.recheck import ask_again
from downloader.model import Md5Mode, Proof, Receipt
from downloader.store.port import Corrections, ProofRecords
from downloader.store.records import StoredSeries

COMPARED_PER_RUN: Final = 1_000
IMAGES_PER_RUN: Final = 2_000
"""Maximum number of images whose MD5s are requested singly; series with more images are fetched again with their lists."""
FETCHED_PER_RUN: Final = 100
"""Limit per run, so that proving a library without MD5s again takes several runs and does not delay them."""
MISSES_IN_A_ROW: Final = 3
"""After that many consecutive series without a better proof, an archive that never sent MD5s is skipped."""
RECEIPTS_PER_RUN: Final = 5_000
_NOTED_AT_ONCE: Final = 500
_log = structlog.get_logger(__name__)


class StrengthStore(ProofRecords, Corrections, Protocol):
    """The part of the store that proving again uses."""


class _Digested(Enum):
    """The comparison of the archive's digests with the images of a receipt."""

    SAME = auto()
    OTHERS = auto()
    UNTOLD = auto()


@dataclass(slots=True)
class StrengthTally:
    """The results: `compared` and `fetched` series have a stronger proof now, `doubted` ones are fetched again.

    Of the `contradicted` series, the archive sent images again that its own list disproves: the stored images stay.
    """

    compared: int = 0
    fetched: int = 0
    doubted: int = 0
    contradicted: int = 0


async def note_unknown_strengths(store: StrengthStore, context: AttemptContext) -> None:
    """Record proofs in a store of an older tciad by reading receipts, at most RECEIPTS_PER_RUN in each run."""
    noted: list[tuple[str, Proof]] = []
    looked = 0
    async for row in store.find_unknown_proofs():
        looked += 1
        receipt = await _receipt_of(row, context)
        if receipt is not None:
            noted.append((row.series.series_instance_uid, receipt.proof))
        if len(noted) >= _NOTED_AT_ONCE:
            await store.note_proofs(noted)
            noted = []
        if looked >= RECEIPTS_PER_RUN:
            break
    if noted:
        await store.note_proofs(noted)


@dataclass(slots=True)
class Strengthening:
    """Proves the weak series of one manifest again.

    Args:
        contexts: one context per archive, by name.
        admit: awaited before each series; returns when work may start.
    """

    store: StrengthStore
    contexts: Mapping[str, AttemptContext]
    admit: Callable[[], Awaitable[None]]
    tally: StrengthTally = field(default_factory=StrengthTally)
    _misses: Counter[str] = field(default_factory=Counter)
    _tried: int = 0
    _fetches: int = 0
    _images_left: int = IMAGES_PER_RUN

    async def work(self, manifest: str) -> None:
        """Try each weak series once, up to the limits per run.

        Raises:
            LibraryError, StoreError: library or store cannot be used.
        """
        hopeful = {name: context for name, context in self.contexts.items() if context.md5 is not Md5Mode.OFF}
        async for row in self.store.find_weak(manifest, with_list=False):
            if not hopeful or self._tried >= COMPARED_PER_RUN:
                return
            context = hopeful.get(row.archive)
            if context is None:
                continue
            self._tried += 1
            await self.admit()
            try:
                hit = await self._strengthen(row, context)
            except (ArchiveError, TransferError) as error:
                self.tally.contradicted += isinstance(error, DigestMismatchError)
                _log.info("series not proven again", series_instance_uid=row.series.series_instance_uid, message=str(error))
                if error.exit_code is ExitCode.ARCHIVE:
                    return
                hit = False
            self._misses[row.archive] = 0 if hit else self._misses[row.archive] + 1
            if self._is_hopeless(context.archive):
                del hopeful[row.archive]

    def _is_hopeless(self, archive: Source) -> bool:
        return self._misses[archive.name] >= MISSES_IN_A_ROW and archive.md5_lists("") is not Md5Lists.SENT

    async def _strengthen(self, row: StoredSeries, context: AttemptContext) -> bool:
        """Whether the series has a stronger proof now, or was disproved."""
        receipt = await _receipt_of(row, context)
        if receipt is None:
            return False  # `verify` tells what is wrong with it
        match await self._compare(receipt, context.archive):
            case _Digested.SAME:
                await self._note_same(row, receipt, context)
                return True
            case _Digested.OTHERS:
                return await self._doubt(row, receipt, context)
            case _Digested.UNTOLD:
                return await self._fetch(row, receipt, context)

    async def _note_same(self, row: StoredSeries, receipt: Receipt, context: AttemptContext) -> None:
        proof = replace(receipt.proof, md5_images=len(receipt.images), md5_blank=0, md5_list=receipt.proof.came_with_list)
        with CancelScope(shield=True):
            await context.library.maintenance.rewrite_receipt(PurePosixPath(row.folder), replace(receipt, proof=proof))
            await self.store.note_proofs([(row.series.series_instance_uid, proof)])
        self.tally.compared += 1

    async def _doubt(self, row: StoredSeries, receipt: Receipt, context: AttemptContext) -> bool:
        """Invalidate the receipt of images that differ from the archive's, unless the archive has a new version.

        The images stay in place until the correct ones replace them, and are then moved to quarantine.
        """
        newest = await ask_again(row.series, context.archive)
        if newest is None or newest.version.differs_from(receipt.series.version):
            return False  # the next resolve finds it
        name, changes = row.series.series_instance_uid, context.library.changes
        doubt = await changes.plan_doubt(PurePosixPath(row.folder), name)
        with CancelScope(shield=True):
            record = await changes.begin([doubt])
            await changes.carry_out(doubt)
            await self.store.reopen([name], message="its images differ from the archive's MD5s")
            await changes.end(record)
        _log.warning("images differ from the archive's MD5s, series fetched again", series_instance_uid=name, folder=row.folder)
        self.tally.doubted += 1
        return True

    async def _fetch(self, row: StoredSeries, receipt: Receipt, context: AttemptContext) -> bool:
        """Fetch the series again in place, if a list can be expected."""
        series = row.series
        lists = context.archive.md5_lists(series.series_instance_uid)
        is_in_place = await context.library.finder.folder_of(series) == PurePosixPath(row.folder)
        if lists not in {Md5Lists.SENT, Md5Lists.UNKNOWN} or not is_in_place or self._fetches >= FETCHED_PER_RUN:
            return False
        self._fetches += 1
        # AUTO: the best available list may have blanks, also where the manifest requires more for new series
        fetched = await fetch_with_list(series, replace(context, md5=Md5Mode.AUTO))
        with CancelScope(shield=True):
            await self.store.restore([(fetched.receipt, str(fetched.place.folder))])
        if {image.md5 for image in fetched.receipt.images} != {image.md5 for image in receipt.images}:
            _log.warning(
                "images differed from the archive's MD5 list, series replaced", series_instance_uid=series.series_instance_uid
            )
        self.tally.fetched += 1
        return True

    async def _compare(self, receipt: Receipt, archive: Source) -> _Digested:
        """Compare digests until one differs or is missing; SAME only if every image matches.

        Raises:
            ArchiveError, TransferError: the archive does not answer now.
        """
        try:
            digest = await archive.find_series_md5(receipt.series.series_instance_uid)
            if digest and digest in series_digests(image.md5 for image in receipt.images):
                return _Digested.SAME
            if len(receipt.images) > self._images_left:
                return _Digested.UNTOLD
            for image in receipt.images:
                self._images_left -= 1
                md5 = await archive.find_image_md5(image.sop_instance_uid)
                if md5 != image.md5:
                    return _Digested.OTHERS if md5 else _Digested.UNTOLD
        except REFUSED_DIGEST:
            return _Digested.UNTOLD  # a deployment without this endpoint, or one that guards it
        return _Digested.SAME


def wants_lists(context: AttemptContext) -> bool:
    """Whether series of this archive should have MD5 lists, and its generation may offer them."""
    return context.md5 is not Md5Mode.OFF and context.archive.md5_lists("") is not Md5Lists.NEVER


async def _receipt_of(row: StoredSeries, context: AttemptContext) -> Receipt | None:
    """The receipt of a complete series; None if there is no valid one."""
    try:
        receipt = await context.library.reader.receipt_in(PurePosixPath(row.folder))
    except DamagedReceiptError:
        return None
    if receipt is None or receipt.series.series_instance_uid != row.series.series_instance_uid:
        return None
    return receipt
