"""A library in memory.

It follows the rules of the port, without links, other users, ZIPs, and kills within a change.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.layout import collection_folders
from downloader.library.model import (
    FolderMove,
    FoundSeries,
    HashedMember,
    ImageDigest,
    MovedSeries,
    MoveResults,
    ReceiptLook,
    SeriesLocation,
    StagedFolder,
)
from downloader.model import Receipt, Series
from tests.fakes.memory_changes import MemoryChanges
from tests.fakes.memory_staging import MemoryParts, MemorySink, put
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_tree import STAGING, MemoryFolder, MemoryTree


class MemoryReader:
    """Implements LibraryReader."""

    def __init__(self, tree: MemoryTree) -> None:
        self._tree = tree

    def walk(self, *, with_contents: bool) -> "MemoryWalk":
        """See the port."""
        found = []
        for path in self._tree.in_tree():
            receipt = self._tree.folders[path].receipt
            if receipt is not None:
                found.append(FoundSeries(folder=path, receipt=receipt, contents=self._contents(path) if with_contents else {}))
        return MemoryWalk(found)

    async def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """See the port."""
        receipt = self._folder(folder).receipt
        if isinstance(receipt, DamagedReceiptError):
            raise receipt
        return receipt

    async def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """See the port."""
        return self._folder(folder).doubted

    async def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """See the port."""
        return self._contents(folder)

    async def hash_images(self, folder: PurePosixPath, names: Sequence[str]) -> Sequence[ImageDigest]:
        """See the port."""
        files = self._folder(folder).files
        return [
            ImageDigest(name=name, md5=_md5_of(files[name]))
            if name in files
            else ImageDigest(name=name, unreadable=f"{name}: gone")
            for name in names
        ]

    async def open_zip(self, folder: PurePosixPath, receipt: Receipt) -> "MemoryZip":
        """See the port: this library never stores ZIPs."""
        raise LibraryError(f"{folder} has no ZIP", series_instance_uid=receipt.series.series_instance_uid)

    async def is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """See the port."""
        found = self._folder(folder)
        return found.is_of(series_instance_uid) and found.is_whole()

    async def proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        """See the port."""
        files = self._folder(folder).files
        return all(_md5_of(files.get(image.name, b"")) == image.md5 for image in receipt.images)

    async def holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """See the port."""
        found = self._folder(folder)
        receipt = await self.receipt_in(folder) or found.doubted
        if receipt is None and not self._contents(folder):
            return False
        if receipt is None or receipt.series.series_instance_uid != series_instance_uid:
            raise LibraryError(f"{folder} in the library contains something else", series_instance_uid=series_instance_uid)
        return True

    async def has_series_in(self, folder: PurePosixPath) -> bool:
        """See the port."""
        below = (path for path in self._tree.folders if path == folder or folder in path.parents)
        return any(self._tree.folders[path].receipt or self._tree.folders[path].doubted for path in below)

    async def is_one_folder(self, folder: PurePosixPath, other: PurePosixPath) -> bool:
        """See the port."""
        return folder == other and folder in self._tree.folders

    def _folder(self, path: PurePosixPath) -> MemoryFolder:
        return self._tree.folders.get(path) or MemoryFolder()

    def _contents(self, path: PurePosixPath) -> Mapping[str, int | None]:
        below = {other.relative_to(path).parts[0]: None for other in self._tree.folders if path in other.parents}
        return {**below, **{name: len(content) for name, content in self._folder(path).files.items()}}


class MemoryWalk:
    """Implements FolderWalk."""

    is_slow = False

    def __init__(self, found: Sequence[FoundSeries]) -> None:
        self._left = list(found)

    async def take(self, most: int) -> Sequence[FoundSeries]:
        """See the port."""
        page, self._left = self._left[:most], self._left[most:]
        return page


class MemoryZip:
    """A placeholder for ZipContents: this library has none."""

    md5 = ""

    async def next_images(self, enough_bytes: int) -> Sequence[HashedMember]:
        """See the port."""
        del enough_bytes
        return ()


class MemoryFinder:
    """Implements SeriesFinder."""

    def __init__(self, tree: MemoryTree) -> None:
        self._tree = tree

    async def find_receipt(self, series: Series) -> Receipt | None:
        """See the port."""
        found = self._tree.find(self._tree.layout.folders(series), series.series_instance_uid)
        return found[1] if found is not None else None

    async def folder_of(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.folder_of(series)

    async def look_for_receipts(self, folders: Sequence[str]) -> ReceiptLook:
        """See the port."""
        held = {str(path) for path, folder in self._tree.folders.items() if folder.receipt is not None}
        return ReceiptLook(missing=sorted(set(folders) - held), unreadable={})

    async def find_moved(self, noted: Sequence[tuple[Series, PurePosixPath]]) -> MovedSeries:
        """See the port."""
        found: dict[str, tuple[PurePosixPath, Receipt]] = {}
        for series, _ in noted:
            moved = self._tree.find(self._tree.layout.folders(series), series.series_instance_uid)
            if moved is not None:
                found[series.series_instance_uid] = moved
        return MovedSeries(found=found, unreadable={})

    async def make_durable(self, folder: PurePosixPath) -> None:
        """See the port: memory needs no sync."""


class MemoryMaintenance:
    """Implements LibraryMaintenance."""

    def __init__(self, tree: MemoryTree) -> None:
        self._tree = tree

    def best_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.layout.folders(series)[0]

    async def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """See the port."""
        self._tree.folders[folder].receipt = receipt

    async def choose_places(self, moves: Sequence[FolderMove], taken: Collection[PurePosixPath]) -> MoveResults:
        """See the port."""
        promised = set(taken)
        results: list[PurePosixPath | LibraryError] = []
        for move in moves:
            try:
                results.append(place := self._tree.place_for(move, promised))
                promised.add(place)
            except LibraryError as error:
                results.append(error)
        return MoveResults(results=results)

    async def move(self, moves: Sequence[FolderMove]) -> MoveResults:
        """See the port."""
        results: list[PurePosixPath | LibraryError] = []
        for move in moves:
            try:
                results.append(place := self._tree.place_for(move, ()))
                self._tree.rename(move.folder, place)
            except LibraryError as error:
                results.append(error)
        return MoveResults(results=results)

    async def move_papers(self, collections: Sequence[Series]) -> None:
        """See the port."""
        kept = {self._tree.layout.collection_folder(series) for series in collections}
        for series in collections:
            new = self._tree.layout.collection_folder(series)
            for old in set(collection_folders(series)) - kept:
                if old in self._tree.papers and self._tree.papers.get(new, self._tree.papers[old]) == self._tree.papers[old]:
                    self._tree.papers[new] = self._tree.papers.pop(old)

    async def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """See the port."""
        target = self._tree.quarantine_place(label, at)
        if path in self._tree.folders:
            self._tree.rename(path, target)
            return target
        self._tree.folders[target] = MemoryFolder(files={path.name: self._tree.folders[path.parent].files.pop(path.name)})
        return target / path.name


class MemoryLeftovers:
    """Implements StagedLeftovers; `parts` are what attempts left."""

    def __init__(self, tree: MemoryTree, parts: dict[str, MemoryParts]) -> None:
        self._tree = tree
        self._parts = parts

    async def leave_to_next(self, live_claims: Collection[str] = ()) -> None:
        """See the port. Nothing here is called by its claim."""

    async def staged_series(self) -> Sequence[Series]:
        """See the port."""
        return [parts.series for parts in self._parts.values()]

    async def whole_staged(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> Sequence[StagedFolder]:
        """See the port."""
        return [
            StagedFolder(folder=path, receipt=receipt)
            for path, folder in self._staged(keep).items()
            if (receipt := folder.sound_receipt) is not None and folder.is_whole()
        ]

    async def put_back(self, staged: StagedFolder) -> SeriesLocation:
        """See the port."""
        return put(self._tree, self._tree.folders.pop(staged.folder), None)

    async def clear_staging(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> int:
        """See the port."""
        cleared, gone = self._staged(keep), self._parts.keys() - set(keep)
        for path in cleared:
            del self._tree.folders[path]
        for uid in gone:
            del self._parts[uid]
        return len(cleared) + len(gone)

    def _staged(self, keep: Collection[str]) -> dict[PurePosixPath, MemoryFolder]:
        return {path: folder for path, folder in self._tree.folders.items() if path.parent == STAGING and path.name not in keep}


class MemoryLibrary(MemorySink):
    """Implements Library."""

    def __init__(self, *, layout: str = "classic") -> None:
        self.tree = MemoryTree(layout)
        super().__init__(self.tree)
        self.reader = MemoryReader(self.tree)
        self.finder = MemoryFinder(self.tree)
        self.changes = MemoryChanges(self.tree)
        self.maintenance = MemoryMaintenance(self.tree)
        self.leftovers = MemoryLeftovers(self.tree, self.parts)
        self.index = self.tree.index
        self.state = MemoryState()


def _md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
