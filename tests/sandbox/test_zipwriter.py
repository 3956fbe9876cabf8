"""ZIPs have the shape that Java's ZipOutputStream gives them, and everybody can read them."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from zipfile import ZipFile

import pytest

from downloader.sandbox.zipwriter import ZipMember, zip_stream

NOON = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
MIB = 1024 * 1024


def _member(name: str, *chunks: bytes) -> ZipMember:
    return ZipMember(name=name, chunks=lambda: chunks)


def test_what_goes_in_comes_out() -> None:
    """The standard library reads the same names, bytes and time, and finds every CRC in order."""
    data = b"".join(zip_stream([_member("LICENSE", b"text"), _member("1.dcm", b"a" * 9000, b"b"), _member("µ", b"")], NOON))
    with ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["LICENSE", "1.dcm", "µ"]
        assert archive.read("1.dcm") == b"a" * 9000 + b"b"
        assert archive.infolist()[0].date_time == (2026, 11, 23, 12, 34, 56)


def test_local_headers_tell_nothing() -> None:
    """Deflate, flags 0x0808, version 20, zero CRC and sizes, no extra field, and a signed descriptor behind the data."""
    data = b"".join(zip_stream([_member("1.dcm", b"pixels")], NOON))
    version, flags, method, _, crc, compressed, size, name_length, extra_length = struct.unpack_from("<3H4I2H", data, 4)
    assert (version, flags, method, crc, compressed, size, extra_length) == (20, 0x0808, 8, 0, 0, 0, 0)
    with ZipFile(BytesIO(data)) as archive:
        info = archive.infolist()[0]
    descriptor = data.index(b"PK\x07\x08")
    assert descriptor == 30 + name_length + info.compress_size
    assert struct.unpack_from("<3I", data, descriptor + 4) == (info.CRC, info.compress_size, 6)
    assert (info.create_version, info.extract_version, info.create_system, info.extra) == (20, 20, 0, b"")


def test_no_members_make_22_bytes() -> None:
    """The smallest ZIP is nothing but its end."""
    assert b"".join(zip_stream([], NOON)) == b"PK\x05\x06" + bytes(18)


def test_lies_are_told_in_descriptor_and_directory_alike() -> None:
    """A wrong CRC or size looks the same everywhere, so only the data gives it away."""
    member = ZipMember(name="1.dcm", chunks=lambda: [b"pixels"], crc_error=1, size_error=2)
    data = b"".join(zip_stream([member], NOON))
    with ZipFile(BytesIO(data)) as archive:
        info = archive.infolist()[0]
    assert info.file_size == 8
    assert struct.unpack_from("<3I", data, data.index(b"PK\x07\x08") + 4)[::2] == (info.CRC, 8)


def test_more_members_than_16_bits_count() -> None:
    """70,000 members take the zip64 directory, and each is still there."""
    members = (_member(f"{number}.dcm", b"x") for number in range(70_000))
    data = b"".join(zip_stream(members, NOON))
    with ZipFile(BytesIO(data)) as archive:
        assert len(archive.namelist()) == 70_000
        assert archive.read("69999.dcm") == b"x"


def _zeros(count_bytes: int) -> Iterator[bytes]:
    block = bytes(8 * MIB)
    while count_bytes:
        yield block[:count_bytes]
        count_bytes -= min(count_bytes, len(block))


@pytest.mark.parametrize(("beyond", "descriptor_bytes"), [(-1, 16), (0, 24)])
def test_descriptors_grow_at_4_gib(beyond: int, descriptor_bytes: int) -> None:
    """The local header stays as it is; descriptor and directory take 8-byte sizes from 4 GiB - 1 on."""
    size_bytes = 0xFFFFFFFF + beyond
    data = b"".join(zip_stream([ZipMember(name="1.dcm", chunks=partial(_zeros, size_bytes))], NOON))
    with ZipFile(BytesIO(data)) as archive:
        info = archive.infolist()[0]
    assert info.file_size == size_bytes
    assert info.extract_version == (20 if descriptor_bytes == 16 else 45)
    assert data.rindex(b"PK\x01\x02") - data.rindex(b"PK\x07\x08") == descriptor_bytes
    assert struct.unpack_from("<H", data, 4) == (20,)
