"""Async changes of the tree. Implements LibraryChanges."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath

from downloader.library.changes import Change, ChangeRecord, Finished
from downloader.library.local.changes import TreeChanges
from downloader.library.local.threads import LibraryThreads
from downloader.model import Series


class LocalChanges:
    """Runs `changes` in the threads of the library."""

    def __init__(self, changes: TreeChanges, threads: LibraryThreads) -> None:
        self._changes = changes
        self._run = threads.run

    async def plan_quarantine(
        self, folder: PurePosixPath, series_instance_uid: str, label: str, at: datetime, keeper: PurePosixPath | None = None
    ) -> Change:
        """See the port."""
        return await self._run(self._changes.plan_quarantine, folder, series_instance_uid, label, at, keeper)

    async def plan_deletion(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """See the port."""
        return await self._run(self._changes.plan_deletion, folder, series_instance_uid)

    async def plan_doubt(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """See the port."""
        return await self._run(self._changes.plan_doubt, folder, series_instance_uid)

    def plan_move(self, folder: PurePosixPath, series: Series, completed_at: datetime) -> Change | None:
        """See the port."""
        return self._changes.plan_move(folder, series, completed_at)

    async def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """See the port."""
        return await self._run(self._changes.begin, changes)

    async def carry_out(self, change: Change) -> None:
        """See the port."""
        await self._run(self._changes.carry_out, change)

    async def end(self, record: ChangeRecord) -> None:
        """See the port."""
        await self._run(self._changes.end, record)

    async def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """See the port."""
        await self._run(self._changes.keep, record, changes)

    async def unfinished(self) -> Sequence[ChangeRecord]:
        """See the port."""
        return await self._run(self._changes.unfinished)

    async def finish(self, change: Change) -> Finished:
        """See the port."""
        return await self._run(self._changes.finish, change)
