"""Replaces an older folder of a series by a finished one. Raises OSError; see filesystem.py."""

import os
from pathlib import Path, PurePosixPath
from uuid import uuid4

from downloader.library.changes import Change, ChangeKind, ChangeRecord
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.local.filesystem import exchange_folder, remove_folder, swap_folder, sync_folder
from downloader.library.local.hashing import make_quarantine
from downloader.library.names import safe_name
from downloader.model import Receipt

REPLACED_PREFIX = "replaced-"


class Replacement:
    """The replacement of one folder by another.

    If the two can be exchanged atomically, and the older one is deleted afterwards, no record is needed, because there always is
    an intact version in the place. Otherwise the change is recorded first.

    Args:
        finished: the new version, complete and synced, in staging.
        target: the existing older folder.
        receipt: the receipt of the new version.
        keeps_older: the older folder has no valid receipt and goes to quarantine; otherwise it is deleted.
    """

    def __init__(
        self, root: Path, own: Path, journal: ChangeJournal, finished: Path, target: Path, receipt: Receipt, *, keeps_older: bool
    ) -> None:
        self._root = root
        self._own = own
        self._journal = journal
        self._finished = finished
        self._target = target
        self._receipt = receipt
        self._keeps_older = keeps_older
        self._outgoing: Path | None = None
        self._record: ChangeRecord | None = None

    @property
    def quarantined(self) -> PurePosixPath | None:
        """The new path of the older folder, relative to the library; None if it is deleted."""
        return self._relative(self._outgoing) if self._keeps_older and self._outgoing is not None else None

    def make(self) -> None:
        """Put the new folder in place. The older one stays aside until `clear_away`."""
        if self._keeps_older:
            self._begin()
        if not exchange_folder(self._finished, self._target):
            swap_folder(self._finished, self._target, self._outgoing or self._begin())
        elif self._outgoing is not None:
            self._finished.rename(self._outgoing)

    def clear_away(self) -> None:
        """Remove or quarantine the older folder, after the new one and the names that lead to it are durable."""
        if self._outgoing is None:
            remove_folder(self._finished)
            return
        if self._keeps_older:
            sync_folder(self._outgoing.parent)
        else:
            remove_folder(self._outgoing)
        if self._record is not None:
            self._journal.end(self._record)

    def _begin(self) -> Path:
        """Record the change; returns the new path of the older folder."""
        uid = self._receipt.series.series_instance_uid
        if self._keeps_older:
            self._outgoing = make_quarantine(self._own / "quarantine", safe_name(uid), self._receipt.completed_at)
        else:
            self._outgoing = self._own / "staging" / f"{REPLACED_PREFIX}{uuid4().hex}"
        change = Change(
            kind=ChangeKind.REPLACE,
            series_instance_uid=uid,
            folder=self._relative(self._target),
            targets=(self._relative(self._outgoing),),
            keeper=self._relative(self._finished),
            completed_at=self._receipt.completed_at,
        )
        self._record = self._journal.begin([change])
        return self._outgoing

    def _relative(self, path: Path) -> PurePosixPath:
        return PurePosixPath(os.fspath(path.relative_to(self._root)))
