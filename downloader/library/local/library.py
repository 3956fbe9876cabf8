"""The library on a file system of this machine."""

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath

from downloader.config.options import StorageFormat
from downloader.errors import DamagedReceiptError, LibraryError, TciadError
from downloader.library.layout import parse_layout
from downloader.library.local.adopted import AdoptedStaging
from downloader.library.local.change_journal import ChangeJournal
from downloader.library.local.changes import TreeChanges
from downloader.library.local.errors import LibraryFaults
from downloader.library.local.filesystem import make_new_folder, put_file, remove_folder
from downloader.library.local.free_space import FreeSpace
from downloader.library.local.hashing import hash_file, list_folder, set_aside
from downloader.library.local.journal import JOURNAL_SUFFIX, journal_path, read_series
from downloader.library.local.memory_staging import HeldSeries, may_be_held
from downloader.library.local.moving import MoveBatch
from downloader.library.local.presence import count_table, look_for_receipts
from downloader.library.local.recovery import salvage
from downloader.library.local.staging import LocalStaging
from downloader.library.local.stored_zip import StoredZipFile
from downloader.library.local.tree import SeriesTree, has_files
from downloader.library.local.walking import TreeWalk
from downloader.library.local.zip_members import LONGEST_TEXT_BYTES
from downloader.library.local.zip_staging import ZipStaging
from downloader.library.model import Citation, ForeignImage, KeptDescription, ReceiptLook, SeriesLocation, StagedFolder
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.library.safe_names import safe_name
from downloader.library.sink import Staging
from downloader.library.state.citations import CITATION_NAME, write_citations
from downloader.library.state.descriptions import read_descriptions, write_descriptions
from downloader.library.state.metadata_csv import METADATA_NAME, MetadataFile
from downloader.model import Receipt, Series
from downloader.own_folder import OWN_FOLDER, has_own_folder, open_own_folder
from downloader.zipstream import ZipLimits


