"""Changes of a library in memory: recorded, carried out at once, and finished as by the next start."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from uuid import uuid4

from downloader.errors import LibraryError
from downloader.library.changes import Change, ChangeKind, ChangeRecord, Finished
from downloader.model import Series
from tests.fakes.memory_tree import MemoryTree


class MemoryChanges:
    """Implements LibraryChanges for `tree`, in which each change is atomic."""

    def __init__(self, tree: MemoryTree) -> None:
        self._tree = tree
        self._records: dict[str, ChangeRecord] = {}

    async def plan_quarantine(
        self, folder: PurePosixPath, series_instance_uid: str, label: str, at: datetime, keeper: PurePosixPath | None = None
    ) -> Change:
        """See the port."""
        target = self._tree.quarantine_place(label, at)
        planned = self._change(ChangeKind.QUARANTINE, folder, series_instance_uid)
        return replace(planned, targets=(target,), keeper=keeper)

    async def plan_deletion(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """See the port."""
        target = PurePosixPath(f".tciad/staging/removed-{uuid4().hex}")
        return replace(self._change(ChangeKind.DELETE, folder, series_instance_uid), targets=(target,))

    async def plan_doubt(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """See the port."""
        return self._change(ChangeKind.DOUBT, folder, series_instance_uid)

    def plan_move(self, folder: PurePosixPath, series: Series, completed_at: datetime) -> Change | None:
        """See the port."""
        targets = self._tree.layout.folders(series)
        if folder in targets:
            return None
        planned = self._change(ChangeKind.MOVE, folder, series.series_instance_uid)
        return replace(planned, targets=targets, completed_at=completed_at)

    async def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """See the port."""
        record = ChangeRecord(name=uuid4().hex, changes=tuple(changes))
        self._records[record.name] = record
        return record

    async def carry_out(self, change: Change) -> None:
        """See the port."""
        folder = self._tree.folders.get(change.folder)
        if folder is None:
            return
        match change.kind:
            case ChangeKind.QUARANTINE:
                self._tree.rename(change.folder, change.targets[0])
            case ChangeKind.DELETE | ChangeKind.CLEAR:
                if folder.receipt is not None and not folder.is_of(change.series_instance_uid):
                    raise LibraryError(
                        f"{change.folder} in the library contains something else", series_instance_uid=change.series_instance_uid
                    )
                del self._tree.folders[change.folder]
                self._tree.index.is_due = True
            case ChangeKind.DOUBT:
                folder.doubted, folder.receipt = folder.sound_receipt or folder.doubted, None
            case ChangeKind.MOVE | ChangeKind.REPLACE:
                raise LibraryError(f"a {change.kind} is not carried out by itself")

    async def end(self, record: ChangeRecord) -> None:
        """See the port."""
        self._records.pop(record.name, None)

    async def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """See the port."""
        self._records[record.name] = replace(record, changes=tuple(changes))

    async def unfinished(self) -> Sequence[ChangeRecord]:
        """See the port."""
        return list(self._records.values())

    async def finish(self, change: Change) -> Finished:
        """See the port."""
        unchanged = Finished(series_instance_uid=change.series_instance_uid)
        is_there = change.folder in self._tree.folders
        match change.kind:
            case ChangeKind.REPLACE:
                return unchanged
            case ChangeKind.QUARANTINE if change.keeper is not None:
                await self.carry_out(change)
                return replace(unchanged, lies_in=change.keeper)
            case ChangeKind.QUARANTINE | ChangeKind.DELETE:
                return unchanged if is_there else replace(unchanged, is_gone=True)
            case ChangeKind.CLEAR:
                if self._tree.find([change.stays], change.series_instance_uid) is None:
                    return unchanged
                await self.carry_out(change)
                return replace(unchanged, lies_in=change.stays)
            case ChangeKind.DOUBT:
                await self.carry_out(change)
                return replace(unchanged, is_doubted=True)
            case ChangeKind.MOVE:
                found = self._tree.find([change.folder, *change.targets], change.series_instance_uid)
                return unchanged if found is None or found[0] == change.folder else replace(unchanged, lies_in=found[0])

    def _change(self, kind: ChangeKind, folder: PurePosixPath, series_instance_uid: str) -> Change:
        found = self._tree.folders.get(folder)
        receipt = found.sound_receipt if found is not None else None
        return Change(
            kind=kind,
            series_instance_uid=series_instance_uid,
            folder=folder,
            completed_at=receipt.completed_at if receipt is not None else None,
        )
