"""Moves finished folders into the library's tree, and finds them there."""

import os
import stat
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from downloader.errors import DamagedReceiptError, OccupiedFolderError
from downloader.library.layout import Layout, collection_folders
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.local.filesystem import (
    FileSystemErrors,
    made_folders,
    put_file,
    remove_empty_folders,
    sync_folder,
    write_new,
)
from downloader.library.local.moving import MOVING_MARK, choose_place, move_paper
from downloader.library.local.nested_folders import holds_series, is_or_holds_series, is_series
from downloader.library.local.replacing import Replacement
from downloader.library.local.walking import TreeWalk
from downloader.library.model import SeriesLocation
from downloader.library.receipt import DOUBTED_NAME, RECEIPT_NAME, decode_receipt, encode_receipt, read_receipt_file
from downloader.library.state.metadata_csv import OVERDUE_NAME, Overdue
from downloader.model import Receipt, Series
from downloader.own_folder import OWN_FOLDER

LICENSE_NAME = "LICENSE"
COLLECTION_PAPERS = (LICENSE_NAME,)
_FOLDERS_AT_ONCE = 32
_REMEMBERED_FOLDERS = 1024


class SeriesTree:
    """The tree of series folders under `root`, arranged by `layout`.

    Only one thread at a time changes it, so that two series with the same folder notice each other.
    """

    def __init__(self, root: Path, layout: Layout, journal: ChangeJournal | None = None) -> None:
        self._root = root
        self._journal = journal or ChangeJournal(root)
        self._layout = layout
        self._changing = threading.Lock()
        self._on_disk: dict[PurePosixPath, None] = {}
        self._licensed: set[str] = set()
        self.overdue = Overdue(root / OWN_FOLDER / OVERDUE_NAME)

    def folder_of(self, series: Series) -> PurePosixPath:
        """The folder of the series, otherwise the best free folder."""
        return self._choose(self._layout.folders(series), series)

    def find_receipt(self, series: Series) -> Receipt | None:
        """See the port."""
        for folder in self._layout.folders(series):
            receipt = self.read_receipt(folder)
            if receipt is not None and _is_of(receipt, series) and has_files(self._root / folder, receipt):
                return receipt
        return None

    def find_moved(self, series: Series, noted: PurePosixPath) -> tuple[PurePosixPath, Receipt] | None:
        """See the port."""
        planned = self._layout.folders(series)
        aside = [folder.with_name(f"{folder.name}{MOVING_MARK}") for folder in dict.fromkeys((noted, *planned))]
        for folder in (*planned, *aside):
            receipt = self.read_receipt(folder)
            if receipt is not None and _is_of(receipt, series) and has_files(self._root / folder, receipt):
                return folder, receipt
        return None

    def folders(self) -> Iterator[tuple[PurePosixPath, Receipt | DamagedReceiptError]]:
        """See the port."""
        walk = TreeWalk(self._root, with_contents=False)
        while found := walk.take(_FOLDERS_AT_ONCE):
            for one in found:
                yield one.folder, one.receipt

    def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """See the port."""
        errors = FileSystemErrors(self._root, place=str(folder))
        with errors:
            try:
                return read_receipt_file(self._root / folder / RECEIPT_NAME)
            except PermissionError as error:
                # a foreign folder in the place of this series does not affect others
                denied = errors.translated(error)
                raise OccupiedFolderError(denied.what, next_step=denied.next_step) from error

    def read_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt in a folder; None if there is no valid one."""
        try:
            return self.receipt_in(folder)
        except DamagedReceiptError:
            return None

    def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """See the port."""
        place = self._root / folder / RECEIPT_NAME
        with FileSystemErrors(self._root, place=str(folder / RECEIPT_NAME)):
            descriptor, name = tempfile.mkstemp(prefix="receipt-", dir=self._root / OWN_FOLDER / "staging")
            os.close(descriptor)
            temporary = Path(name)
            try:
                temporary.write_bytes(encode_receipt(receipt))
                temporary.chmod(place.stat().st_mode & 0o777)
                put_file(temporary, place)
            finally:
                temporary.unlink(missing_ok=True)

    def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """The invalidated receipt in a folder; None if there is no readable one."""
        try:
            return decode_receipt((self._root / folder / DOUBTED_NAME).read_bytes())
        except (FileNotFoundError, NotADirectoryError, DamagedReceiptError):
            return None

    def set_receipt_aside(self, folder: PurePosixPath) -> None:
        """Invalidate the receipt in a folder with damaged images, by renaming it; durable."""
        path = self._root / folder
        with self._changing:
            try:
                (path / RECEIPT_NAME).replace(path / DOUBTED_NAME)
            except (FileNotFoundError, NotADirectoryError):
                return
            sync_folder(path)

    def has_series_in(self, folder: PurePosixPath) -> bool:
        """Whether the folder contains the folder of a series at any depth."""
        return holds_series(self._root / folder)

    def has_series_at_or_in(self, folder: PurePosixPath) -> bool:
        """Whether this is the folder of a series, or contains one at any depth."""
        return is_or_holds_series(self._root / folder)

    def put(self, finished: Path, receipt: Receipt, license_text: bytes | None) -> SeriesLocation:
        """Rename a finished and synced folder into the tree; `finished` no longer exists afterwards.

        Raises:
            OSError: see filesystem.py.
            OccupiedFolderError: something else is in the place of the series.
        """
        with self._changing:
            if not self.overdue.is_set:
                self.overdue.set()
            folders = self._layout.folders(receipt.series)
            folder = self._choose(folders, receipt.series)
            target = self._root / folder
            self._refuse_nesting(folder, receipt.series)
            replacement = self._replacement(finished, target, receipt) if os.path.lexists(target) else None
            with made_folders(target.parent, self._unsure_above(folder)):
                if receipt.series.collection not in self._licensed:
                    self._put_license(finished.parent, receipt.series, license_text)
                if replacement is not None:
                    replacement.make()
                else:
                    os.rename(finished, target)  # noqa: PTH104 - for each series
            self._remember(folder.parents)
        if replacement is None:
            return SeriesLocation(folder=folder, stepped_aside=folder != folders[0])
        replacement.clear_away()
        return SeriesLocation(folder=folder, stepped_aside=folder != folders[0], quarantined=replacement.quarantined)

    def make_durable(self, folder: PurePosixPath) -> None:
        """See the port."""
        with self._changing:
            self.overdue.set()
            for path in dict.fromkeys([self._root / folder.parent, *self._unsure_above(folder)]):
                sync_folder(path)
            self._remember(folder.parents)

    @contextmanager
    def taking_out(self, path: PurePosixPath) -> Iterator[Path]:
        """A context in which the content of `path` is removed from the tree. Empty folders are removed afterwards.

        No series is added meanwhile, because its new folder may be one of them.
        """
        with self._changing:
            self.overdue.set()
            self._licensed.clear()
            yield self._root / path
            if path.parts[0] != OWN_FOLDER:
                remove_empty_folders(self._root / path.parent, self._root)

    def place_for(self, folder: PurePosixPath, series: Series, taken: Collection[PurePosixPath] = ()) -> PurePosixPath:
        """See the port."""
        return choose_place(self._root, folder, self._layout.folders(series), taken)

    def places_of(self, series: Series) -> tuple[PurePosixPath, ...]:
        """All places that the layout may give the series, best first."""
        return self._layout.folders(series)

    def best_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._layout.folders(series)[0]

    def move_papers(self, series: Series, others: Collection[PurePosixPath]) -> None:
        """See the port."""
        new = self._layout.collection_folder(series)
        self._licensed.clear()
        for old in collection_folders(series):
            if old != new and old not in others:
                for name in COLLECTION_PAPERS:
                    move_paper(self._root, name, old, new)

    def papers_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._layout.collection_folder(series)

    def _choose(self, folders: Sequence[PurePosixPath], series: Series) -> PurePosixPath:
        *shared, own = folders
        if not shared:
            return own
        for folder in (*shared, own):
            if self._holds(folder, series):
                return folder
        return next((folder for folder in shared if not os.path.lexists(self._root / folder)), own)

    def _holds(self, folder: PurePosixPath, series: Series) -> bool:
        receipt = self.read_receipt(folder) or self.doubted_receipt(folder)
        return receipt is not None and _is_of(receipt, series)

    def _unsure_above(self, folder: PurePosixPath) -> list[Path]:
        """The parent folders of this one whose names may not be durable: a run can die before it syncs them."""
        return [self._root / path.parent for path in folder.parents if path.parts and path not in self._on_disk]

    def _remember(self, folders: Sequence[PurePosixPath]) -> None:
        """Remember that the names of these folders are durable; only the latest are remembered."""
        for folder in folders:
            self._on_disk.pop(folder, None)
            self._on_disk[folder] = None
        while len(self._on_disk) > _REMEMBERED_FOLDERS:
            del self._on_disk[next(iter(self._on_disk))]

    def _refuse_nesting(self, folder: PurePosixPath, series: Series) -> None:
        """Raise OccupiedFolderError if the folder would be inside the folder of another series."""
        for above in folder.parents:
            if above.parts and above not in self._on_disk and is_series(self._root / above):
                raise OccupiedFolderError(
                    f"{above} in the library is the folder of a series, and {folder} would be inside it",
                    series_instance_uid=series.series_instance_uid,
                    next_step="move all series to one layout with `tciad relayout`, or choose another layout",
                )

    def _replacement(self, finished: Path, target: Path, receipt: Receipt) -> Replacement:
        """Prepare the replacement of a folder of this very series: not of a file, a folder with subfolders, or another series.

        A folder without a valid receipt is kept in quarantine.
        """
        place = PurePosixPath(target.relative_to(self._root))
        older, doubted = self.read_receipt(place), self.doubted_receipt(place)
        told = older or doubted
        is_other = told is not None and not _is_of(told, receipt.series)
        may_hold_folders = older is None and doubted is not None and not self.has_series_in(place)
        if is_other or not target.is_dir() or not (may_hold_folders or not any(path.is_dir() for path in target.iterdir())):
            raise OccupiedFolderError(
                f"{place} in the library is in the way: it is not this series",
                series_instance_uid=receipt.series.series_instance_uid,
                next_step="move it elsewhere, or choose another directory",
            )
        own = self._root / OWN_FOLDER
        return Replacement(self._root, own, self._journal, finished, target, receipt, keeps_older=older is None)

    def _put_license(self, staging: Path, series: Series, license_text: bytes | None) -> None:
        """Write the licence of the collection, if it does not exist yet."""
        target = self._root / self._layout.collection_folder(series) / LICENSE_NAME
        content = license_text or _license_of(series)
        if not content:
            return
        if not os.path.lexists(target):
            temporary = staging / f"{LICENSE_NAME}.new"
            temporary.unlink(missing_ok=True)
            write_new(temporary, content)
            with made_folders(target.parent):
                put_file(temporary, target)
        # looked for once in a process; what removes or moves folders lets it be looked for again
        self._licensed.add(series.collection)


def has_files(folder: Path, receipt: Receipt) -> bool:
    """Whether every file of the receipt is in the folder, with its size. The content is not read."""
    for name, size_bytes in receipt.file_sizes.items():
        try:
            status = (folder / name).stat()
        except FileNotFoundError:
            return False
        if status.st_size != size_bytes or not stat.S_ISREG(status.st_mode):
            return False
    return True


def _is_of(receipt: Receipt, series: Series) -> bool:
    return receipt.series.series_instance_uid == series.series_instance_uid


def _license_of(series: Series) -> bytes:
    lines = [line for line in (series.license_name, series.license_uri) if line]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
