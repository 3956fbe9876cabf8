"""The ports of a library, one per kind of client.

`sink.py` has the port through which series are added, and `index.py` that of the files that describe the library.

All methods are async, except those whose docstring says that they do not block; the library uses its own threads for blocking
calls. Paths are relative to the library. Every method raises LibraryError if the disk fails, and writing ones NoSpaceError if it
is full.
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
"""The number of tasks that share a slow walk: a disk that seeks, or a network, serves several requests faster."""


class FolderWalk(Protocol):
    """A walk through all folders with a receipt, which any number of tasks may share. The order is not fixed."""

    @property
    def is_slow(self) -> bool:
        """Whether the last page had to wait for disk or network, so that several tasks are faster than one. Does not block."""
        ...

    async def take(self, most: int) -> Sequence[FoundSeries]:
        """The next folders, at most `most`, for at most half a second; empty at the end.

        Raises:
            LibraryError: a folder or a receipt cannot be read.
        """
        ...


class ZipContents(Protocol):
    """A stored ZIP that is read again, from the beginning to the end."""

    @property
    def md5(self) -> str:
        """The MD5 of the bytes read so far; of the whole file after `next_images` has returned nothing. Does not block."""
        ...

    async def next_images(self, enough_bytes: int) -> Sequence[HashedMember]:
        """Read on until at least that many bytes of images were hashed; empty at the end, if the ZIP is intact.

        Raises:
            TransferError: the ZIP is damaged, by the same rules as during the transfer.
        """
        ...


class LibraryReader(Protocol):
    """Reads the folders of series, for verification and repair."""

    def walk(self, *, with_contents: bool) -> FolderWalk:
        """Start a walk through all series; `with_contents`: also list the files in their folders. Does not block."""
        ...

    async def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt in this folder; None if there is none.

        Raises:
            DamagedReceiptError: the receipt is invalid.
        """
        ...

    async def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt in this folder that was invalidated because its images are damaged; None if there is none."""
        ...

    async def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """The content of a folder without the receipt: files with their size in bytes, other entries with None.

        Empty if the folder does not exist.
        """
        ...

    async def hash_images(self, folder: PurePosixPath, names: Sequence[str]) -> Sequence[ImageDigest]:
        """The MD5s of files in a folder, read from the disk without displacing other files from the page cache.

        A file that cannot be read is a result, not an error.
        """
        ...

    async def open_zip(self, folder: PurePosixPath, receipt: Receipt) -> ZipContents:
        """Open the stored ZIP of a series, to read and hash it as `hash_images` does."""
        ...

    async def is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the folder has a valid receipt of the series, and all its files with their sizes."""
        ...

    async def proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        """Whether every file of the receipt exists with its content. Reads all of them."""
        ...

    async def holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the series is in this folder; False if the folder does not exist.

        Raises:
            LibraryError: something else is there, or files without a receipt.
        """
        ...

    async def has_series_in(self, folder: PurePosixPath) -> bool:
        """Whether this is the folder of a series, or contains one at any depth."""
        ...

    async def is_one_folder(self, folder: PurePosixPath, other: PurePosixPath) -> bool:
        """Whether both names lead to the same existing folder: through a link, or because the file system ignores case."""
        ...


class SeriesFinder(Protocol):
    """Finds the complete series of a store."""

    async def find_receipt(self, series: Series) -> Receipt | None:
        """The receipt in the series' folder, if it is valid and all its images exist with their sizes."""
        ...

    async def folder_of(self, series: Series) -> PurePosixPath:
        """The folder of the series now, or its future folder."""
        ...

    async def look_for_receipts(self, folders: Sequence[str]) -> ReceiptLook:
        """Which of the folders lack a receipt; takes microseconds each on a local disk. Images are not checked."""
        ...

    async def find_moved(self, noted: Sequence[tuple[Series, PurePosixPath]]) -> MovedSeries:
        """Find intact series outside of the recorded folders: in another folder of their layout, or in the middle of a move."""
        ...

    async def make_durable(self, folder: PurePosixPath) -> None:
        """Sync the names of the folders that lead to the folder of a series.

        The process that stored it may have been killed before it synced them.
        """
        ...


