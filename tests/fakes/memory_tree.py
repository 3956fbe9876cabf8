"""The folders of a library in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.layout import parse_layout
from downloader.library.model import FolderMove
from downloader.model import Receipt, Series
from tests.fakes.memory_state import MemoryIndex

QUARANTINE = PurePosixPath(".tciad/quarantine")
STAGING = PurePosixPath(".tciad/staging")


@dataclass(slots=True)
class MemoryFolder:
    """The folder of a series: its receipt, one that was invalidated, and its files."""

    receipt: Receipt | DamagedReceiptError | None = None
    doubted: Receipt | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def sound_receipt(self) -> Receipt | None:
        """The receipt, if it is valid."""
        return self.receipt if isinstance(self.receipt, Receipt) else None

    def is_whole(self) -> bool:
        """Whether every file of the receipt exists with its size."""
        receipt = self.sound_receipt
        return receipt is not None and all(len(self.files.get(name, b"")) == size for name, size in receipt.file_sizes.items())

    def is_of(self, series_instance_uid: str) -> bool:
        """Whether the receipt is that of the series."""
        receipt = self.sound_receipt
        return receipt is not None and receipt.series.series_instance_uid == series_instance_uid

    def belongs_to(self, series_instance_uid: str) -> bool:
        """Whether there is a receipt of the series, also an invalidated one."""
        is_doubted = self.doubted is not None and self.doubted.series.series_instance_uid == series_instance_uid
        return is_doubted or self.is_of(series_instance_uid)


class MemoryTree:
    """All folders by path, including those in staging and quarantine."""

    def __init__(self, layout: str) -> None:
        self.layout = parse_layout(layout)
        self.folders: dict[PurePosixPath, MemoryFolder] = {}
        self.papers: dict[PurePosixPath, bytes] = {}
        self.index = MemoryIndex()

    def in_tree(self) -> Sequence[PurePosixPath]:
        """The folders outside of staging and quarantine, by name."""
        return sorted(path for path in self.folders if path.parts[0] != ".tciad")

    def folder_of(self, series: Series) -> PurePosixPath:
        """The folder of the series, or else the first free place."""
        uid, places = series.series_instance_uid, self.layout.folders(series)
        held = [place for place in places if place in self.folders and self.folders[place].belongs_to(uid)]
        free = [place for place in places if place not in self.folders]
        return (*held, *free, places[-1])[0]

    def find(self, places: Sequence[PurePosixPath], uid: str) -> tuple[PurePosixPath, Receipt] | None:
        """The first of the places with an intact copy of the series."""
        for place in places:
            folder = self.folders.get(place)
            if folder is not None and folder.is_of(uid) and folder.is_whole() and folder.sound_receipt is not None:
                return place, folder.sound_receipt
        return None

    def place_for(self, move: FolderMove, taken: Collection[PurePosixPath]) -> PurePosixPath:
        """See LibraryMaintenance.choose_places.

        Raises:
            LibraryError: all places are occupied, or the folder contains another series.
        """
        candidates = self.layout.folders(move.series)
        if move.folder in candidates:
            return move.folder
        if any(move.folder in path.parents for path in self.in_tree()):
            raise LibraryError(f"{move.folder} contains another series", next_step="move it elsewhere")
        for place in candidates:
            others = [path for path in self.in_tree() if path != move.folder]
            nested = any(place == path or place in path.parents or path in place.parents for path in others)
            if place not in taken and not nested:
                return place
        raise LibraryError(f"{candidates[0]} in the library is in the way: it is not this series", next_step="move it elsewhere")

    def rename(self, folder: PurePosixPath, target: PurePosixPath) -> None:
        """Move a folder to another path."""
        self.index.is_due = True
        self.folders[target] = self.folders.pop(folder)

    def quarantine_place(self, label: str, at: datetime) -> PurePosixPath:
        """A free path in quarantine."""
        place = QUARANTINE / f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{label}"
        number, free = 1, place
        while free in self.folders:
            number += 1
            free = place.with_name(f"{place.name}-{number}")
        return free
