"""What is known of a ZIP's members once they have passed by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A member as it came, or as the central directory lists it: the two must be equal.

    `method` is 0 (stored) or 8 (deflate); `offset_bytes` is where the local header begins (APPNOTE 4.4.5, 4.4.16).
    """

    name: str
    size_bytes: int
    compressed_bytes: int
    crc32: int
    method: int
    offset_bytes: int


@dataclass(frozen=True, slots=True)
class ZipSummary:
    """A ZIP that ended whole: every member held its CRC-32 and size, and the central directory lists exactly these."""

    members: tuple[ZipMember, ...]
    received_bytes: int
