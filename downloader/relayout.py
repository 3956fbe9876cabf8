"""Moves a library to another layout, series by series, without asking any archive.

Each series is moved by a rename and then told to the store, some at a time. Whoever is killed leaves every series whole in one
place or the other: the walk through the receipts finds it, wherever the store believes it to be, and a second call goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Final

import anyio.to_thread

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.port import Library
from downloader.model import Receipt, Series
from downloader.store.port import Store
from downloader.verification import holds_series
from downloader.views.relayout import LeftFolder, RelayoutTally, SeriesMove, SharedFolder

SERIES_AT_ONCE: Final = 100
Folder = tuple[PurePosixPath, Receipt | DamagedReceiptError]


@dataclass(slots=True)
class Relayout:
    """Moves the series of one library to where its layout wants them.

    Args:
        library: in the new layout; locked, unless nothing is moved.
        store: what knows where its series lie.
        dry_run: whether it is only told what would be moved.
        advance: is told how many more series were looked at.
    """

    library: Library
    store: Store
    dry_run: bool
    advance: Callable[[int], None]
    tally: RelayoutTally = field(default_factory=RelayoutTally)
    _collections: dict[str, Series] = field(default_factory=dict)
    _moved: set[int] = field(default_factory=set)
    _promised: set[PurePosixPath] = field(default_factory=set)

    async def move_all(self) -> None:
        """Move every series that is not where the layout wants it, then what lies beside them.

        Raises:
            LibraryError: a folder cannot be read or moved; what was moved before is told to the store.
            StoreError: the store cannot be used.
        """
        folders = self.library.folders()
        while page := await anyio.to_thread.run_sync(_take_page, folders):
            relocated: list[tuple[str, str]] = []
            try:
                for folder, receipt in page:
                    await self._settle(folder, receipt, relocated)
            finally:
                if relocated and not self.dry_run:
                    with anyio.CancelScope(shield=True):
                        await self.store.relocate(relocated)
            self.advance(len(page))
        if not self.dry_run:
            await anyio.to_thread.run_sync(self._move_papers)

    async def _settle(
        self, folder: PurePosixPath, receipt: Receipt | DamagedReceiptError, relocated: list[tuple[str, str]]
    ) -> None:
        if isinstance(receipt, DamagedReceiptError):
            self._leave(folder, receipt.what)
            return
        rows = await self.store.find_named([receipt.series.series_instance_uid])
        # a layout may name what nobody had asked for when the series was stored, and a resolve has asked for since
        series = receipt.series.with_gaps_filled(rows[0].series) if rows else receipt.series
        known = PurePosixPath(rows[0].folder) if rows and rows[0].folder else None
        if known is not None and known != folder and await anyio.to_thread.run_sync(holds_series, self.library, rows[0]):
            self._leave(folder, f"a second copy: the store's lies in {known}", series)
            return
        try:
            target = await anyio.to_thread.run_sync(partial(self.library.place_for, folder, series, self._promised))
        except LibraryError as error:
            self._leave(folder, error.what, series)
            return
        self._collections.setdefault(series.collection, series)
        await self._bring(folder, target, series)
        if known is not None and known != target:
            relocated.append((series.series_instance_uid, str(target)))

    def _leave(self, folder: PurePosixPath, reason: str, series: Series | None = None) -> None:
        series_instance_uid = series.series_instance_uid if series else ""
        self.tally.left.append(LeftFolder(folder=str(folder), series_instance_uid=series_instance_uid, reason=reason))

    async def _bring(self, folder: PurePosixPath, target: PurePosixPath, series: Series) -> None:
        mark = hash(series.series_instance_uid)
        if target == folder:
            # the walk can come by what was moved into folders that were still to be read
            self.tally.in_place += mark not in self._moved
            return
        best = self.library.best_folder(series)
        if target != best:
            self.tally.shared.append(
                SharedFolder(series_instance_uid=series.series_instance_uid, folder=str(target), instead_of=str(best))
            )
        if self.dry_run:
            self._promised.add(target)
            move = SeriesMove(series_instance_uid=series.series_instance_uid, folder=str(folder), target=str(target))
            self.tally.moves.append(move)
        else:
            # once begun, it is told to the store: a cancelled move would be told to nobody
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.library.move, folder, target)
        self._moved.add(mark)
        self.tally.moved += 1

    def _move_papers(self) -> None:
        """Licences follow the series of their collections. Blocks."""
        kept = {self.library.papers_folder(series) for series in self._collections.values()}
        for series in self._collections.values():
            self.library.move_papers(series, kept)


def _take_page(folders: Iterator[Folder]) -> Sequence[Folder]:
    return list(islice(folders, SERIES_AT_ONCE))
