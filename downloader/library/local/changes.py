"""Carries out changes of the tree, and finishes or undoes those of a killed process (docs/decisions/0024)."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from uuid import uuid4

from downloader.errors import LibraryError
from downloader.library.changes import Change, ChangeKind, ChangeRecord, Finished
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.local.filesystem import FileSystemErrors, made_folders, remove_empty_folders, remove_folder, sync_folder
from downloader.library.local.hashing import make_quarantine
from downloader.library.local.moving import find_aside, move_folder
from downloader.library.local.tree import SeriesTree, has_files
from downloader.library.names import safe_name
from downloader.library.receipt import RECEIPT_NAME
from downloader.model import Receipt, Series
from downloader.own_folder import OWN_FOLDER

REMOVED_PREFIX = "removed-"


class TreeChanges:
    """Changes the tree at `root`, as defined by LibraryChanges. Blocks."""

    def __init__(self, root: Path, tree: SeriesTree, journal: ChangeJournal) -> None:
        self._root = root
        self._own = root / OWN_FOLDER
        self._tree = tree
        self._journal = journal
        self._errors = FileSystemErrors(root, place=f"{OWN_FOLDER}/intents")

    def plan_quarantine(
        self, folder: PurePosixPath, series_instance_uid: str, label: str, at: datetime, keeper: PurePosixPath | None = None
    ) -> Change:
        """See the port."""
        with self._errors:
            target = make_quarantine(self._own / "quarantine", safe_name(label), at)
        return self._change(ChangeKind.QUARANTINE, folder, series_instance_uid, target, keeper)

    def plan_deletion(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """See the port."""
        target = self._own / "staging" / f"{REMOVED_PREFIX}{uuid4().hex}"
        return self._change(ChangeKind.DELETE, folder, series_instance_uid, target)

    def plan_doubt(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """See the port."""
        return Change(
            kind=ChangeKind.DOUBT,
            series_instance_uid=series_instance_uid,
            folder=folder,
            completed_at=self._noted_at(folder),
        )

    def plan_move(self, folder: PurePosixPath, series: Series, completed_at: datetime) -> Change | None:
        """See the port."""
        targets = self._tree.places_of(series)
        if folder in targets:
            return None
        return Change(
            kind=ChangeKind.MOVE,
            series_instance_uid=series.series_instance_uid,
            folder=folder,
            targets=targets,
            completed_at=completed_at,
        )

    def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """See the port."""
        with self._errors:
            return self._journal.begin(changes)

    def end(self, record: ChangeRecord) -> None:
        """See the port."""
        with self._errors:
            self._journal.end(record)

    def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """See the port."""
        with self._errors:
            self._journal.keep(record, changes)

    def unfinished(self) -> Sequence[ChangeRecord]:
        """See the port."""
        with self._errors:
            return self._journal.unfinished()

    def carry_out(self, change: Change) -> None:
        """See the port."""
        with FileSystemErrors(self._root, place=str(change.folder), series_instance_uid=change.series_instance_uid):
            match change.kind:
                case ChangeKind.QUARANTINE:
                    self._take_out(change.folder, self._root / change.targets[0])
                case ChangeKind.DELETE:
                    self._delete(change.folder, self._root / change.targets[0])
                case ChangeKind.CLEAR:
                    self._clear(change)
                case ChangeKind.DOUBT:
                    self._tree.set_receipt_aside(change.folder)
                case ChangeKind.MOVE | ChangeKind.REPLACE:
                    raise LibraryError(f"a {change.kind} is not carried out by itself")

    def finish(self, change: Change) -> Finished:
        """See the port."""
        with FileSystemErrors(self._root, place=str(change.folder), series_instance_uid=change.series_instance_uid):
            match change.kind:
                case ChangeKind.REPLACE:
                    return self._finish_replacement(change)
                case ChangeKind.CLEAR:
                    return self._finish_clearing(change)
                case ChangeKind.QUARANTINE:
                    return self._finish_quarantine(change)
                case ChangeKind.DELETE:
                    return self._finish_deletion(change)
                case ChangeKind.MOVE:
                    return self._finish_move(change)
                case ChangeKind.DOUBT:
                    return self._finish_doubt(change)

    def _change(
        self,
        kind: ChangeKind,
        folder: PurePosixPath,
        series_instance_uid: str,
        target: Path,
        keeper: PurePosixPath | None = None,
    ) -> Change:
        targets = (PurePosixPath(target.relative_to(self._root)),)
        return Change(
            kind=kind,
            series_instance_uid=series_instance_uid,
            folder=folder,
            targets=targets,
            keeper=keeper,
            completed_at=self._noted_at(folder),
        )

    def _noted_at(self, folder: PurePosixPath) -> datetime | None:
        """The time in the receipt, for a record. A folder with an unreadable receipt may still be movable."""
        try:
            return self._completed_at(folder)
        except LibraryError:
            return None

    def _completed_at(self, folder: PurePosixPath) -> datetime | None:
        receipt = self._tree.read_receipt(folder)
        return receipt.completed_at if receipt is not None else None

    def _take_out(self, folder: PurePosixPath, target: Path) -> None:
        """Move a folder out of the tree. Folders of other series inside it stay where they are."""
        if not os.path.lexists(self._root / folder):
            return
        with self._tree.taking_out(folder) as leaving:
            if leaving.is_dir() and not leaving.is_symlink() and (_has_content(target) or self._tree.has_series_in(folder)):
                self._take_out_singly(folder, target)
            else:
                leaving.rename(target)
            sync_folder(target.parent)
            sync_folder(leaving.parent)

    def _take_out_singly(self, folder: PurePosixPath, target: Path) -> None:
        source = self._root / folder
        target.mkdir(exist_ok=True)
        # the receipt first: without it, the rest is not taken for a series
        for path in sorted(source.iterdir(), key=lambda path: (path.name != RECEIPT_NAME, path.name)):
            if not self._tree.has_series_at_or_in(folder / path.name):
                path.rename(target / path.name)
        sync_folder(target)
        sync_folder(source)
        remove_empty_folders(source, self._root)

    def _delete(self, folder: PurePosixPath, aside: Path) -> None:
        self._take_out(folder, aside)
        remove_folder(aside)

    def _clear(self, change: Change) -> None:
        """Remove earlier images of a series with a new folder; a folder without a valid receipt goes to quarantine."""
        former = self._root / change.folder
        if not os.path.lexists(former):
            return
        receipt = self._tree.read_receipt(change.folder)
        if receipt is not None:
            if receipt.series.series_instance_uid != change.series_instance_uid:
                raise _something_else(change)
            self._delete(change.folder, self._own / "staging" / f"{REMOVED_PREFIX}{uuid4().hex}")
            return
        doubted = self._tree.doubted_receipt(change.folder)
        is_other = doubted is not None and doubted.series.series_instance_uid != change.series_instance_uid
        if is_other or former.is_symlink() or not former.is_dir() or any(path.is_dir() for path in former.iterdir()):
            raise _something_else(change)
        kept = self._tree.read_receipt(change.keeper) if change.keeper is not None else None
        at = kept.completed_at if kept is not None else datetime.fromtimestamp(former.stat().st_mtime).astimezone()
        self._take_out(change.folder, make_quarantine(self._own / "quarantine", safe_name(change.series_instance_uid), at))

    def _finish_replacement(self, change: Change) -> Finished:
        target, finished, outgoing = self._root / change.folder, self._root / change.stays, self._root / change.targets[0]
        done = Finished(series_instance_uid=change.series_instance_uid)
        if not os.path.lexists(target):
            came = finished if self._is_version(change.stays, change) else outgoing
            if not came.is_dir() or not _has_content(came):
                return done
            with made_folders(target.parent):
                came.rename(target)
            sync_folder(came.parent)
        elif not self._is_version(change.folder, change):
            _remove_if_empty(outgoing)  # it never began
            return done
        if outgoing.parent == self._own / "staging":
            remove_folder(outgoing)
            remove_folder(finished)
        elif finished.is_dir() and not _has_content(outgoing):
            finished.rename(outgoing)  # the two were exchanged
            sync_folder(outgoing.parent)
        return done

    def _finish_clearing(self, change: Change) -> Finished:
        """Remove the former folder only if the new one has an intact newer version; otherwise the next attempt decides."""
        unchanged = Finished(series_instance_uid=change.series_instance_uid)
        kept = self._whole_in(change.stays, change.series_instance_uid)
        former = self._tree.read_receipt(change.folder)
        if kept is None or _is_one(self._root / change.folder, self._root / change.stays):
            return unchanged
        if former is not None and former.completed_at >= kept.completed_at:
            return unchanged
        self._clear(change)
        return Finished(series_instance_uid=change.series_instance_uid, lies_in=change.stays)

    def _finish_quarantine(self, change: Change) -> Finished:
        target = self._root / change.targets[0]
        if change.keeper is None:
            if self._stands(change.folder, target):
                _remove_if_empty(target)
                return Finished(series_instance_uid=change.series_instance_uid)
            self._take_out(change.folder, target)
            return Finished(series_instance_uid=change.series_instance_uid, is_gone=True)
        kept = self._whole_in(change.keeper, change.series_instance_uid)
        at = self._completed_at(change.folder)
        if kept is None or (at is not None and at != change.completed_at and at > kept.completed_at):
            _remove_if_empty(target)  # it would have no content, or a newer version came into the folder since
            return Finished(series_instance_uid=change.series_instance_uid)
        self._take_out(change.folder, target)
        return Finished(series_instance_uid=change.series_instance_uid, lies_in=change.keeper)

    def _finish_deletion(self, change: Change) -> Finished:
        aside = self._root / change.targets[0]
        if self._stands(change.folder, aside):
            remove_folder(aside)
            return Finished(series_instance_uid=change.series_instance_uid)
        self._delete(change.folder, aside)
        return Finished(series_instance_uid=change.series_instance_uid, is_gone=True)

    def _stands(self, folder: PurePosixPath, aside: Path) -> bool:
        """Whether a folder to be removed is still in its place, or a series was stored there since.

        The receipt is removed first (see `_take_out_singly`): a receipt next to removed files belongs to another series or
        version.
        """
        if not os.path.lexists(self._root / folder):
            return False
        return not _has_content(aside) or self._completed_at(folder) is not None

    def _finish_doubt(self, change: Change) -> Finished:
        """A receipt with another time belongs to a newer version, and stays valid."""
        at = self._completed_at(change.folder)
        if at is not None and change.completed_at not in {None, at}:
            return Finished(series_instance_uid=change.series_instance_uid)
        self._tree.set_receipt_aside(change.folder)
        return Finished(series_instance_uid=change.series_instance_uid, is_doubted=True)

    def _finish_move(self, change: Change) -> Finished:
        """The series is where the moved version is intact; its places may have had other copies before."""
        uid = change.series_instance_uid
        for place in (change.folder, *change.targets):
            if self._is_version(place, change):
                return Finished(series_instance_uid=uid, lies_in=None if place == change.folder else place)
        for target in change.targets:
            aside = find_aside(change.folder, target)
            if aside is not None and self._is_version(aside, change) and not os.path.lexists(self._root / target):
                move_folder(self._root, aside, target)
                return Finished(series_instance_uid=uid, lies_in=target)
        return Finished(series_instance_uid=uid)

    def _is_version(self, folder: PurePosixPath, change: Change) -> bool:
        receipt = self._whole_in(folder, change.series_instance_uid)
        return receipt is not None and change.completed_at in {None, receipt.completed_at}

    def _whole_in(self, folder: PurePosixPath, series_instance_uid: str) -> Receipt | None:
        """The receipt in the folder, if it is of this series and all its files exist with their sizes."""
        receipt = self._tree.read_receipt(folder)
        if receipt is None or receipt.series.series_instance_uid != series_instance_uid:
            return None
        return receipt if has_files(self._root / folder, receipt) else None


def _has_content(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not _has_content(folder):
        folder.rmdir()


def _is_one(folder: Path, other: Path) -> bool:
    try:
        return folder.samefile(other)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _something_else(change: Change) -> LibraryError:
    return LibraryError(
        f"{change.folder} in the library contains something else",
        series_instance_uid=change.series_instance_uid,
        next_step="look into it; `tciad verify` tells what it is",
    )
