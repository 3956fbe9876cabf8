"""What a place for completed series offers. Everything here blocks: call it in a worker thread."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Protocol, Self

from downloader.errors import DamagedReceiptError
from downloader.model import Image, Receipt, Series, StagedSeries
from downloader.zipstream import ZipEvent


class Staging(Protocol):
    """One series under construction. Raises LibraryError and NoSpaceError; the `take` of a member also TransferErrors."""

    @property
    def images_written(self) -> int:
        """Images written and closed so far."""
        ...

    def take(self, event: ZipEvent) -> None:
        """Write what the ZIP reader found; hash and identify it while it passes by.

        Raises:
            NotDicomError: a member that should be an image is none.
            WrongSeriesError: an image of another series, or an SOP instance that is already here.
        """
        ...

    def contents(self) -> StagedSeries:
        """What has been staged, for the completeness rules."""
        ...

    def named_images(self) -> tuple[Image, ...]:
        """The staged images under the names that they will have in the library, in the order of those names."""
        ...

    def commit(self, receipt: Receipt) -> PurePosixPath:
        """Sync every file, write the receipt, rename the folder into the library, sync the folder above.

        A series folder that is already there is replaced by one exchange. Returns the folder, relative to the library.
        """
        ...

    def discard(self) -> None:
        """Remove everything staged. Safe to call twice, and after `commit` (then it does nothing)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedSeries:
    """What metadata.csv says of a series in the library. `folder` is relative to it."""

    series: Series
    folder: PurePosixPath
    stored_bytes: int
    completed_at: datetime | None

    @classmethod
    def of(cls, series: Series, folder: str | PurePosixPath, stored_bytes: int, completed_at: datetime | None) -> Self:
        """Made from the columns of the store, or from a receipt."""
        return cls(series=series, folder=PurePosixPath(folder), stored_bytes=stored_bytes, completed_at=completed_at)


class MetadataTable(Protocol):
    """A new metadata.csv in the making. Until `commit` the old one is there."""

    def add(self, shelved: Iterable[ShelvedSeries]) -> None:
        """Write their rows; nothing is held in memory or open between two calls."""
        ...

    def commit(self) -> None:
        """Put the table where the old one was, in one step."""
        ...


class Library(Protocol):
    """The tree of completed series."""

    def begin(self, series: Series) -> Staging:
        """Make an empty staging folder for one attempt at `series`; what an earlier attempt left there is removed."""
        ...

    def folder_of(self, series: Series) -> PurePosixPath:
        """Where the series lies, or will lie, relative to the library."""
        ...

    def find_receipt(self, series: Series) -> Receipt | None:
        """The receipt in the series' folder, if it is there, can be read, and all its images are there in their sizes."""
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

    def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """What lies in a folder beside the receipt: files with their size in bytes, anything else with None.

        Empty where there is no such folder.
        """
        ...

    def hash_image(self, folder: PurePosixPath, name: str) -> str:
        """The MD5 of a file in a folder as the disk has it, without crowding other files out of the system's memory."""
        ...

    def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """Move a folder or a file out of the tree, into `.tciad/quarantine/<time>-<label>`. Returns where it lies now."""
        ...

    def clear_staging(self) -> int:
        """Remove what dead runs left in staging; returns how many folders that were."""
        ...

    def free_bytes(self) -> int:
        """Room that this process may still use on the library's file system."""
        ...

    def begin_metadata(self) -> MetadataTable:
        """Start to write metadata.csv anew, for all series of the library."""
        ...
