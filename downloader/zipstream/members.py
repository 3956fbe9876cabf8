"""Members of a ZIP that were read, and the summary of a whole ZIP."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A member as it was read, or as the central directory lists it: both must be equal.

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
    """A complete ZIP: CRC-32 and size of every member are correct, and the central directory lists exactly these members."""

    members: tuple[ZipMember, ...]
    received_bytes: int
