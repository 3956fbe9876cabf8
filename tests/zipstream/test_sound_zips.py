"""What the reader makes of ZIPs that are whole."""

import io
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downloader.zipstream import MemberData, MemberEnded, ZipReader
from tests.zipstream.making import (
    MEMBERS,
    Crafted,
    Member,
    chunks_of,
    crafted_zip,
    read_events,
    read_members,
    standard_zip,
)

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\\"), min_size=1, max_size=30)
members_of_zips = st.lists(st.tuples(names, st.binary(max_size=300)), max_size=6, unique_by=lambda member: member[0])


def every_kind() -> list[bytes]:
    crafted = [Crafted.of(name, content) for name, content in MEMBERS]
    return [
        standard_zip(MEMBERS),
        standard_zip(MEMBERS, zip64=True, comment=b"PK\5\6 within a comment"),
        standard_zip(MEMBERS, streamed=False),
        standard_zip(MEMBERS, streamed=False, method=zipfile.ZIP_STORED, zip64=True),
        crafted_zip(crafted),
        crafted_zip(crafted, zip64_end=True, comment=b"made by hand"),
    ]


@given(
    members=members_of_zips,
    streamed=st.booleans(),
    zip64=st.booleans(),
    comment=st.binary(max_size=50).filter(lambda comment: b"PK" not in comment),  # zipfile falls for these
    chunk_bytes=st.integers(1, 400),
)
@settings(max_examples=150, deadline=None)
def test_agrees_with_the_standard_library_on_what_it_deflates(
    members: list[Member], streamed: bool, zip64: bool, comment: bytes, chunk_bytes: int
) -> None:
    """The reader finds the members that `zipfile` wrote, in its order, and `zipfile` finds the same."""
    body = standard_zip(members, streamed=streamed, zip64=zip64, comment=comment)
    with zipfile.ZipFile(io.BytesIO(body)) as other:
        assert read_members(body, chunk_bytes) == [(info.filename, other.read(info)) for info in other.infolist()] == members


@given(members=members_of_zips, zip64=st.booleans(), chunk_bytes=st.integers(1, 400))
@settings(max_examples=50, deadline=None)
def test_agrees_with_the_standard_library_on_what_it_stores(members: list[Member], zip64: bool, chunk_bytes: int) -> None:
    """Stored members are read by the sizes in their local headers."""
    body = standard_zip(members, streamed=False, method=zipfile.ZIP_STORED, zip64=zip64)
    assert read_members(body, chunk_bytes) == members


@pytest.mark.parametrize("kind", range(6))
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_chunking_gives_the_same_events(kind: int, data: st.DataObject) -> None:
    """How the network cuts the body, empty chunks included, is of no consequence."""
    body = every_kind()[kind]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=30)))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read_events(chunks) == read_events([body])


@pytest.mark.parametrize("kind", range(6))
def test_byte_by_byte(kind: int) -> None:
    """The smallest chunks there are give the same events as one."""
    body = every_kind()[kind]
    assert read_events(chunks_of(body, 1)) == read_events([body])


def test_an_empty_zip_has_no_members() -> None:
    """The 22 bytes that the archive sends when it fails early are a valid ZIP (docs/archives.md#failed-downloads)."""
    body = standard_zip([])
    assert len(body) == 22
    assert read_members(body) == []


@pytest.mark.parametrize("has_signature", [True, False])
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("content", [b"", b"image" * 40])
def test_descriptors_of_12_16_20_and_24_bytes(has_signature: bool, wide: bool, content: bytes) -> None:
    """The local header never says which one follows; both a member and the directory may come next.

    Source: docs/archives.md#zip-bytes.
    """
    member = Crafted.of("1-1.dcm", content, has_signature=has_signature, wide_descriptor=wide)
    second = Crafted.of("1-2.dcm", content, has_signature=has_signature, wide_descriptor=wide)
    for chunk_bytes in (1, 7, 1000):
        assert read_members(crafted_zip([member, second]), chunk_bytes) == [("1-1.dcm", content), ("1-2.dcm", content)]


def test_a_descriptor_without_signature_whose_crc_is_that_signature() -> None:
    """A CRC-32 that happens to read PK 07 08 is not taken for the signature."""
    target = int.from_bytes(b"PK\7\x08", "little")
    content = b"forged" + _suffix_for_crc32(b"forged", target)
    assert zlib.crc32(content) == target
    body = crafted_zip([Crafted.of("1-1.dcm", content, has_signature=False)])
    assert read_members(body, 5) == [("1-1.dcm", content)]


def _suffix_for_crc32(prefix: bytes, target: int) -> bytes:
    """Four bytes after which the CRC-32 of the prefix is `target`: no two rows of its table share their top byte."""
    table = list(range(256))
    for _ in range(8):
        table = [row >> 1 ^ (0xEDB88320 if row & 1 else 0) for row in table]
    wanted, path = target ^ 0xFFFFFFFF, []
    for _ in range(4):
        path.append(next(index for index, row in enumerate(table) if row >> 24 == wanted >> 24))
        wanted = (wanted ^ table[path[-1]]) << 8 & 0xFFFFFFFF
    state, suffix = zlib.crc32(prefix) ^ 0xFFFFFFFF, bytearray()
    for index in reversed(path):
        suffix.append((state ^ index) & 0xFF)
        state = table[index] ^ state >> 8
    return bytes(suffix)


def test_seventy_thousand_members() -> None:
    """More members than 16 bits count need the ZIP64 end record; the directory is compared while it passes, never kept."""
    members = [(f"{number:08d}.dcm", b"%d" % number) for number in range(70_000)]
    body = standard_zip(members, streamed=False, method=zipfile.ZIP_STORED)
    assert b"PK\6\6" in body[-200:]
    reader = ZipReader()
    seen = 0
    for chunk in chunks_of(body, 8192):
        seen += sum(isinstance(event, MemberEnded) for event in reader.feed(chunk))
        assert len(reader._buffer) <= 8192 + 200
    assert seen == len(reader.finish().members) == 70_000


def test_names_are_passed_on_as_they_are() -> None:
    """Duplicates, traversals and control characters are for the library to judge; without UTF-8 flag, names are code page 437."""
    members = [
        Crafted.of("../x", b"1"),
        Crafted.of("../x", b"2"),
        Crafted.of("a\0b", b"3"),
        Crafted.of("?", b"4", name=b"\x81", listed_name=b"\x81", flags=0x0008),
    ]
    assert [name for name, _ in read_members(crafted_zip(members))] == ["../x", "../x", "a\0b", "ü"]


def test_data_comes_in_bounded_pieces() -> None:
    """However well a member is packed, no piece of it is larger than a megabyte, and pieces come before the member's end."""
    content = bytes(5_000_000)
    pieces = [event for event in ZipReader().feed(standard_zip([("zeros", content)])) if isinstance(event, MemberData)]
    assert max(len(piece.data) for piece in pieces) <= 1024 * 1024
    assert sum(len(piece.data) for piece in pieces) == len(content)
