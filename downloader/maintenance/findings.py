"""What verifying finds wrong with a series, and the comparisons that need nothing but what was read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from downloader.library.model import HashedMember
from downloader.model import Image, Receipt, Series


class FindingKind(StrEnum):
    """What can be wrong with a series."""

    MISSING_FOLDER = "missing-folder"
    MISSING_RECEIPT = "missing-receipt"
    DAMAGED_RECEIPT = "damaged-receipt"
    MISSING_IMAGE = "missing-image"
    WRONG_SIZE = "wrong-size"
    WRONG_MD5 = "wrong-md5"
    UNREADABLE_IMAGE = "unreadable-image"
    UNKNOWN_FILE = "unknown-file"
    NOT_IN_STORE = "not-in-store"
    STORE_DIFFERS = "store-differs"
    OTHER_FOLDER = "other-folder"
    SECOND_COPY = "second-copy"
    UPSTREAM_DIFFERS = "upstream-differs"
    UPSTREAM_UNKNOWN = "upstream-unknown"


# what shows that the images themselves are not what the receipt says
DAMAGE: Final = frozenset(
    {FindingKind.MISSING_IMAGE, FindingKind.WRONG_SIZE, FindingKind.WRONG_MD5, FindingKind.UNREADABLE_IMAGE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. `path` is relative to the library; no series is known for a damaged receipt without a store."""

    kind: FindingKind
    series_instance_uid: str
    path: str
    sentence: str


def finding_of(kind: FindingKind, series: Series, path: PurePosixPath, sentence: str) -> Finding:
    """A finding about a path of a series."""
    return Finding(kind=kind, series_instance_uid=series.series_instance_uid, path=str(path), sentence=sentence)


def compare_contents(folder: PurePosixPath, receipt: Receipt, contents: Mapping[str, int | None]) -> Iterator[Finding]:
    """What the names and sizes of a folder show, beside its receipt."""
    what = "image" if receipt.zip is None else "ZIP"
    told = receipt.file_sizes
    for name, told_bytes in told.items():
        size_bytes = contents.get(name)
        if size_bytes is None:
            yield finding_of(FindingKind.MISSING_IMAGE, receipt.series, folder / name, f"the {what} is not there")
        elif size_bytes != told_bytes:
            sentence = f"the {what} has {size_bytes:,} bytes, its receipt says {told_bytes:,}"
            yield finding_of(FindingKind.WRONG_SIZE, receipt.series, folder / name, sentence)
    for name in sorted(contents.keys() - told.keys()):
        yield finding_of(FindingKind.UNKNOWN_FILE, receipt.series, folder / name, "the receipt does not know this file")


def compare_members(
    place: PurePosixPath, receipt: Receipt, members: Sequence[HashedMember], expected: dict[str, Image]
) -> Iterator[Finding]:
    """Compare members with what the receipt says of them; those that it knows are taken out of `expected`."""
    for member in members:
        image = expected.pop(member.name, None)
        if image is None:
            yield finding_of(FindingKind.WRONG_MD5, receipt.series, place / member.name, "the receipt does not know this member")
        elif member.size_bytes != image.size_bytes:
            sentence = f"the image has {member.size_bytes:,} bytes, its receipt says {image.size_bytes:,}"
            yield finding_of(FindingKind.WRONG_SIZE, receipt.series, place / member.name, sentence)
        elif member.md5 != image.md5:
            sentence = f"the image has MD5 {member.md5}, its receipt says {image.md5}"
            yield finding_of(FindingKind.WRONG_MD5, receipt.series, place / member.name, sentence)
