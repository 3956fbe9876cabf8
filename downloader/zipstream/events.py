"""The events that `ZipReader.feed` yields."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberStarted:
    """A member begins. `name` is the name in the ZIP: unchecked, possibly not unique, not safe as a path."""

    name: str


@dataclass(frozen=True, slots=True)
class MemberData:
    """Uncompressed bytes of the current member: at least 1, at most 1 MiB or one chunk of the body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MemberEnded:
    """The current member is complete, and its CRC-32 and size are correct."""

    size_bytes: int
    crc32: int


ZipEvent = MemberStarted | MemberData | MemberEnded
