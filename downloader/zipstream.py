"""Sans-I/O ZIP reader (placeholder of the events' shapes; being written)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberStarted:
    """A member begins."""

    name: str


@dataclass(frozen=True, slots=True)
class MemberData:
    """Uncompressed bytes of the member that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MemberEnded:
    """The member that began last is whole: its CRC-32 and size hold."""

    size_bytes: int
    crc32: int


ZipEvent = MemberStarted | MemberData | MemberEnded
