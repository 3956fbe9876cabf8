"""What the rest of tciad asks of a library, cut by who asks.

`sink.py` has the port by which series come into it, and `index.py` that of the files that describe it.

All calls are awaited, except those that say that they do not block; the library has threads of its own for what blocks. Paths are
relative to the library. Every call raises LibraryError where the disk fails, and what writes NoSpaceError where there is no room.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

from downloader.library.changes import Change, ChangeRecord, Finished
from downloader.library.index import LibraryIndex
from downloader.library.model import (
    FolderMove,
    FoundSeries,
    HashedMember,
    ImageDigest,
    LibraryConfig,
    MovedSeries,
    MoveResults,
    ReceiptLook,
    Record,
    SeriesLocation,
    StagedFolder,
)
from downloader.library.sink import SeriesSink
from downloader.model import Receipt, Series

READERS: Final = 16
"""As many tasks share a walk where it is slow: a disk that has to seek, or a network, answers many at once."""


class FolderWalk(Protocol):
    """One walk through all folders with a receipt, which any number of tasks may share. The order is not fixed."""

    @property
    def is_slow(self) -> bool:
        """Whether the last page had to wait for disk or network, so that several tasks are faster than one. Does not block."""
        ...

    async def take(self, most: int) -> Sequence[FoundSeries]:
        """The next folders, up to `most` of them or for half a second; none when all were handed out.

        Raises:
            LibraryError: a folder or a receipt cannot be read.
        """
        ...


class ZipContents(Protocol):
    """A stored ZIP that is being read once more, from its beginning to its end."""

    @property
    def md5(self) -> str:
        """The MD5 of all that was read: of the whole file once `next_images` has given nothing. Does not block."""
        ...

    async def next_images(self, enough_bytes: int) -> Sequence[HashedMember]:
        """Read on until at least so many bytes of images were hashed; nothing at the end, when the ZIP turned out whole.

        Raises:
            TransferError: the ZIP is damaged, by the rules that held when it came.
        """
        ...


class LibraryReader(Protocol):
    """Reads the folders of series, for those who prove or mend them."""

    def walk(self, *, with_contents: bool) -> FolderWalk:
        """Begin to walk through all series; `with_contents`: also with what lies in their folders. Does not block."""
        ...

    async def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt in this folder; None where there is none.

        Raises:
            DamagedReceiptError: there is one, and it cannot be believed.
        """
        ...

    async def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt that was set aside in this folder, since its images are damaged; None where there is none."""
        ...

    async def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """What lies in a folder beside the receipt: files with their size in bytes, anything else with None.

        Empty where there is no such folder.
        """
        ...

    async def hash_images(self, folder: PurePosixPath, names: Sequence[str]) -> Sequence[ImageDigest]:
        """The MD5s of files in a folder as the disk has them, without crowding other files out of the system's memory.

        A file that cannot be read is one of the results, and no error.
        """
        ...

    async def open_zip(self, folder: PurePosixPath, receipt: Receipt) -> ZipContents:
        """The ZIP of a series that is kept as one, to be read and hashed as `hash_images` does it."""
        ...

    async def is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the folder has a receipt of the series that can be believed, and all its files in their sizes."""
        ...

    async def proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        """Whether every file that the receipt names is there with the content that it tells. Reads all of them."""
        ...

    async def holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the series lies in this folder; False where there is no such folder.

        Raises:
            LibraryError: something else lies there, or something that has no receipt to tell what it is.
        """
        ...

    async def has_series_in(self, folder: PurePosixPath) -> bool:
        """Whether this is the folder of a series, or the folder of one lies in it, however deep."""
        ...

    async def is_one_folder(self, folder: PurePosixPath, other: PurePosixPath) -> bool:
        """Whether both names lead to one folder that is there: by way of a link, or where the file system ignores their case."""
        ...


class SeriesFinder(Protocol):
    """Looks for the series that a store counts as complete."""

    async def find_receipt(self, series: Series) -> Receipt | None:
        """The receipt in the series' folder, if it is there, can be read, and all its images are there in their sizes."""
        ...

    async def folder_of(self, series: Series) -> PurePosixPath:
        """Where the series lies, or will lie."""
        ...

    async def look_for_receipts(self, folders: Sequence[str]) -> ReceiptLook:
        """In which of the folders no receipt is; some microseconds for each on a local disk. Images are not looked at."""
        ...

    async def find_moved(self, noted: Sequence[tuple[Series, PurePosixPath]]) -> MovedSeries:
        """Where series lie whole that are not in the folders that were noted: in one of their layout, or on the way to it."""
        ...

    async def make_durable(self, folder: PurePosixPath) -> None:
        """Return once the names that lead to the folder of a series are on the disk.

        The process that put it there may have been killed before they were.
        """
        ...


