"""Removes the previous folder of a series whose folder has a new name, for example because its patient changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import PurePosixPath

import structlog
from anyio import CancelScope

from downloader.errors import LibraryError
from downloader.fetching.context import AttemptContext
from downloader.library.changes import Change, ChangeKind, ChangeRecord
from downloader.library.model import SeriesLocation
from downloader.model import Claim

_log = structlog.get_logger(__name__)


class FormerFolder:
    """The folder that the store has for a claimed series, if the series will get another one.

    A change record exists from before the fetch until the former folder is removed: after a kill, or if the folder cannot be
    removed now, a later start removes it.
    """

    def __init__(self, claim: Claim, context: AttemptContext) -> None:
        self._uid = claim.series.series_instance_uid
        self._former = PurePosixPath(claim.folder)
        self._context = context
        self._record: ChangeRecord | None = None
        self._keeper: PurePosixPath | None = None

    async def foresee(self, claim: Claim) -> None:
        """Record the future folder of the series, if it differs from the current one."""
        await self._write_down(await self._context.library.finder.folder_of(claim.series))

    async def clear(self, place: SeriesLocation) -> None:
        """Remove the former folder. Call it after the store has the new one.

        Two names may lead to the same folder, which then contains the new images.
        """
        await self._write_down(place.folder)
        if self._record is None:
            return
        context = self._context
        try:
            if not await context.library.reader.is_one_folder(self._former, place.folder):
                await context.library.changes.carry_out(self._record.changes[0])
        except LibraryError as error:
            # the record stays, so that the next start removes the folder
            self._record = None
            _log.warning("former folder not removed", series_instance_uid=self._uid, message=str(error))

    async def forget(self) -> None:
        """Remove the record, if there is one."""
        if self._record is not None:
            record, self._record = self._record, None
            await self._context.library.changes.end(record)

    async def _write_down(self, keeper: PurePosixPath) -> None:
        if keeper == self._keeper:
            return
        await self.forget()
        self._keeper = keeper
        if keeper.is_relative_to(self._former):
            return
        change = Change(kind=ChangeKind.CLEAR, series_instance_uid=self._uid, folder=self._former, keeper=keeper)
        self._record = await self._context.library.changes.begin([change])


@asynccontextmanager
async def watch_former(claim: Claim, context: AttemptContext) -> AsyncIterator[FormerFolder]:
    """The former folder of a claimed series that has one, with a change record within the context if the folder changes.

    Raises:
        LibraryError: the record cannot be written.
    """
    former = FormerFolder(claim, context)
    try:
        await former.foresee(claim)
        yield former
    finally:
        with CancelScope(shield=True):
            await former.forget()
