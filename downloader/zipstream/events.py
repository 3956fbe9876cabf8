"""What the reader tells while a ZIP passes by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberStarted:
    """A member begins. `name` is the ZIP's word for it: unchecked, perhaps not unique, never to be used as a path."""

    name: str


@dataclass(frozen=True, slots=True)
class MemberData:
    """Uncompressed bytes, 1 to about a million, of the member that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MemberEnded:
    """The member that began last is whole: its CRC-32 and size hold."""

    size_bytes: int
    crc32: int


ZipEvent = MemberStarted | MemberData | MemberEnded