class LibraryChanges(Protocol):
    """Changes of the tree that survive a kill: each is recorded, carried out, written to the store, and then ended."""

    async def plan_quarantine(
        self, folder: PurePosixPath, series_instance_uid: str, label: str, at: datetime, keeper: PurePosixPath | None = None
    ) -> Change:
        """The change that moves a folder to `.tciad/quarantine/<time>-<label>`; `keeper` is the copy that stays.

        After a kill, a quarantine with a keeper is finished; one without is undone if the folder is still in its place.
        """
        ...

    async def plan_deletion(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that deletes a folder. After a kill it is undone if the folder is still in its place."""
        ...

    async def plan_doubt(self, folder: PurePosixPath, series_instance_uid: str) -> Change:
        """The change that invalidates the receipt in a folder. After a kill it does not affect later receipts."""
        ...

    def plan_move(self, folder: PurePosixPath, series: Series, completed_at: datetime) -> Change | None:
        """The change that moves a folder to the place of the layout; None if it is there already. Does not block.

        `completed_at` is the time in the receipt of the version that moves. `LibraryMaintenance.move` carries it out. After a
        kill, `finish` finds which of the places the series got.
        """
        ...

    async def begin(self, changes: Sequence[Change]) -> ChangeRecord:
        """Record changes; durable when this returns."""
        ...

    async def carry_out(self, change: Change) -> None:
        """Quarantine, delete, clear or doubt; durable when this returns.

        Raises:
            LibraryError: something else is there.
        """
        ...

    async def end(self, record: ChangeRecord) -> None:
        """Remove the record: the changes are finished and in the store."""
        ...

    async def keep(self, record: ChangeRecord, changes: Sequence[Change]) -> None:
        """Reduce the record to these changes: the others are finished. Durable when this returns."""
        ...

    async def unfinished(self) -> Sequence[ChangeRecord]:
        """The records of a killed process."""
        ...

    async def finish(self, change: Change) -> Finished:
        """Finish an interrupted change, or undo it. Safe to call again."""
        ...


class LibraryMaintenance(Protocol):
    """Moves complete series: to another layout, or out of the tree."""

    def best_folder(self, series: Series) -> PurePosixPath:
        """The folder of the layout for the series, if no other series had it. Does not block."""
        ...

    async def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """Replace the receipt in this folder by another one of the same images, atomically; durable."""
        ...

    async def choose_places(self, moves: Sequence[FolderMove], taken: Collection[PurePosixPath]) -> MoveResults:
        """The results that `move` would have, without moving. `taken` are places reserved for others."""
        ...

    async def move(self, moves: Sequence[FolderMove]) -> MoveResults:
        """Rename each folder to the place of the layout: the first choice, otherwise the best free place.

        All moves are durable when this returns, and empty folders are removed. After a kill, each series is intact in one place
        that a walk finds. An error that ends the moves early is a result, so that earlier moves can be recorded in the store.
        """
        ...

    async def move_papers(self, collections: Sequence[Series]) -> None:
        """Move licence and citation of collections, each given by one of its series, to the folders of the layout."""
        ...

    async def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """Move a folder or a file to `.tciad/quarantine/<time>-<label>`. Returns its new path."""
        ...


class StagedLeftovers(Protocol):
    """The remains of ended sessions in staging. The caller has no attempt in flight.

    `live_claims` are those of other sessions, whose folders are not touched.
    """

    async def leave_to_next(self, live_claims: Collection[str] = ()) -> None:
        """Make the remains of ended claims available to the next attempt at each series. Call this first."""
        ...

    async def staged_series(self) -> Sequence[Series]:
        """The series with staged images; each has its SeriesInstanceUID and the figures of that time."""
        ...

    async def whole_staged(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> Sequence[StagedFolder]:
        """The folders that look intact, except of these series."""
        ...

    async def put_back(self, staged: StagedFolder) -> SeriesLocation:
        """Move a folder of `whole_staged` to its place in the layout. It must have been hashed, and not be in the tree."""
        ...

    async def clear_staging(self, keep: Collection[str] = (), live_claims: Collection[str] = ()) -> int:
        """Remove the remains, except of these series; returns the number of folders.

        Folders of unfinished changes stay.
        """
        ...


class LibraryState(Protocol):
    """The state of a library. All reading methods also work on a folder that is not a library."""

    async def config(self) -> LibraryConfig | None:
        """The config of the library; None if it was not set yet.

        Raises:
            LibraryError: the file is invalid.
        """
        ...

    async def write_config(self, config: LibraryConfig) -> None:
        """Set the config of the library; durable when this returns. The caller holds the library's lock."""
        ...

    async def identity(self) -> str:
        """The id of the library; empty if it has none, or if there is no library.

        Raises:
            LibraryError: the marker is unreadable or invalid.
        """
        ...

    async def make_identity(self, at: datetime) -> str:
        """Give a library without a marker a new id, and return it; durable when this returns. The caller holds the lock."""
        ...

    async def is_paused(self) -> bool:
        """Whether the service claims nothing for the library."""
        ...

    async def pause(self, at: datetime) -> bool:
        """Pause the library; False if it was paused before.

        Raises:
            LibraryError: there is no library, or it cannot be written.
        """
        ...

    async def resume(self) -> bool:
        """End the pause; False if there was none.

        Raises:
            LibraryError: there is no library, or it cannot be written.
        """
        ...

    async def write_record(self, kind: str, began_at: datetime, document: Mapping[str, Any]) -> None:
        """Store the record of a run that began then; a second record of the same kind and time replaces it."""
        ...

    async def read_records(
        self, kind: str, *, manifest: str | None = None, before: str | None = None, limit: int = 20
    ) -> Sequence[Record]:
        """At most `limit` records, newest first: of one manifest or all, and older than the record named `before`.

        Unreadable records are left out, with a warning in the log: a record proves nothing.
        """
        ...

    async def free_bytes(self) -> int:
        """The bytes that this process may still use on the library's file system."""
        ...


class LibraryParts(Protocol):
    """The tree of complete series, for clients that add none. Each client takes the part that it needs."""

    @property
    def reader(self) -> LibraryReader:
        """Reads the folders of series."""
        ...

    @property
    def finder(self) -> SeriesFinder:
        """Finds series."""
        ...

    @property
    def changes(self) -> LibraryChanges:
        """Changes of series folders in several steps, or that must be recorded in the store."""
        ...

    @property
    def maintenance(self) -> LibraryMaintenance:
        """Moves complete series."""
        ...

    @property
    def leftovers(self) -> StagedLeftovers:
        """The remains of earlier runs in staging."""
        ...

    @property
    def index(self) -> LibraryIndex:
        """The files that describe the whole library."""
        ...

    @property
    def state(self) -> LibraryState:
        """The state of the library."""
        ...


class Library(SeriesSink, LibraryParts, Protocol):
    """The tree of complete series, to which new ones can be added."""
