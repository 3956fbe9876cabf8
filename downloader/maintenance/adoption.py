"""Adopts series that other programs downloaded: each is proven against the archive before it counts as complete.

The names of files and folders are not used. Nothing in the tree is changed.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from anyio import CancelScope

from downloader.archive.nbia.transfers import ZipImages, limits_for
from downloader.concurrency import work_through
from downloader.errors import ArchiveError, CorruptZipError, ExitCode, SeriesWithdrawnError, TransferError, TruncatedZipError
from downloader.fetching.attempt import make_receipt
from downloader.fetching.context import AttemptContext
from downloader.fetching.recheck import ask_again
from downloader.fetching.resume import prove_salvaged
from downloader.library.model import ForeignImage
from downloader.library.sink import StagedSeries, Staging
from downloader.maintenance.foreign_tree import ForeignFiles, ForeignTree, Unreadable
from downloader.model import Portion, Series, SeriesState
from downloader.results.adoption import AdoptionTally, LeftSeries
from downloader.store.port import Corrections, FolderIndex
from downloader.transport.retrying import RetryPolicy


class AdoptionStore(FolderIndex, Corrections, Protocol):
    """The part of the store that an adoption uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopter:
    """Adopts one tree into a library. The caller holds the library's lock.

    Args:
        link: share the files with the tree, by links, where the file system can.
        advance: called with the number of series that were checked, and the bytes that were read for them.
    """

    tree: ForeignTree
    context: AttemptContext
    store: AdoptionStore
    retry_policy: RetryPolicy
    link: bool
    advance: Callable[[int, int], None]
    tally: AdoptionTally = field(default_factory=AdoptionTally)
    _scattered: dict[str, list[ForeignImage]] = field(default_factory=lambda: defaultdict(list))

    async def adopt(self) -> None:
        """Check every file of the tree, and adopt each complete series.

        Memory grows only with series whose images are in several folders.

        Raises:
            ArchiveError: the archive does not answer, or refuses the credentials.
            LibraryError, StoreError: library or store cannot be written.
        """
        await work_through(self.tree.files(), self._take_folder, workers=max(1, int(self.context.threads.total_tokens)))
        for series_instance_uid, images in sorted(self._scattered.items()):
            await self._settle(series_instance_uid, images)

    async def _take_folder(self, found: ForeignFiles | Unreadable) -> None:
        if isinstance(found, Unreadable):
            self._leave("unreadable", "", found.path, found.why)
            return
        if await self._is_adopted(found):
            return
        examined = await self.context.in_thread(self.tree.examine, found)
        self.tally.ignored_files += examined.ignored
        for unreadable in examined.unreadable:
            self._leave("unreadable", "", unreadable.path, unreadable.why)
        by_series: dict[str, list[ForeignImage]] = defaultdict(list)
        for image in examined.images:
            by_series[image.staged.series_instance_uid].append(image)
        for series_instance_uid, images in by_series.items():
            if series_instance_uid in self._scattered or not found.is_whole_folder:
                self._scattered[series_instance_uid] += images
            else:
                await self._settle(series_instance_uid, images, others_may_follow=True)
        for series_instance_uid, path in examined.zips:
            await self._settle_zip(series_instance_uid, path)

    async def _is_adopted(self, files: ForeignFiles) -> bool:
        """Whether the folder was adopted before: its first image is of a complete series with as many images as it has files.

        So an adoption that was interrupted does not hash terabytes again.
        """
        first = await self.context.in_thread(self.tree.first_image, files)
        if first is None or not files.is_whole_folder:
            return False
        for row in await self.store.find_named([first.staged.series_instance_uid]):
            if row.state is SeriesState.COMPLETE and row.series.image_count == files.image_like:
                self.tally.already += 1
                self.advance(1, 0)
                return True
        return False

    async def _settle(self, series_instance_uid: str, images: Sequence[ForeignImage], *, others_may_follow: bool = False) -> None:
        """Adopt the series, or report why not. If `others_may_follow`, images of an incomplete series wait for other folders."""
        chosen = list({image.staged.sop_instance_uid: image for image in images}.values())
        try:
            if await self._is_complete(series_instance_uid):
                self.tally.already += 1
            else:
                listed = await self._list(series_instance_uid)
                if others_may_follow and len(chosen) < (listed.image_count or 0):
                    self._scattered[series_instance_uid] += images
                    return
                await self._bring(listed, chosen)
        except (TransferError, ArchiveError) as error:
            self._refuse(series_instance_uid, images[0].path.parent, error)
        self.advance(1, sum(image.staged.size_bytes for image in images))

    async def _bring(self, listed: Series, images: Sequence[ForeignImage]) -> None:
        adoption = await self.context.in_thread(self.context.library.adopt, listed, images, link=self.link)
        try:
            await self._commit(listed, adoption)
        finally:
            with CancelScope(shield=True):
                await self.context.in_thread(adoption.discard)

    async def _settle_zip(self, series_instance_uid: str, path: Path) -> None:
        """Adopt the series of a stored ZIP, or report why not."""
        try:
            if await self._is_complete(series_instance_uid):
                self.tally.already += 1
            else:
                await self._bring_zip(await self._list(series_instance_uid), path)
        except (TransferError, ArchiveError) as error:
            self._refuse(series_instance_uid, path, error)
        self.advance(1, 0)

    async def _bring_zip(self, listed: Series, path: Path) -> None:
        staging = await self.context.in_thread(self.context.library.begin, listed)
        try:
            await self.context.in_thread(_unpack, self.tree, path, staging, listed)
            await self._commit(listed, staging)
        finally:
            with CancelScope(shield=True):
                await self.context.in_thread(staging.discard)

    async def _commit(self, listed: Series, adoption: StagedSeries) -> None:
        """Prove the images against the archive, commit them to the library, and record them in the store.

        Raises:
            TransferError, ArchiveError: they are not proven.
        """
        proven = await prove_salvaged(listed, adoption, self.context)
        receipt = await self.context.in_thread(make_receipt, proven, adoption, self.context, received_bytes=0)
        place = await self.context.in_thread(adoption.commit, receipt)
        await self.store.restore([(receipt, str(place.folder))])
        self.tally.take(receipt)

    async def _is_complete(self, series_instance_uid: str) -> bool:
        return any(row.state is SeriesState.COMPLETE for row in await self.store.find_named([series_instance_uid]))

    async def _list(self, series_instance_uid: str) -> Series:
        """The catalogue row of the series.

        Raises:
            ArchiveError: it is not listed, or the archive does not answer.
        """

        async def ask() -> Series | None:
            return await ask_again(Series(series_instance_uid=series_instance_uid), self.context.archive)

        listed = await self.retry_policy.ask("getSeries", ask)
        if listed is None:
            raise SeriesWithdrawnError(f"{self.context.archive.name} does not list the series")
        return listed

    def _refuse(self, series_instance_uid: str, path: Path, error: TransferError | ArchiveError) -> None:
        if error.exit_code is ExitCode.ARCHIVE:
            raise error
        self._leave(type(error).__name__.removesuffix("Error"), series_instance_uid, path, error.what)

    def _leave(self, kind: str, series_instance_uid: str, path: Path, sentence: str) -> None:
        self.tally.left.append(LeftSeries(kind=kind, series_instance_uid=series_instance_uid, path=str(path), sentence=sentence))


def _unpack(tree: ForeignTree, path: Path, staging: Staging, listed: Series) -> None:
    """Read a stored ZIP into staging, and check its CRC-32s and its central directory. Blocks.

    Raises:
        TransferError: it is damaged, or has wrong content.
    """
    images = ZipImages(limits_for(listed))
    try:
        for block in tree.blocks(path):
            staging.take(Portion(events=images.read([block]), received_bytes=0, original=[block]))
        images.evidence()
    except OSError as error:
        raise TruncatedZipError(f"{path} cannot be read: {error.strerror or error}") from error
    if not staging.images():
        raise CorruptZipError(f"{path} contains no image")
