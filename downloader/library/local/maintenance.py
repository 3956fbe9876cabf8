"""Moves complete series. Implements LibraryMaintenance."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from downloader.errors import LibraryError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.hashing import set_aside
from downloader.library.local.moving import MoveBatch
from downloader.library.local.threads import LibraryThreads
from downloader.library.local.tree import SeriesTree
from downloader.library.model import FolderMove, MoveResults
from downloader.library.names import safe_name
from downloader.model import Receipt, Series
from downloader.own_folder import OWN_FOLDER


class LocalMaintenance:
    """Moves folders of the library at `root`."""

    def __init__(self, root: Path, tree: SeriesTree, threads: LibraryThreads) -> None:
        self._root = root
        self._tree = tree
        self._threads = threads
        self._errors = FileSystemErrors(root)

    def best_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.best_folder(series)

    async def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """See the port."""
        await self._threads.run(self._tree.rewrite_receipt, folder, receipt)

    async def choose_places(self, moves: Sequence[FolderMove], taken: Collection[PurePosixPath]) -> MoveResults:
        """See the port."""
        return await self._threads.run(self._choose_places, moves, taken)

    async def move(self, moves: Sequence[FolderMove]) -> MoveResults:
        """See the port."""
        return await self._threads.run(self._move_all, moves)

    async def move_papers(self, collections: Sequence[Series]) -> None:
        """See the port."""
        with self._errors:
            await self._threads.run(self._move_papers, collections)

    async def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """See the port."""
        with FileSystemErrors(self._root, place=str(path)):
            return await self._threads.run(self._quarantine, path, label, at)

    def _choose_places(self, moves: Sequence[FolderMove], taken: Collection[PurePosixPath]) -> MoveResults:
        promised = set(taken)
        results: list[PurePosixPath | LibraryError] = []
        for move in moves:
            place = self._place_of(move, promised)
            results.append(place)
            if isinstance(place, PurePosixPath) and place != move.folder:
                promised.add(place)
        return MoveResults(results=results)

    def _place_of(self, move: FolderMove, taken: Collection[PurePosixPath]) -> PurePosixPath | LibraryError:
        uid = move.series.series_instance_uid
        try:
            with FileSystemErrors(self._root, place=str(move.folder), series_instance_uid=uid):
                return self._tree.place_for(move.folder, move.series, taken)
        except LibraryError as error:
            return error

    def _move_all(self, moves: Sequence[FolderMove]) -> MoveResults:
        batch = MoveBatch(self._root)
        results: list[PurePosixPath | LibraryError] = []
        try:
            with self._errors:
                self._tree.overdue.set()
                try:
                    for move in moves:
                        self._move(move, batch, results)
                finally:
                    batch.end()
        except LibraryError as error:
            return MoveResults(results=results, failure=error)
        return MoveResults(results=results)

    def _move(self, move: FolderMove, batch: MoveBatch, results: list[PurePosixPath | LibraryError]) -> None:
        place = self._place_of(move, ())
        if isinstance(place, PurePosixPath) and place != move.folder:
            batch.move(move.folder, place)
        results.append(place)

    def _move_papers(self, collections: Sequence[Series]) -> None:
        kept = {self._tree.papers_folder(series) for series in collections}
        for series in collections:
            self._tree.move_papers(series, kept)

    def _quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        with self._tree.taking_out(path) as leaving:
            moved = set_aside(leaving, self._root / OWN_FOLDER / "quarantine", safe_name(label), at)
        return PurePosixPath(moved.relative_to(self._root))
