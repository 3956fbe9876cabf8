"""Moves a library to another layout, series by series, without asking any archive.

Each series is moved by a rename and then told to the store, some at a time and under one record. A kill leaves every series whole
in one place or the other; the next start tells the store in which, and a second call goes on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Final

import anyio.to_thread

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.changes import ChangeRecord
from downloader.library.port import Library
from downloader.maintenance.comparison import compare_contents
from downloader.maintenance.verification import holds_series
from downloader.model import Receipt, Series, SeriesState
from downloader.results.findings import DAMAGE
from downloader.results.relayout import LeftFolder, RelayoutTally, SeriesMove, SharedFolder
from downloader.store.port import Store, StoredSeries

SERIES_AT_ONCE: Final = 250
Folder = tuple[PurePosixPath, Receipt | DamagedReceiptError]
Move = Callable[[PurePosixPath, PurePosixPath], None]


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
    _blocked: list[tuple[PurePosixPath, Receipt, str]] = field(default_factory=list)

    async def move_all(self) -> None:
        """Move every series that is not where the layout wants it, then what lies beside them.

        Raises:
            LibraryError: a folder cannot be read or moved; what was moved before is told to the store.
            StoreError: the store cannot be used.
        """
        folders = self.library.folders()
        while page := await anyio.to_thread.run_sync(_take_page, folders):
            await self._move_page(page)
            self.advance(len(page))
        await self._move_blocked()
        if not self.dry_run:
            await anyio.to_thread.run_sync(self._move_papers)

    async def _move_blocked(self) -> None:
        """Try once more what found something in its way, which may have gone elsewhere since; leave the rest."""
        moved_before = -1
        while self._blocked and not self.dry_run and self.tally.moved != moved_before:
            moved_before = self.tally.moved
            again, self._blocked = [(folder, receipt) for folder, receipt, _ in self._blocked], []
            for first in range(0, len(again), SERIES_AT_ONCE):
                await self._move_page(again[first : first + SERIES_AT_ONCE])
        for folder, receipt, reason in self._blocked:
            self._leave(folder, reason, receipt.series)

    async def _move_page(self, page: Sequence[Folder]) -> None:
        """Move some series under one record, and tell the store where they lie."""
        told = [(folder, receipt) for folder, receipt in page if isinstance(receipt, Receipt)]
        named = await self.store.find_named([receipt.series.series_instance_uid for _, receipt in told])
        rows = {row.series.series_instance_uid: row for row in named}
        record = await anyio.to_thread.run_sync(self._write_down, told, rows)
        settled = _Settled()
        # once begun, it is told to the store: a cancelled move would be told to nobody
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(self._settle_all, page, rows, settled)
            finally:
                await self._update_store(settled)
            if record is not None:
                await anyio.to_thread.run_sync(self.library.changes.end, record)

    async def _update_store(self, settled: "_Settled") -> None:
        """Where series lie now; and of those that the store did not have yet, that they are there."""
        if self.dry_run:
            return
        if settled.relocated:
            await self.store.relocate(settled.relocated)
        if settled.found:
            await self.store.restore(settled.found)

    def _write_down(self, told: Sequence[tuple[PurePosixPath, Receipt]], rows: Mapping[str, StoredSeries]) -> ChangeRecord | None:
        """The record of what is about to be moved; none where nothing is. Blocks."""
        if self.dry_run:
            return None
        plan = self.library.changes.plan_move
        planned = [
            plan(folder, _described(receipt, rows.get(receipt.series.series_instance_uid)), receipt.completed_at)
            for folder, receipt in told
        ]
        changes = [change for change in planned if change is not None]
        return self.library.changes.begin(changes) if changes else None

    def _settle_all(self, page: Sequence[Folder], rows: Mapping[str, StoredSeries], settled: "_Settled") -> None:
        """Move what is to be moved; all of it is durable when this returns. Blocks."""
        if self.dry_run:
            self._settle_each(page, rows, settled, self._promise)
            return
        with self.library.moves() as moves:
            self._settle_each(page, rows, settled, moves.move)

    def _settle_each(self, page: Sequence[Folder], rows: Mapping[str, StoredSeries], settled: "_Settled", move: Move) -> None:
        for folder, receipt in page:
            if isinstance(receipt, DamagedReceiptError):
                self._leave(folder, receipt.what)
                continue
            row = rows.get(receipt.series.series_instance_uid)
            series = _described(receipt, row)
            target = self._place_for(folder, receipt, series, row)
            if target is None:
                continue
            self._collections.setdefault(series.collection, series)
            is_whole = self._is_unknown_and_whole(folder, receipt, row)
            self._bring(folder, target, series, move)
            if is_whole:
                settled.found.append((receipt, str(target)))
            elif row is not None and row.folder and row.folder != str(target):
                settled.relocated.append((series.series_instance_uid, str(target)))

    def _is_unknown_and_whole(self, folder: PurePosixPath, receipt: Receipt, row: StoredSeries | None) -> bool:
        """Whether the series is here whole, and the store does not know that it is anywhere.

        A run that was killed after the rename leaves such a series. The next run would look for it where the layout puts what
        the archive lists by then, which need not be this folder, and would download it again.
        """
        if row is not None and (row.folder or row.state not in {SeriesState.PENDING, SeriesState.FAILED}):
            return False
        return not any(found.kind in DAMAGE for found in compare_contents(folder, receipt, self.library.contents(folder)))

    def _place_for(
        self, folder: PurePosixPath, receipt: Receipt, series: Series, row: StoredSeries | None
    ) -> PurePosixPath | None:
        """Where the series belongs; None for one that stays, of which it is told why, or that is tried again at the end."""
        if row is not None and row.folder not in {"", str(folder)} and holds_series(self.library, row):
            self._leave(folder, f"a second copy: the store's lies in {row.folder}", series)
            return None
        try:
            return self.library.place_for(folder, series, self._promised)
        except LibraryError as error:
            self._blocked.append((folder, receipt, error.what))
            return None

    def _promise(self, folder: PurePosixPath, target: PurePosixPath) -> None:  # noqa: ARG002 - as the move that it stands for
        self._promised.add(target)

    def _leave(self, folder: PurePosixPath, reason: str, series: Series | None = None) -> None:
        series_instance_uid = series.series_instance_uid if series else ""
        self.tally.left.append(LeftFolder(folder=str(folder), series_instance_uid=series_instance_uid, reason=reason))

    def _bring(self, folder: PurePosixPath, target: PurePosixPath, series: Series, move: Move) -> None:
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
        move(folder, target)
        if self.dry_run:
            told = SeriesMove(series_instance_uid=series.series_instance_uid, folder=str(folder), target=str(target))
            self.tally.moves.append(told)
        self._moved.add(mark)
        self.tally.moved += 1

    def _move_papers(self) -> None:
        """Licences follow the series of their collections. Blocks."""
        kept = {self.library.papers_folder(series) for series in self._collections.values()}
        for series in self._collections.values():
            self.library.move_papers(series, kept)


@dataclass(frozen=True, slots=True)
class _Settled:
    """What the store is to learn of a page: series that lie elsewhere now, and series that it did not know to be there."""

    relocated: list[tuple[str, str]] = field(default_factory=list)
    found: list[tuple[Receipt, str]] = field(default_factory=list)


def _described(receipt: Receipt, row: StoredSeries | None) -> Series:
    """The series with what the store knows besides: a layout may name what a resolve has asked for since it was stored."""
    return receipt.series.with_gaps_filled(row.series) if row is not None else receipt.series


def _take_page(folders: Iterator[Folder]) -> Sequence[Folder]:
    return list(islice(folders, SERIES_AT_ONCE))