class LibraryChanges(Protocol):
    """Changes of the tree that survive a kill: each is written down, carried out, told to the store, and then ended."""

    async def plan_quarantine(
        self, folder: PurePosixPath, series_instance_uid: str, label: str, at: datetime, keeper: PurePosixPath | None = None
    ) -> Change:
        """The change that moves a folder into `.tciad/quarantine/<time>-<label>`; `keeper` is the copy that stays.

        A quarantine with a keeper is finished after a kill, one without is undone where the folder is still in its place.
        """
        ...

    async def plan_deletion(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that deletes a folder. It is undone after a kill that left the folder in its place."""
        ...

    async def plan_doubt(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that sets the receipt in a folder aside. After a kill it touches no receipt that came later."""
        ...

    def plan_move(self, folder: PurePosixPath, series: Series, completed_at: datetime) -> Change | None:
        """The change that moves a folder to where the layout wants the series; None where it lies there. Does not block.

        `completed_at` is the time in the receipt of the version that moves.
        It is carried out by `LibraryMaintenance.move`. Which of the places the series got, a kill does not hide.
        """
        ...

    async def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """Write changes down; durable when this returns."""
        ...

    async def carry_out(self, change: Change) -> None:
        """Quarantine, delete, clear or doubt; durable when this returns.

        Raises:
            LibraryError: something else lies there.
        """
        ...

    async def end(self, record: ChangeRecord) -> None:
        """Forget the record: the changes are over, and the store knows."""
        ...

    async def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """Let the record name only these of its changes: the others are over. Durable when this returns."""
        ...

    async def unfinished(self) -> Sequence[ChangeRecord]:
        """The records that a process left which was killed."""
        ...

    async def finish(self, change: Change) -> Finished:
        """Finish what was left half done, or undo it. Safe to call again."""
        ...


class LibraryMaintenance(Protocol):
    """Moves what is complete: to another layout, or out of the tree."""

    def best_folder(self, series: Series) -> PurePosixPath:
        """Where the layout would have the series if no other lay there. Does not block."""
        ...

    async def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """Put another receipt of the same images in place of the one in this folder, in one step; durable."""
        ...

    async def choose_places(self, moves: Sequence[FolderMove], taken: Collection[PurePosixPath]) -> MoveResults:
        """What `move` would do, without doing it. `taken` are places that others will have."""
        ...

    async def move(self, moves: Sequence[FolderMove]) -> MoveResults:
        """Rename each folder to where its series belongs by the layout: there, if it may, else to the best place that is free.

        All of it is durable when this returns, and folders that are empty then are removed. A kill meanwhile leaves each series
        whole, in one place or another that a walk finds. What ended the moves before the last of them is a result, and no error,
        so that what was moved can be told to the store.
        """
        ...

    async def move_papers(self, collections: Sequence[Series]) -> None:
        """Bring licence and citation of collections, each named by one of its series, to where the layout wants them."""
        ...

    async def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """Move a folder or a file out of the tree, into `.tciad/quarantine/<time>-<label>`. Returns where it lies now."""
        ...


class StagedLeftovers(Protocol):
    """What sessions that are over left in staging. No attempt of this session is under way.

    `live_claims` are those of other sessions: what they work at is left alone.
    """

    async def leave_to_next(self, live_claims: Collection[str] = ()) -> None:
        """Let the next attempt at each series find what claims that are over have staged of it. Call this first."""
        ...

    async def staged_series(self) -> Sequence[Series]:
        """The series that attempts left images of; of each its SeriesInstanceUID and the figures of that time."""
        ...

    async def whole_staged(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> Sequence[StagedFolder]:
        """What looks whole, but for these series."""
        ...

    async def put_back(self, staged: StagedFolder) -> SeriesLocation:
        """Put what `whole_staged` found where the layout wants it. Only for what is not in the tree, and was hashed."""
        ...

    async def clear_staging(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> int:
        """Remove what is left, but for these series; returns how many folders that were.

        What belongs to an unfinished change stays.
        """
        ...


class LibraryState(Protocol):
    """What a library knows about itself. All but what writes may be asked of a folder that is no library."""

    async def config(self) -> LibraryConfig | None:
        """How the library is laid out; None where that was not settled yet.

        Raises:
            LibraryError: the file holds something else.
        """
        ...

    async def write_config(self, config: LibraryConfig) -> None:
        """Lay the library, which is locked, out so from now on; durable when this returns."""
        ...

    async def identity(self) -> str:
        """The id of the library; empty where it has none, or where there is no library.

        Raises:
            LibraryError: the marker cannot be read, or holds something else.
        """
        ...

    async def make_identity(self, at: datetime) -> str:
        """Give the library, which has no marker and is locked, a new id, and return it; durable when this returns."""
        ...

    async def is_paused(self) -> bool:
        """Whether the service claims nothing for the library."""
        ...

    async def pause(self, at: datetime) -> bool:
        """Pause the library; False where it was paused before.

        Raises:
            LibraryError: there is no library, or it cannot be written.
        """
        ...

    async def resume(self) -> bool:
        """End the pause; False where there was none.

        Raises:
            LibraryError: there is no library, or it cannot be written.
        """
        ...

    async def write_record(self, kind: str, began_at: datetime, document: Mapping[str, Any]) -> None:
        """Keep what a run that began then has to say; a second record of the same kind and instant replaces it."""
        ...

    async def read_records(
        self, kind: str, *, manifest: str | None = None, before: str | None = None, limit: int = 20
    ) -> Sequence[Record]:
        """Up to `limit` records, newest first: those of one manifest or all, those older than the one named `before`.

        One that cannot be read is left out, with a warning in the log: a record is no proof of anything.
        """
        ...

    async def free_bytes(self) -> int:
        """Room that this process may still use on the library's file system."""
        ...


class LibraryParts(Protocol):
    """The tree of completed series, for those who bring no new ones. A client takes the part that it works with."""

    @property
    def reader(self) -> LibraryReader:
        """Reads the folders of series."""
        ...

    @property
    def finder(self) -> SeriesFinder:
        """Looks for series."""
        ...

    @property
    def changes(self) -> LibraryChanges:
        """Changes of series folders that more than one step makes, or that the store must learn of."""
        ...

    @property
    def maintenance(self) -> LibraryMaintenance:
        """Moves what is complete."""
        ...

    @property
    def leftovers(self) -> StagedLeftovers:
        """What dead runs left in staging."""
        ...

    @property
    def index(self) -> LibraryIndex:
        """The files that describe the whole library."""
        ...

    @property
    def state(self) -> LibraryState:
        """What the library knows about itself."""
        ...


class Library(SeriesSink, LibraryParts, Protocol):
    """The tree of completed series, which new ones can be brought into."""
