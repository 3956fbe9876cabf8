"""ZIPs for the reader's tests: by the standard library, and by hand where that writes no such thing."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from downloader.zipstream import MemberData, MemberEnded, MemberStarted, ZipEvent, ZipLimits, ZipReader, ZipSummary

Member = tuple[str, bytes]

MEMBERS: tuple[Member, ...] = (
    ("LICENSE", b"user agreement\n" * 3),
    ("1-01.dcm", bytes(range(200))),
    ("empty", b""),
    ("größe.dcm", b"x" * 90),
)


class Pipe(io.RawIOBase):
    """A file that cannot seek, so that `zipfile` writes descriptors."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        written = bytes(data)  # type: ignore[call-overload]
        self.content += written
        return len(written)


def standard_zip(
    members: Iterable[Member],
    *,
    method: int = zipfile.ZIP_DEFLATED,
    streamed: bool = True,
    zip64: bool = False,
    comment: bytes = b"",
) -> bytes:
    """A ZIP by the standard library; `streamed` gives descriptors, `zip64` forces ZIP64 local headers."""
    target = Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as writer:
        writer.comment = comment
        for name, content in members:
            with writer.open(name, "w", force_zip64=zip64) as member:
                member.write(content)
    return bytes(target.content) if isinstance(target, Pipe) else target.getvalue()


def deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


@dataclass(frozen=True)
class Crafted:
    """One member as the archive writes it, and what its directory header says, each to be replaced by a lie.

    Source: docs/archives.md#zip-bytes.
    """

    name: bytes
    listed_name: bytes
    data: bytes
    crc32: int
    compressed_bytes: int
    size_bytes: int
    listed_crc32: int
    listed_compressed_bytes: int
    listed_size_bytes: int
    listed_offset_shift: int = 0
    flags: int = 0x0808
    method: int = 8
    has_signature: bool = True
    wide_descriptor: bool = False

    @classmethod
    def of(cls, name: str, content: bytes, /, **changes: object) -> "Crafted":
        data, crc32 = deflate(content), zlib.crc32(content)
        honest = cls(name.encode(), name.encode(), data, crc32, len(data), len(content), crc32, len(data), len(content))
        return replace(honest, **changes)  # type: ignore[arg-type]

    def local(self) -> bytes:
        header = struct.pack("<4s5H3I2H", b"PK\3\4", 20, self.flags, self.method, 0, 33, 0, 0, 0, len(self.name), 0)
        signature = b"PK\7\x08" if self.has_signature else b""
        layout = "<IQQ" if self.wide_descriptor else "<III"
        return (
            header + self.name + self.data + signature + struct.pack(layout, self.crc32, self.compressed_bytes, self.size_bytes)
        )

    def central(self, offset: int) -> bytes:
        header = struct.pack(
            "<4s6H3I5H2I",
            *(b"PK\1\2", 20, 20, self.flags, self.method, 0, 33),
            *(self.listed_crc32, self.listed_compressed_bytes, self.listed_size_bytes),
            *(len(self.listed_name), 0, 0, 0, 0, 0, offset + self.listed_offset_shift),
        )
        return header + self.listed_name


def crafted_zip(
    members: Sequence[Crafted],
    *,
    listed: Sequence[int] | None = None,
    zip64_end: bool = False,
    count_shift: int = 0,
    size_shift: int = 0,
    offset_shift: int = 0,
    comment: bytes = b"",
) -> bytes:
    """A ZIP by hand: the directory lists the members of these positions; the shifts falsify its end record."""
    body, offsets = b"", []
    for member in members:
        offsets.append(len(body))
        body += member.local()
    positions = range(len(members)) if listed is None else listed
    directory = b"".join(members[position].central(offsets[position]) for position in positions)
    count, size, offset = len(positions) + count_shift, len(directory) + size_shift, len(body) + offset_shift
    end = b""
    if zip64_end:
        end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
        end += struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(directory), 1)
        count, size, offset = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    end += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, len(comment)) + comment
    return body + directory + end


def chunks_of(body: bytes, chunk_bytes: int) -> Iterable[bytes]:
    return (body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes))


def merged(events: Iterable[ZipEvent]) -> list[ZipEvent]:
    """The events with neighbouring data put together, since only their sum is promised."""
    result: list[ZipEvent] = []
    for event in events:
        if isinstance(event, MemberData) and result and isinstance(result[-1], MemberData):
            result[-1] = MemberData(result[-1].data + event.data)
        else:
            result.append(event)
    return result


def read_events(chunks: Iterable[bytes], limits: ZipLimits | None = None) -> tuple[list[ZipEvent], ZipSummary]:
    """Everything the reader says of these chunks."""
    reader = ZipReader(limits) if limits else ZipReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return merged(events), reader.finish()


def read_members(body: bytes, chunk_bytes: int = 1 << 20) -> list[Member]:
    """Names and contents of the members of a sound ZIP."""
    events, summary = read_events(chunks_of(body, chunk_bytes))
    members: list[Member] = []
    for event in events:
        match event:
            case MemberStarted(name):
                members.append((name, b""))
            case MemberData(data):
                members[-1] = (members[-1][0], data)
            case MemberEnded(size_bytes, crc32):
                content = members[-1][1]
                assert (size_bytes, crc32) == (len(content), zlib.crc32(content))
    assert [(member.name, member.size_bytes) for member in summary.members] == [(name, len(content)) for name, content in members]
    assert summary.received_bytes == len(body)
    return members
