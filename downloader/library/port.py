"""What a place for completed series offers. Everything here blocks: call it in a worker thread."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import PurePosixPath
from typing import Protocol

from downloader.errors import DamagedReceiptError
from downloader.library.changes import Change, ChangeRecord, Finished
from downloader.library.local.moving import MoveBatch
from downloader.library.local.walking import TreeWalk
from downloader.library.model import (
    Citation,
    HashedMember,
    KeptDescription,
    ReceiptLook,
    SeriesLocation,
    ShelvedSeries,
    StagedFolder,
)
from downloader.library.sink import SeriesSink
from downloader.model import Receipt, Series


class LibraryChanges(Protocol):
    """Changes of the tree that survive a kill: each is written down, carried out, told to the store, and then ended."""

    def plan_quarantine(
        self, folder: PurePosixPath, series_instance_uid: str, label: str, at: datetime, keeper: PurePosixPath | None = None
    ) -> Change:
        """The change that moves a folder into `.tciad/quarantine/<time>-<label>`; `keeper` is the copy that stays.

        A quarantine with a keeper is finished after a kill, one without is undone where the folder is still in its place.
        """
        ...

    def plan_deletion(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that deletes a folder. It is undone after a kill that left the folder in its place."""
        ...

    def plan_doubt(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that sets the receipt in a folder aside. After a kill it touches no receipt that came later."""
        ...

    def plan_move(self, folder: PurePosixPath, series: Series, completed_at: datetime) -> Change | None:
        """The change that moves a folder to where the layout wants the series; None where it lies there.

        `completed_at` is the time in the receipt of the version that moves.
        It is carried out by `Library.move`. Which of the places the series got, a kill does not hide.
        """
        ...

    def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """Write changes down; durable when this returns."""
        ...

    def carry_out(self, change: Change) -> None:
        """Quarantine, delete, clear or doubt; durable when this returns.

        Raises:
            LibraryError: something else lies there.
        """
        ...

    def end(self, record: ChangeRecord) -> None:
        """Forget the record: the changes are over, and the store knows."""
        ...

    def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """Let the record name only these of its changes: the others are over. Durable when this returns."""
        ...

    def unfinished(self) -> Sequence[ChangeRecord]:
        """The records that a process left which was killed."""
        ...

    def finish(self, change: Change) -> Finished:
        """Finish what was left half done, or undo it. Safe to call again."""
        ...


class ZipContents(Protocol):
    """A stored ZIP that is being read once more, from its beginning to its end."""

    @property
    def md5(self) -> str:
        """The MD5 of all that was read: of the whole file once `next_images` has given nothing."""
        ...

    def next_images(self, enough_bytes: int) -> Sequence[HashedMember]:
        """Read on until at least so many bytes of images were hashed; nothing at the end, when the ZIP turned out whole.

        Raises:
            TransferError: the ZIP is damaged, by the rules that held when it came.
        """
        ...


class MetadataTable(Protocol):
    """A new metadata.csv in the making. Until `commit` the old one is there."""

    def add(self, shelved: Iterable[ShelvedSeries]) -> None:
        """Write their rows; nothing is held in memory or open between two calls."""
        ...

    def commit(self) -> None:
        """Put the table where the old one was, in one step."""
        ...


class Library(SeriesSink, Protocol):
    """The tree of completed series."""

    @property
    def changes(self) -> LibraryChanges:
        """Changes of series folders that more than one step makes, or that the store must learn of."""
        ...

    def find_moved(self, series: Series, noted: PurePosixPath) -> tuple[PurePosixPath, Receipt] | None:
        """Where a series lies whole that is not in the folder that was noted: in one of its layout, or on the way to it."""
        ...

    def look_for_receipts(self, folders: Sequence[str]) -> ReceiptLook:
        """In which of the folders, relative to the library, no receipt is. Their images are not looked at."""
        ...

    def listed_series(self) -> int | None:
        """How many series the library's own table lists; None where it has none."""
        ...

    def receipts(self) -> Iterator[tuple[PurePosixPath, Receipt]]:
        """Every readable receipt of the library with the folder it lies in, relative to the library."""
        ...

    def folders(self) -> Iterator[tuple[PurePosixPath, Receipt | DamagedReceiptError]]:
        """Every folder with a receipt, and what it says, or why it cannot be believed."""
        ...

    def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt in this folder; None where there is none.

        Raises:
            DamagedReceiptError: there is one, and it cannot be believed.
        """
        ...

    def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt that was set aside in this folder, since its images are damaged; None where there is none."""
        ...

    def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """What lies in a folder beside the receipt: files with their size in bytes, anything else with None.

        Empty where there is no such folder.
        """
        ...

    def hash_image(self, folder: PurePosixPath, name: str) -> str:
        """The MD5 of a file in a folder as the disk has it, without crowding other files out of the system's memory."""
        ...

    def open_zip(self, folder: PurePosixPath, receipt: Receipt) -> ZipContents:
        """The ZIP of a series that is kept as one, to be read and hashed as `hash_image` does it."""
        ...

    def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """Move a folder or a file out of the tree, into `.tciad/quarantine/<time>-<label>`. Returns where it lies now."""
        ...

    def place_for(self, folder: PurePosixPath, series: Series, taken: Collection[PurePosixPath] = ()) -> PurePosixPath:
        """Where a series that lies in `folder` belongs by the layout: there, if it may, else in the best place that is free.

        `taken` are places that others will have.

        Raises:
            LibraryError: something else lies in every place, or the series cannot be moved.
        """
        ...

    def move(self, folder: PurePosixPath, target: PurePosixPath) -> None:
        """Rename the folder of a series to a place that `place_for` gave; durable. Folders that are empty then are removed.

        Whoever is killed meanwhile leaves the series whole, in one place or another that `folders` finds.
        """
        ...

    def moves(self) -> AbstractContextManager[MoveBatch]:
        """Moves that become durable together when the context is left, by an error too."""
        ...

    def walk(self) -> TreeWalk:
        """All series of the library with what lies in their folders, for several threads to take side by side."""
        ...

    def papers_folder(self, series: Series) -> PurePosixPath:
        """Where licence and citation of the series' collection belong by the layout."""
        ...

    def move_papers(self, series: Series, others: Collection[PurePosixPath]) -> None:
        """Bring licence and citation of the series' collection there from where another layout put them.

        `others` are the folders of papers that stay, as another collection's.
        """
        ...

    def holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the series lies in this folder; False where there is no such folder.

        Raises:
            LibraryError: something else lies there, or something that has no receipt to tell what it is.
        """
        ...

    def is_one_folder(self, folder: PurePosixPath, other: PurePosixPath) -> bool:
        """Whether both names lead to one folder that is there: by way of a link, or where the file system ignores their case."""
        ...

    def is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the folder has a receipt of the series that can be believed, and all its files in their sizes."""
        ...

    def proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        """Whether every file that the receipt names is there with the content that it tells. Reads all of them."""
        ...

    def has_series_in(self, folder: PurePosixPath) -> bool:
        """Whether this is the folder of a series, or the folder of one lies in it, however deep."""
        ...

    def staged_series(self) -> Sequence[Series]:
        """The series that attempts left images of; of each its SeriesInstanceUID and the figures of that time."""
        ...

    def whole_staged(self, keep: Collection[str] = ()) -> Sequence[StagedFolder]:
        """What dead runs left in staging that looks whole, but for these series."""
        ...

    def put_back(self, staged: StagedFolder) -> SeriesLocation:
        """Put what `whole_staged` found where the layout wants it. Only for what is not in the tree, and was hashed."""
        ...

    def clear_staging(self, keep: Collection[str] = ()) -> int:
        """Remove what dead runs left in staging, but for these series; returns how many folders that were.

        What belongs to an unfinished change stays.
        """
        ...

    def free_bytes(self) -> int:
        """Room that this process may still use on the library's file system."""
        ...

    def begin_metadata(self) -> MetadataTable:
        """Start to write metadata.csv anew, for all series of the library."""
        ...

    def expect_metadata(self) -> None:
        """Remember, also through a kill, that what metadata.csv tells is about to change, until it is written anew.

        What is put, moved or taken out is remembered without being told.
        """
        ...

    def metadata_is_due(self) -> bool:
        """Whether metadata.csv does not tell what the library holds: nobody has written it since that changed."""
        ...

    def write_citations(self, citations: Sequence[Citation]) -> None:
        """Write CITATION.txt anew, for all collections of the library."""
        ...

    def descriptions(self) -> Sequence[KeptDescription]:
        """What archives said of their collections, as `keep_descriptions` kept it; none where that is lost."""
        ...

    def keep_descriptions(self, kept: Sequence[KeptDescription]) -> None:
        """Keep these in place of those that were kept before."""
        ...
