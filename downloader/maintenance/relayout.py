"""Moves a library to another layout, series by series, without requests to archives.

Each series is moved by a rename and then updated in the store, in pages that share one change record. A kill leaves every series
intact in one of the two folders; the next start updates the store, and a second call continues.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

import anyio

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.changes import ChangeRecord
from downloader.library.model import FolderMove
from downloader.library.port import LibraryParts
from downloader.maintenance.comparison import compare_contents
from downloader.maintenance.verification import holds_series
from downloader.model import Receipt, Series, SeriesState
from downloader.results.findings import DAMAGE
from downloader.results.relayout import LeftFolder, RelayoutTally, SeriesMove, SharedFolder
from downloader.store.port import Corrections, FolderIndex
from downloader.store.records import StoredSeries

SERIES_AT_ONCE: Final = 250
Folder = tuple[PurePosixPath, Receipt | DamagedReceiptError]


@dataclass(slots=True)
class Relayout:
    """Moves the series of one library to the folders of its layout.

    Args:
        library: the library with the new layout; locked, except in a dry run.
        store: knows the folders of the series.
        corrections: receives the new folders; None in a dry run, which only counts the moves.
        advance: called with the number of series that were checked.
    """

    library: LibraryParts
    store: FolderIndex
    corrections: Corrections | None
    advance: Callable[[int], None]
    tally: RelayoutTally = field(default_factory=RelayoutTally)
    _collections: dict[str, Series] = field(default_factory=dict)
    _moved: set[int] = field(default_factory=set)
    _promised: set[PurePosixPath] = field(default_factory=set)
    _blocked: list[tuple[PurePosixPath, Receipt, str]] = field(default_factory=list)

    async def move_all(self) -> None:
        """Move every series that is not in the folder of the layout, then the files next to them.

        Raises:
            LibraryError: a folder cannot be read or moved; earlier moves are recorded in the store.
            StoreError: the store cannot be used.
        """
        walk = self.library.reader.walk(with_contents=False)
        while page := await walk.take(SERIES_AT_ONCE):
            await self._move_page([(found.folder, found.receipt) for found in page])
            self.advance(len(page))
        await self._move_blocked()
        if self.corrections is not None:
            await self.library.maintenance.move_papers(list(self._collections.values()))

    async def _move_blocked(self) -> None:
        """Retry moves whose target was occupied, as long as other moves free targets; report the rest."""
        moved_before = -1
        while self._blocked and self.corrections is not None and self.tally.moved != moved_before:
            moved_before = self.tally.moved
            again, self._blocked = [(folder, receipt) for folder, receipt, _ in self._blocked], []
            for first in range(0, len(again), SERIES_AT_ONCE):
                await self._move_page(again[first : first + SERIES_AT_ONCE])
        for folder, receipt, reason in self._blocked:
            self._leave(folder, reason, receipt.series)

    async def _move_page(self, page: Sequence[Folder]) -> None:
        """Move some series under one change record, and record their folders in the store."""
        candidates = await self._choose(page)
        record = await self._write_down(candidates)
        # shielded: a move that was carried out must be recorded in the store
        with anyio.CancelScope(shield=True):
            moves = [FolderMove(folder=one.folder, series=one.series) for one in candidates]
            if self.corrections is None:
                moved = await self.library.maintenance.choose_places(moves, self._promised)
            else:
                moved = await self.library.maintenance.move(moves)
            settled = self._count(candidates, moved.results)
            await self._update_store(settled)
            if moved.failure is not None:
                raise moved.failure
            if record is not None:
                await self.library.changes.end(record)

    async def _choose(self, page: Sequence[Folder]) -> Sequence["_Candidate"]:
        """The series of a page that may be moved, with their rows in the store; the others are reported."""
        found = [(folder, receipt) for folder, receipt in page if isinstance(receipt, Receipt)]
        named = await self.store.find_named([receipt.series.series_instance_uid for _, receipt in found])
        rows = {row.series.series_instance_uid: row for row in named}
        candidates = []
        for folder, receipt in page:
            if isinstance(receipt, DamagedReceiptError):
                self._leave(folder, receipt.what)
                continue
            row = rows.get(receipt.series.series_instance_uid)
            series = _described(receipt, row)
            if row is not None and row.folder not in {"", str(folder)} and await holds_series(self.library.reader, row):
                self._leave(folder, f"a second copy: the store uses the one in {row.folder}", series)
                continue
            is_new = await self._is_unknown_and_whole(folder, receipt, row)
            candidates.append(_Candidate(folder=folder, receipt=receipt, series=series, row=row, is_new=is_new))
        return candidates

    async def _update_store(self, settled: "_Settled") -> None:
        """Record new folders in the store, and series that the store did not have."""
        if self.corrections is None:
            return
        if settled.relocated:
            await self.corrections.relocate(settled.relocated)
        if settled.found:
            await self.corrections.restore(settled.found)

    async def _write_down(self, candidates: Sequence["_Candidate"]) -> ChangeRecord | None:
        """The change record of the planned moves; None if there are none."""
        if self.corrections is None:
            return None
        plan = self.library.changes.plan_move
        planned = [plan(one.folder, one.series, one.receipt.completed_at) for one in candidates]
        changes = [change for change in planned if change is not None]
        return await self.library.changes.begin(changes) if changes else None

    def _count(self, candidates: Sequence["_Candidate"], results: Sequence[PurePosixPath | LibraryError]) -> "_Settled":
        """Count the results, and return what the store must record; after a failure there are fewer results than candidates."""
        settled = _Settled()
        for one, target in zip(candidates, results, strict=False):
            if isinstance(target, LibraryError):
                self._blocked.append((one.folder, one.receipt, target.what))
                continue
            self._collections.setdefault(one.series.collection, one.series)
            self._note(one, target)
            if one.is_new:
                settled.found.append((one.receipt, str(target)))
            elif one.row is not None and one.row.folder and one.row.folder != str(target):
                settled.relocated.append((one.series.series_instance_uid, str(target)))
        return settled

    async def _is_unknown_and_whole(self, folder: PurePosixPath, receipt: Receipt, row: StoredSeries | None) -> bool:
        """Whether the series is intact here, and the store has no folder of it.

        A run that was killed after the rename leaves such a series. The next run would look for it in the folder for its current
        catalogue row, which may be another one, and would download it again.
        """
        if row is not None and (row.folder or row.state not in {SeriesState.PENDING, SeriesState.FAILED}):
            return False
        contents = await self.library.reader.contents(folder)
        return not any(found.kind in DAMAGE for found in compare_contents(folder, receipt, contents))

    def _leave(self, folder: PurePosixPath, reason: str, series: Series | None = None) -> None:
        series_instance_uid = series.series_instance_uid if series else ""
        self.tally.left.append(LeftFolder(folder=str(folder), series_instance_uid=series_instance_uid, reason=reason))

    def _note(self, one: "_Candidate", target: PurePosixPath) -> None:
        """Count the folder of one series, or its target in a dry run."""
        uid = one.series.series_instance_uid
        mark = hash(uid)
        if target == one.folder:
            # the walk may reach series again that were moved into folders that it had not read yet
            self.tally.in_place += mark not in self._moved
            return
        best = self.library.maintenance.best_folder(one.series)
        if target != best:
            self.tally.shared.append(SharedFolder(series_instance_uid=uid, folder=str(target), instead_of=str(best)))
        if self.corrections is None:
            self._promised.add(target)
            self.tally.moves.append(SeriesMove(series_instance_uid=uid, folder=str(one.folder), target=str(target)))
        self._moved.add(mark)
        self.tally.moved += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A series that may be moved. `is_new`: it is intact, and the store has no folder of it."""

    folder: PurePosixPath
    receipt: Receipt
    series: Series
    row: StoredSeries | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Settled:
    """Updates of the store for one page: series with a new folder, and series that the store did not have."""

    relocated: list[tuple[str, str]] = field(default_factory=list)
    found: list[tuple[Receipt, str]] = field(default_factory=list)


def _described(receipt: Receipt, row: StoredSeries | None) -> Series:
    """The series with empty attributes filled from the store's row: a layout may use attributes that a later resolve fetched."""
    return receipt.series.with_gaps_filled(row.series) if row is not None else receipt.series
