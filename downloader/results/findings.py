"""Problems that a verification found."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FindingKind(StrEnum):
    """Kinds of problems of a series."""

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


DAMAGE: Final = frozenset(
    {FindingKind.MISSING_IMAGE, FindingKind.WRONG_SIZE, FindingKind.WRONG_MD5, FindingKind.UNREADABLE_IMAGE}
)
"""Kinds which mean that images differ from their receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem. `path` is relative to the library; the UID is empty for a damaged receipt without a store entry."""

    kind: FindingKind
    series_instance_uid: str
    path: str
    sentence: str
