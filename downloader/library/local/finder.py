"""Finds the complete series of a store. Implements SeriesFinder."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from downloader.errors import LibraryError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.presence import look_for_receipts
from downloader.library.local.threads import LibraryThreads
from downloader.library.local.tree import SeriesTree
from downloader.library.model import MovedSeries, ReceiptLook
from downloader.model import Receipt, Series


class LocalFinder:
    """Searches the tree of the library at `root`."""

    def __init__(self, root: Path, tree: SeriesTree, threads: LibraryThreads) -> None:
        self._root = root
        self._tree = tree
        self._threads = threads
        self._errors = FileSystemErrors(root)

    async def find_receipt(self, series: Series) -> Receipt | None:
        """See the port."""
        with self._errors:
            return await self._threads.run(self._tree.find_receipt, series)

    async def folder_of(self, series: Series) -> PurePosixPath:
        """See the port."""
        return await self._threads.run(self._tree.folder_of, series)

    async def look_for_receipts(self, folders: Sequence[str]) -> ReceiptLook:
        """See the port."""
        with self._errors:
            return await self._threads.run(look_for_receipts, self._root, folders)

    async def find_moved(self, noted: Sequence[tuple[Series, PurePosixPath]]) -> MovedSeries:
        """See the port."""
        return await self._threads.run(self._find_moved, noted)

    async def make_durable(self, folder: PurePosixPath) -> None:
        """See the port."""
        with FileSystemErrors(self._root, place=str(folder)):
            await self._threads.run(self._tree.make_durable, folder)

    def _find_moved(self, noted: Sequence[tuple[Series, PurePosixPath]]) -> MovedSeries:
        found: dict[str, tuple[PurePosixPath, Receipt]] = {}
        unreadable: dict[str, str] = {}
        for series, folder in noted:
            try:
                with self._errors:
                    moved = self._tree.find_moved(series, folder)
            except LibraryError as error:
                unreadable[str(folder)] = str(error)
                continue
            if moved is not None:
                found[series.series_instance_uid] = moved
        return MovedSeries(found=found, unreadable=unreadable)
