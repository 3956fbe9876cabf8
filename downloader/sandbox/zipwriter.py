"""ZIPs byte for byte in the shape that Java's ZipOutputStream gives them (docs/archives.md#zip-bytes), made while they are sent.

Every member: deflate, flags 0x0808, zero CRC and sizes in the local header, a descriptor of 16 bytes (24 beyond 4 GiB) behind the
data, no extra field. Zip64 only in the central directory, and only where a figure needs it.

Source: APPNOTE.TXT 6.3.10 §4.3; docs/archives.md#zip-bytes.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from isal import isal_zlib

Buffer = bytes | memoryview

_FLAGS: Final = 0x0808
_DEFLATE: Final = 8
_VERSION: Final = 20
_ZIP64_VERSION: Final = 45
_MAX_32: Final = 0xFFFFFFFF
_MAX_16: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMember:
    """One member. `chunks` is called when its turn comes, so nothing is held before.

    `crc_error` is XORed into the CRC-32 and `size_error` added to the size that descriptor and directory tell: lies for tests.
    """

    name: str
    chunks: Callable[[], Iterable[Buffer]]
    crc_error: int = 0
    size_error: int = 0


@dataclass(frozen=True, slots=True)
class _Written:
    name: bytes
    crc: int
    compressed_bytes: int
    size_bytes: int
    offset: int


def zip_stream(members: Iterable[ZipMember], modified_at: datetime) -> Iterator[bytes]:
    """Yield a ZIP of these members in pieces, each about as large as the chunk it came from.

    Args:
        members: in the order in which they are written; taken one by one.
        modified_at: the time every member gets, as MS-DOS writes it.
    """
    stamp = _dos_time(modified_at)
    written: list[_Written] = []
    offset = 0
    for member in members:
        name = member.name.encode("utf-8", "surrogateescape")
        header = struct.pack("<4s3HI3I2H", b"PK\x03\x04", _VERSION, _FLAGS, _DEFLATE, stamp, 0, 0, 0, len(name), 0) + name
        yield header
        crc = size_bytes = compressed_bytes = 0
        compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
        for chunk in member.chunks():
            crc = isal_zlib.crc32(chunk, crc)
            size_bytes += len(chunk)
            piece = compressor.compress(chunk)
            compressed_bytes += len(piece)
            if piece:
                yield piece
        rest = compressor.flush()
        compressed_bytes += len(rest)
        entry = _Written(name, crc ^ member.crc_error, compressed_bytes, size_bytes + member.size_error, offset)
        descriptor = _descriptor(entry)
        yield rest + descriptor
        written.append(entry)
        offset += len(header) + compressed_bytes + len(descriptor)
    directory_bytes = 0
    for entry in written:
        line = _directory_line(entry, stamp)
        directory_bytes += len(line)
        yield line
    yield _directory_end(len(written), directory_bytes, offset)


def _dos_time(at: datetime) -> int:
    """Time in the low and date in the high 16 bits (APPNOTE §4.4.6)."""
    clock = at.hour << 11 | at.minute << 5 | at.second // 2
    return (max(at.year - 1980, 0) << 9 | at.month << 5 | at.day) << 16 | clock


def _descriptor(entry: _Written) -> bytes:
    large = entry.compressed_bytes >= _MAX_32 or entry.size_bytes >= _MAX_32
    form = "<4sI2Q" if large else "<4s3I"
    return struct.pack(form, b"PK\x07\x08", entry.crc, entry.compressed_bytes, entry.size_bytes)


def _directory_line(entry: _Written, stamp: int) -> bytes:
    figures = (entry.size_bytes, entry.compressed_bytes, entry.offset)
    large = [figure for figure in figures if figure >= _MAX_32]
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    size_bytes, compressed_bytes, offset = (min(figure, _MAX_32) for figure in figures)
    version = _ZIP64_VERSION if large else _VERSION
    line = struct.pack(
        "<4s4H4I5H2I",
        b"PK\x01\x02",
        version,
        version,
        _FLAGS,
        _DEFLATE,
        stamp,
        entry.crc,
        compressed_bytes,
        size_bytes,
        len(entry.name),
        len(extra),
        0,
        0,
        0,
        0,
        offset,
    )
    return line + entry.name + extra


def _directory_end(count: int, directory_bytes: int, offset: int) -> bytes:
    zip64 = b""
    if count >= _MAX_16 or directory_bytes >= _MAX_32 or offset >= _MAX_32:
        version = _ZIP64_VERSION
        sizes = (count, count, directory_bytes, offset)
        zip64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, version, version, 0, 0, *sizes)
        zip64 += struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + directory_bytes, 1)
    shown = min(count, _MAX_16)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, shown, shown, min(directory_bytes, _MAX_32), min(offset, _MAX_32), 0)
    return zip64 + end
