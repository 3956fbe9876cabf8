"""The types of the library's ports. Paths are relative to the library unless a name says otherwise."""

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
    """The folder of a stored series, relative to the library.

    `stepped_aside` tells that the first choice of the layout was occupied by another series. `quarantined` is the new path of the
    damaged folder that this one replaced; None if there was none.
    """

    folder: PurePosixPath
    stepped_aside: bool
    quarantined: PurePosixPath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeries:
    """A folder with a receipt, and if requested, all other names in it, with sizes for files."""

    folder: PurePosixPath
    receipt: Receipt | DamagedReceiptError
    contents: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLook:
    """Folders without a receipt (`missing`), and folders that cannot be read, with the error of the system."""

    missing: Sequence[str]
    unreadable: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignImage:
    """An image in a foreign tree. `changed_at_ns` and its size show whether it changed after it was hashed."""

    path: Path
    staged: StagedImage
    changed_at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataRow:
    """The values of one series in metadata.csv."""

    series: Series
    folder: PurePosixPath
    stored_bytes: int
    completed_at: datetime | None
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """How many complete series of a collection have this data page and this licence; empty if the archive gives none.

    `description` is the archive's description of the collection, in plain text.
    """

    collection: str
    data_description_uri: str
    license_name: str
    license_uri: str
    series: int
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDescription:
    """An archive's description of a collection: plain text, and the address of the data; both may be empty."""

    archive: str
    collection: str
    text: str
    uri: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDigest:
    """The MD5 of a file on the disk, or why it cannot be read (`unreadable`, without an MD5)."""

    name: str
    md5: str = ""
    unreadable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedMember:
    """An image in a stored ZIP, as it was read now: its member name, its size, and the MD5 of its bytes."""

    name: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFolder:
    """A folder in staging with a receipt, whose files all exist with their sizes. `folder` is relative to the library."""

    folder: PurePosixPath
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedSeries:
    """Series that were found in other folders than the recorded ones, by SeriesInstanceUID.

    `unreadable` are the recorded folders of series that could not be searched, with the reason.
    """

    found: Mapping[str, tuple[PurePosixPath, Receipt]]
    unreadable: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderMove:
    """A series in `folder` that must be moved to the folder of the layout for `series`."""

    folder: PurePosixPath
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResults:
    """The results of moves, in order: the new folder of each series, or the error because of which it was not moved.

    `failure` ended the moves early, or before they were durable; None if there was none.
    """

    results: Sequence[PurePosixPath | LibraryError]
    failure: LibraryError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryConfig:
    """The layout of the library, and whether new series are stored as images or as ZIPs.

    `is_moving`: a move to this layout was started, and is not finished.
    """

    layout: str = DEFAULT_LAYOUT
    format: StorageFormat = DEFAULT_FORMAT
    is_moving: bool = False


RUNS: Final = "runs"
CHANGES: Final = "changes"
"""The kinds of records: the report of each run, and its changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record of a run, and its name, which sorts by time."""

    name: str
    document: Mapping[str, Any]
