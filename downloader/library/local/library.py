"""The library on a local file system."""

import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from downloader.config.options import StorageFormat
from downloader.errors import LibraryError
from downloader.library.layout import parse_layout
from downloader.library.local.adopted import AdoptedStaging
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.local.changes import TreeChanges
from downloader.library.local.filesystem import FileSystemErrors, FreeSpace, make_new_folder, remove_folder
from downloader.library.local.finder import LocalFinder
from downloader.library.local.index import LocalIndex
from downloader.library.local.journal import journal_path, salvage
from downloader.library.local.leftovers import LocalLeftovers
from downloader.library.local.library_changes import LocalChanges
from downloader.library.local.maintenance import LocalMaintenance
from downloader.library.local.reader import LocalReader
from downloader.library.local.staging import LocalStaging
from downloader.library.local.staging_names import leave, staging_name, take_over
from downloader.library.local.state import LocalState
from downloader.library.local.threads import LibraryThreads
from downloader.library.local.tree import SeriesTree
from downloader.library.local.zip_staging import ZipStaging
from downloader.library.model import ForeignImage
from downloader.library.sink import Staging
from downloader.model import Receipt, Series
from downloader.own_folder import OWN_FOLDER, has_own_folder, open_own_folder


class LocalLibrary:
    """Implements Library in the folder `root`, which is created if it does not exist. Thread-safe, for one process.

    Args:
        root: the library; tciad's own files are in `<root>/.tciad`.
        layout: the name of a layout, or a template (see layout.py).
        storage: whether to store new series as images or as the archive's ZIP.
        min_free_bytes: the space that tciad leaves free on the file system.
        to_read: only read the library. Nothing is created or tested then, so that it may belong to another user.

    Raises:
        LibraryError: `root` is not a folder, or cannot be written.
        SettingsError: the layout is invalid.
    """

    def __init__(
        self,
        root: Path,
        *,
        layout: str = "classic",
        storage: StorageFormat = StorageFormat.IMAGES,
        min_free_bytes: int = 0,
        to_read: bool = False,
    ) -> None:
        self._root = root.absolute()
        self._free_space = FreeSpace(self._root, min_free_bytes)
        journal = ChangeJournal(self._root)
        self._tree = SeriesTree(self._root, parse_layout(layout), journal)
        threads = LibraryThreads()
        changes = TreeChanges(self._root, self._tree, journal)
        self.reader = LocalReader(self._root, self._tree, threads)
        self.finder = LocalFinder(self._root, self._tree, threads)
        self.changes = LocalChanges(changes, threads)
        self.maintenance = LocalMaintenance(self._root, self._tree, threads)
        self.leftovers = LocalLeftovers(self._root, self._tree, changes, threads)
        self.index = LocalIndex(self._root, self._tree, threads)
        self.state = LocalState(self._root, threads)
        self._storage = storage
        self._staging = self._root / OWN_FOLDER / "staging"
        self._errors = FileSystemErrors(self._root)
        if self._root.exists() and not self._root.is_dir():
            raise LibraryError(f"{root} is not a directory", next_step="choose another directory with --output")
        with self._errors:
            if to_read:
                has_own_folder(self._root)
            else:
                self._make_folders()

    def _make_folders(self) -> None:
        with open_own_folder(self._root, make=True) as own:
            for name in ("staging", "quarantine", "runs"):
                with own.folder(name, make=True):
                    pass
            with tempfile.TemporaryFile(dir=self._staging):
                pass  # existing folders do not show it: only writing shows that they are writable

    def begin(self, series: Series, claim_id: str = "", *, has_original: bool = True) -> Staging:
        """See the port.

        Raises:
            NoSpaceError: the series would leave less than `min_free_bytes`.
        """
        folder, errors = self._place(series, claim_id)
        left = self._staging / staging_name(series.series_instance_uid)
        with errors:
            take_over(left, folder)
            try:
                if self._storage is StorageFormat.ZIP and has_original:
                    return self._begin_zip(series, folder, errors)
                return self._begin_images(series, folder, left, errors)
            except BaseException:
                leave(folder, left)
                raise

    def _begin_images(self, series: Series, folder: Path, left: Path, errors: FileSystemErrors) -> LocalStaging:
        staged = salvage(folder, series)
        staged_bytes = sum(image.size_bytes for image in staged.images.values())
        self._free_space.require(series.series_instance_uid, max(0, (series.file_size_bytes or 0) - staged_bytes))
        return LocalStaging(series, folder, staged, self._tree, self._free_space, errors, left=left)

    def require_room(self, series: Series, needed_bytes: int) -> None:
        """See the port."""
        _, errors = self._place(series)
        with errors:
            self._free_space.require_at_least(series.series_instance_uid, needed_bytes)

    def _begin_zip(self, series: Series, folder: Path, errors: FileSystemErrors) -> ZipStaging:
        # how much smaller than its images the ZIP is, is unknown before
        self._free_space.require(series.series_instance_uid, series.file_size_bytes or 0)
        journal_path(folder).unlink(missing_ok=True)
        make_new_folder(folder)
        return ZipStaging(series, folder, self._tree, self._free_space, errors)

    def _place(self, series: Series, claim_id: str = "") -> tuple[Path, FileSystemErrors]:
        """The folder of a claim of the series in staging, and the error context for it."""
        name = staging_name(series.series_instance_uid, claim_id)
        place = f"{OWN_FOLDER}/staging/{name}"
        return self._staging / name, FileSystemErrors(self._root, place=place, series_instance_uid=series.series_instance_uid)

    def adopt(self, series: Series, images: Sequence[ForeignImage], *, link: bool) -> AdoptedStaging:
        """See the port."""
        folder, errors = self._place(series)
        self.drop_staged(series)
        return AdoptedStaging(folder, images, self._tree, self._free_space, errors, link=link)

    def folder_of(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.folder_of(series)

    def find_receipt(self, series: Series) -> Receipt | None:
        """See the port."""
        with self._errors:
            return self._tree.find_receipt(series)

    def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """See the port."""
        self._tree.rewrite_receipt(folder, receipt)

    def best_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.best_folder(series)

    def make_durable(self, folder: PurePosixPath) -> None:
        """See the port."""
        with FileSystemErrors(self._root, place=str(folder)):
            self._tree.make_durable(folder)

    def drop_staged(self, series: Series) -> None:
        """See the port."""
        folder = self._staging / staging_name(series.series_instance_uid)
        with self._errors:
            journal_path(folder).unlink(missing_ok=True)
            remove_folder(folder)
