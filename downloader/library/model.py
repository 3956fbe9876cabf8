"""What the ports of a library take and give. Paths are relative to the library unless a name says otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from downloader.errors import DamagedReceiptError
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
class ShelvedSeries:
    """What metadata.csv says of a series in the library. `folder` is relative to it."""

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
class KeptDescription:
    """What an archive said of a collection when it was asked: plain text, and the address of the data; maybe nothing."""

    archive: str
    collection: str
    text: str
    uri: str
    asked_at: datetime


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
