"""Layouts that only ZIPs of many gigabytes have, read from their records alone."""

import struct

import pytest

from downloader.errors import CorruptZipError
from downloader.zipstream import ZipMember, records

HUGE_BYTES = 5 * 1024**3
PACKED_BYTES = 4_400_000_000


def central_header(size: int, compressed: int, offset: int, extra: bytes, *, flags: int = 0x0808) -> bytes:
    fields = (20, 45, flags, 8, 0, 33, 0xCAFE, compressed, size, 1, len(extra), 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields) + b"x" + extra


def test_a_descriptor_of_more_than_4_gib_has_24_bytes() -> None:
    """Sizes that need 8 bytes are never looked for in 4, not even when their low halves are there."""
    wide = struct.pack("<4sIQQ", b"PK\7\x08", 0xCAFE, PACKED_BYTES, HUGE_BYTES) + b"PK\1\2"
    assert records.descriptor_bytes(wide, 0xCAFE, PACKED_BYTES, HUGE_BYTES) == 24
    narrow = struct.pack("<4sIII", b"PK\7\x08", 0xCAFE, PACKED_BYTES & 0xFFFFFFFF, HUGE_BYTES & 0xFFFFFFFF) + b"PK\1\2"
    assert records.descriptor_bytes(narrow, 0xCAFE, PACKED_BYTES, HUGE_BYTES) == 0


def test_the_directory_keeps_large_values_in_an_extra_field() -> None:
    """Only the values marked 0xFFFFFFFF are in the ZIP64 field, in their order; other extra fields may come first."""
    other = struct.pack("<2HI", 0x5455, 4, 1)
    extra = other + struct.pack("<2HQQ", 1, 16, HUGE_BYTES, 1 << 40)
    header = central_header(0xFFFFFFFF, 77, 0xFFFFFFFF, extra)
    assert records.parse_central_header(header, 0, "member 1") == ZipMember("x", HUGE_BYTES, 77, 0xCAFE, 8, 1 << 40)


def test_a_value_may_happen_to_be_the_mark() -> None:
    """Without ZIP64 field 0xFFFFFFFF is a size like any other."""
    header = central_header(0xFFFFFFFF, 77, 5, b"\x55\x54\x01\x00\x00?")
    assert records.parse_central_header(header, 0, "member 1").size_bytes == 0xFFFFFFFF


def test_patch_data_is_not_an_image() -> None:
    """Flag 5 marks a difference to another file (APPNOTE 4.4.4)."""
    header = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0x0020, 8, 0, 33, 0, 0, 0, 1, 0) + b"x"
    with pytest.raises(CorruptZipError, match="method other than deflate"):
        records.parse_local_header(header, 0, "member 1")