class LocalLibrary:
    """Implements Library in the folder `root`, which is made if need be. For any number of threads, but one process.

    Args:
        root: the library; tciad's own things are in `<root>/.tciad`.
        layout: the name of a layout, or a template (see layout.py).
        storage: whether new series are kept as images or as the ZIP that the archive sends.
        min_free_bytes: what tciad leaves free on the file system.
        to_read: whether the library is only read. Nothing is made or tried then, so that its owner need not be this user.

    Raises:
        LibraryError: `root` is no folder, or cannot be written.
        SettingsError: the layout is none.
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
        self.changes = TreeChanges(self._root, self._tree, journal)
        self._storage = storage
        self._staging = self._root / OWN_FOLDER / "staging"
        self._faults = LibraryFaults(self._root)
        if self._root.exists() and not self._root.is_dir():
            raise LibraryError(f"{root} is not a directory", next_step="choose another directory with --output")
        with self._faults:
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
                pass  # folders that are there say nothing: only writing shows that it can be done

    def begin(self, series: Series) -> Staging:
        """See the port.

        Raises:
            NoSpaceError: the series would leave less than `min_free_bytes`.
        """
        folder, faults = self._place(series)
        if self._storage is StorageFormat.ZIP:
            return self._begin_zip(series, folder, faults)
        with faults:
            staged = salvage(folder, series)
            staged_bytes = sum(image.size_bytes for image in staged.images.values())
            self._free_space.require(series.series_instance_uid, max(0, (series.file_size_bytes or 0) - staged_bytes))
        return LocalStaging(series, folder, staged, self._tree, self._free_space, faults)

    def require_room(self, series: Series, needed_bytes: int) -> None:
        """See the port."""
        _, faults = self._place(series)
        with faults:
            self._free_space.require_at_least(series.series_instance_uid, needed_bytes)

    def _begin_zip(self, series: Series, folder: Path, faults: LibraryFaults) -> ZipStaging:
        with faults:
            # how far the ZIP is smaller than its images, nobody knows before
            self._free_space.require(series.series_instance_uid, series.file_size_bytes or 0)
            journal_path(folder).unlink(missing_ok=True)
            make_new_folder(folder)
            return ZipStaging(series, folder, self._tree, self._free_space, faults)

    def _place(self, series: Series) -> tuple[Path, LibraryFaults]:
        """The folder of the series in staging, and what its faults are called."""
        name = safe_name(series.series_instance_uid)
        place = f"{OWN_FOLDER}/staging/{name}"
        return self._staging / name, LibraryFaults(self._root, place=place, series_instance_uid=series.series_instance_uid)

    def hold(self, series: Series) -> HeldSeries | None:
        """See the port."""
        if self._storage is StorageFormat.ZIP or not may_be_held(series):
            return None
        folder, faults = self._place(series)
        return HeldSeries(series, folder, self._tree, self._free_space, faults)

    def adopt(self, series: Series, images: Sequence[ForeignImage], *, link: bool) -> AdoptedStaging:
        """See the port."""
        folder, faults = self._place(series)
        self.drop_staged(series)
        return AdoptedStaging(folder, images, self._tree, self._free_space, faults, link=link)

    def folder_of(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.folder_of(series)

    def find_receipt(self, series: Series) -> Receipt | None:
        """See the port."""
        with self._faults:
            return self._tree.find_receipt(series)

    def find_moved(self, series: Series, noted: PurePosixPath) -> tuple[PurePosixPath, Receipt] | None:
        """See the port."""
        with self._faults:
            return self._tree.find_moved(series, noted)

    def look_for_receipts(self, folders: Sequence[str]) -> ReceiptLook:
        """See the port."""
        with self._faults:
            return look_for_receipts(self._root, folders)

    def listed_series(self) -> int | None:
        """See the port."""
        with self._faults:
            return count_table(self._root)

    def receipts(self) -> Iterator[tuple[PurePosixPath, Receipt]]:
        """See the port."""
        return self._tree.receipts()

    def folders(self) -> Iterator[tuple[PurePosixPath, Receipt | DamagedReceiptError]]:
        """See the port."""
        return self._tree.folders()

    def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """See the port."""
        return self._tree.receipt_in(folder)

    def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder)):
            return self._tree.doubted_receipt(folder)

    def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder / RECEIPT_NAME)):
            descriptor, name = tempfile.mkstemp(prefix="receipt-", dir=self._staging)
            os.close(descriptor)
            temporary = Path(name)
            try:
                temporary.write_bytes(encode_receipt(receipt))
                temporary.chmod((self._root / folder / RECEIPT_NAME).stat().st_mode & 0o777)
                put_file(temporary, self._root / folder / RECEIPT_NAME)
            finally:
                temporary.unlink(missing_ok=True)

    def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder)):
            return list_folder(self._root / folder)

    def hash_image(self, folder: PurePosixPath, name: str) -> str:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder / name)):
            return hash_file(self._root / folder / name)

    def open_zip(self, folder: PurePosixPath, receipt: Receipt) -> StoredZipFile:
        """See the port."""
        if receipt.zip is None:
            raise TciadError("the series is not kept as a ZIP", series_instance_uid=receipt.series.series_instance_uid)
        place = folder / receipt.zip.name
        limits = ZipLimits(
            member_count=len(receipt.images) + len(LONGEST_TEXT_BYTES),
            member_bytes=max([*LONGEST_TEXT_BYTES.values(), *(image.size_bytes for image in receipt.images)]),
            total_bytes=receipt.stored_bytes + sum(LONGEST_TEXT_BYTES.values()),
        )
        return StoredZipFile(self._root / place, limits, LibraryFaults(self._root, place=str(place)))

    def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """See the port."""
        with LibraryFaults(self._root, place=str(path)), self._tree.taking_out(path) as leaving:
            moved = set_aside(leaving, self._root / OWN_FOLDER / "quarantine", safe_name(label), at)
        return PurePosixPath(moved.relative_to(self._root))

    def best_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.best_folder(series)

    def place_for(self, folder: PurePosixPath, series: Series, taken: Collection[PurePosixPath] = ()) -> PurePosixPath:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder), series_instance_uid=series.series_instance_uid):
            return self._tree.place_for(folder, series, taken)

    def move(self, folder: PurePosixPath, target: PurePosixPath) -> None:
        """See the port."""
        with self.moves() as moves:
            moves.move(folder, target)

    @contextmanager
    def moves(self) -> Iterator[MoveBatch]:
        """See the port."""
        batch = MoveBatch(self._root)
        with self._faults:
            self._tree.overdue.set()
            try:
                yield batch
            finally:
                batch.end()

    def walk(self) -> TreeWalk:
        """See the port."""
        return TreeWalk(self._root, with_contents=True)

    def papers_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.papers_folder(series)

    def move_papers(self, series: Series, others: Collection[PurePosixPath]) -> None:
        """See the port."""
        with self._faults:
            self._tree.move_papers(series, others)

    def make_durable(self, folder: PurePosixPath) -> None:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder)):
            self._tree.make_durable(folder)

    def drop_staged(self, series: Series) -> None:
        """See the port."""
        folder = self._staging / safe_name(series.series_instance_uid)
        with self._faults:
            journal_path(folder).unlink(missing_ok=True)
            remove_folder(folder)

    def holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """See the port."""
        receipt = self.receipt_in(folder) or self._tree.doubted_receipt(folder)
        if receipt is None and not self.contents(folder):
            return False
        if receipt is None or receipt.series.series_instance_uid != series_instance_uid:
            raise LibraryError(
                f"{folder} in the library holds something else",
                series_instance_uid=series_instance_uid,
                next_step="look into it; `tciad verify` tells what it is",
            )
        return True

    def is_one_folder(self, folder: PurePosixPath, other: PurePosixPath) -> bool:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder)):
            try:
                return (self._root / folder).samefile(self._root / other)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """See the port."""
        receipt = self._tree.read_receipt(folder)
        if receipt is None or receipt.series.series_instance_uid != series_instance_uid:
            return False
        with LibraryFaults(self._root, place=str(folder)):
            return has_files(self._root / folder, receipt)

    def proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder)):
            if not has_files(self._root / folder, receipt):
                return False
        md5s = {receipt.zip.name: receipt.zip.md5} if receipt.zip else {image.name: image.md5 for image in receipt.images}
        try:
            return all(self.hash_image(folder, name) == md5 for name, md5 in md5s.items())
        except LibraryError:
            return False  # a file that the disk does not give back

    def has_series_in(self, folder: PurePosixPath) -> bool:
        """See the port."""
        with LibraryFaults(self._root, place=str(folder)):
            return self._tree.has_series_at_or_in(folder)

    def staged_series(self) -> Sequence[Series]:
        """See the port."""
        with self._faults:
            found = [
                read_series(path) for path in self._staging.glob(f"*{JOURNAL_SUFFIX}") if path.is_file() and not path.is_symlink()
            ]
        return [series for series in found if series is not None]

    def whole_staged(self, keep: Collection[str] = ()) -> Sequence[StagedFolder]:
        """See the port."""
        kept = self._kept_in_staging(keep)
        found = []
        with self._faults:
            for path in self._staging.iterdir():
                folder = PurePosixPath(path.relative_to(self._root))
                receipt = None if path.name in kept or path.is_symlink() else self._tree.read_receipt(folder)
                if receipt is not None and has_files(path, receipt):
                    found.append(StagedFolder(folder=folder, receipt=receipt))
        return found

    def put_back(self, staged: StagedFolder) -> SeriesLocation:
        """See the port."""
        uid = staged.receipt.series.series_instance_uid
        with LibraryFaults(self._root, place=str(staged.folder), series_instance_uid=uid):
            return self._tree.put(self._root / staged.folder, staged.receipt, None)

    def clear_staging(self, keep: Collection[str] = ()) -> int:
        """See the port."""
        kept = self._kept_in_staging(keep)
        with self._faults, open_own_folder(self._root) as own, own.folder("staging") as staging:
            return sum(staging.remove_tree(leftover) for leftover in staging.names() if leftover not in kept)

    def _kept_in_staging(self, series_instance_uids: Collection[str]) -> set[str]:
        """The names of what these series have there, and of what changes under way have put there."""
        kept = {safe_name(series_instance_uid) for series_instance_uid in series_instance_uids}
        kept |= {f"{name}{JOURNAL_SUFFIX}" for name in kept}
        for record in self.changes.unfinished():
            places = (self._root / place for change in record.changes for place in change.places)
            kept |= {place.name for place in places if place.parent == self._staging}
        return kept

    def free_bytes(self) -> int:
        """See the port."""
        with self._faults:
            return self._free_space.free_bytes()

    def begin_metadata(self) -> MetadataFile:
        """See the port."""
        faults = LibraryFaults(self._root, place=METADATA_NAME)
        return MetadataFile(self._staging, self._root / METADATA_NAME, self._tree.overdue, faults)

    def expect_metadata(self) -> None:
        """See the port."""
        with self._faults:
            self._tree.overdue.set()

    def metadata_is_due(self) -> bool:
        """See the port."""
        with self._faults:
            return bool(self._tree.overdue)

    def write_citations(self, citations: Sequence[Citation]) -> None:
        """See the port."""
        faults = LibraryFaults(self._root, place=CITATION_NAME)
        write_citations(citations, self._staging, self._root / CITATION_NAME, faults)

    def descriptions(self) -> Sequence[KeptDescription]:
        """See the port."""
        return read_descriptions(self._root)

    def keep_descriptions(self, kept: Sequence[KeptDescription]) -> None:
        """See the port."""
        write_descriptions(self._root, kept)
