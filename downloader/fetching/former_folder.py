"""Removes what an earlier time stored of a series whose folder has another name now: the archive has moved it since."""

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
    """The folder that the store has for a claimed series, where the series is about to get another one.

    The record stands from before the series is fetched until the former folder is gone: a kill at any moment, or a folder that
    cannot be removed now, leaves one folder once a later start has looked.
    """

    def __init__(self, claim: Claim, context: AttemptContext) -> None:
        self._uid = claim.series.series_instance_uid
        self._former = PurePosixPath(claim.folder)
        self._context = context
        self._record: ChangeRecord | None = None
        self._keeper: PurePosixPath | None = None

    async def foresee(self, claim: Claim) -> None:
        """Write down where the series will lie, if that is not where it lies now."""
        await self._write_down(await self._context.library.finder.folder_of(claim.series))

    async def clear(self, place: SeriesLocation) -> None:
        """Remove the former folder. To be called once the store knows the new one.

        Two names may lead to one folder, and that holds what was stored just now.
        """
        await self._write_down(place.folder)
        if self._record is None:
            return
        context = self._context
        try:
            if not await context.library.reader.is_one_folder(self._former, place.folder):
                await context.library.changes.carry_out(self._record.changes[0])
        except LibraryError as error:
            # the record stays, so that the next start finishes what cannot be done now
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
    """The former folder of a claimed series that has one, with a record while this lasts where the series gets another one.

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
