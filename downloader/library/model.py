"""What the ports of a library take and give. Paths are relative to the library unless a name says otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from downloader.config.options import DEFAULT_FORMAT, DEFAULT_LAYOUT, StorageFormat
from downloader.errors import DamagedReceiptError, LibraryError
from downloader.model import Receipt, Series, StagedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLocation:
    """Where a series was put: `folder` is relative to the library.

    `stepped_aside` tells that it is not the one that the layout would give it first, since another series lies there.
    `quarantined` is where the damaged folder lies now whose place it took; None where there was none.
    """

    folder: PurePosixPath
    stepped_aside: bool
    quarantined: PurePosixPath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeries:
    """A folder with a receipt, and where that was asked for, every other name in it with the size of what is a file."""

    folder: PurePosixPath
    receipt: Receipt | DamagedReceiptError
    contents: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLook:
    """Folders in which no receipt is (`missing`), and those that cannot be looked at, with the reason of the system."""

    missing: Sequence[str]
    unreadable: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignImage:
    """An image in a tree of another program. `changed_at_ns` and its size tell whether it is still the one that was hashed."""

    path: Path
    staged: StagedImage
    changed_at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataRow:
    """What metadata.csv says of a series in the library."""

    series: Series
    folder: PurePosixPath
    stored_bytes: int
    completed_at: datetime | None
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """How many complete series of a collection the archive gives this page of the data, and this licence; empty is not told.

    `description` is what the archive says of the collection, in plain text.
    """

    collection: str
    data_description_uri: str
    license_name: str
    license_uri: str
    series: int
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDescription:
    """What an archive said of a collection when it was asked: plain text, and the address of the data; maybe nothing."""

    archive: str
    collection: str
    text: str
    uri: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDigest:
    """A file as the disk has it: its MD5, or why the disk does not give it back (`unreadable`, and no MD5)."""

    name: str
    md5: str = ""
    unreadable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedMember:
    """An image in a stored ZIP, as it is there now: what the ZIP calls it, its size, and the MD5 of its bytes."""

    name: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFolder:
    """A folder in staging with a receipt whose files are all there in their sizes. `folder` is relative to the library."""

    folder: PurePosixPath
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedSeries:
    """Series that were found in other folders than was noted, by SeriesInstanceUID.

    `unreadable` are the noted folders of series for which that cannot be found out, with the reason.
    """

    found: Mapping[str, tuple[PurePosixPath, Receipt]]
    unreadable: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderMove:
    """A series that lies in `folder` and belongs elsewhere, as the layout has it for `series`."""

    folder: PurePosixPath
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResults:
    """What became of moves, in their order: the folder of each series now, or the error that keeps it where it lies.

    `failure` ended them before the last one, or before what was moved was durable; None where nothing did.
    """

    results: Sequence[PurePosixPath | LibraryError]
    failure: LibraryError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryConfig:
    """The layout of the library, and whether new series are kept as images or as ZIPs.

    `is_moving`: a move to this layout has begun, and not every series is in its new place yet.
    """

    layout: str = DEFAULT_LAYOUT
    format: StorageFormat = DEFAULT_FORMAT
    is_moving: bool = False


RUNS: Final = "runs"
CHANGES: Final = "changes"
"""The kinds of records: what each run reported, and what it changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run left with the library, and the name that it is kept by, which sorts by time."""

    name: str
    document: Mapping[str, Any]
