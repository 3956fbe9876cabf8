"""What the reader refuses, and what it says then."""

import random
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downloader.errors import CorruptZipError, TransferError, TruncatedZipError, UnsafeMemberError
from downloader.zipstream import MemberData, MemberStarted, ZipEvent, ZipLimits, ZipReader
from tests.zipstream.making import MEMBERS, Crafted, chunks_of, crafted_zip, read_events, read_members, standard_zip

CRAFTED = [Crafted.of(name, content) for name, content in MEMBERS]
WIDE = [replace(member, wide_descriptor=True) for member in CRAFTED]
KINDS = {
    "streamed": standard_zip(MEMBERS),
    "streamed zip64 with comment": standard_zip(MEMBERS, zip64=True, comment=b"PK\5\6 within a comment"),
    "seekable": standard_zip(MEMBERS, streamed=False),
    "stored": standard_zip(MEMBERS, streamed=False, method=zipfile.ZIP_STORED),
    "as the archive writes it": crafted_zip(CRAFTED),
    "with descriptors of 24 bytes": crafted_zip(WIDE),
    "with zip64 end": crafted_zip(CRAFTED, zip64_end=True, comment=b"comment"),
    "empty": standard_zip([]),
}


@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS)
def test_a_cut_at_every_byte_is_an_error(body: bytes) -> None:
    """No beginning of a ZIP passes for a ZIP."""
    for end in range(len(body)):
        with pytest.raises(TruncatedZipError):
            read_events([body[:end]])


@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS)
def test_a_flipped_bit_never_changes_what_passes(body: bytes) -> None:
    """A changed bit is an error, or in a field that says nothing about names and contents (a date, an attribute)."""
    honest = read_members(body)
    for position in range(len(body)):
        for bit in range(8):
            flipped = bytearray(body)
            flipped[position] ^= 1 << bit
            try:
                assert read_members(bytes(flipped)) == honest
            except TransferError:
                continue


@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS)
def test_a_missing_or_doubled_piece_never_passes(body: bytes) -> None:
    """A proxy that drops or repeats bytes is found out, wherever it does."""
    for start in range(0, len(body), 3):
        for size in (1, 8, 50):
            end = min(start + size, len(body))
            for broken in (body[:start] + body[end:], body[:end] + body[start:]):
                with pytest.raises(TransferError):
                    read_events([broken])


@given(body=st.binary(max_size=400), chunk_bytes=st.integers(1, 100))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_raise_only_our_errors(body: bytes, chunk_bytes: int) -> None:
    """Whatever an archive sends, the reader answers in the tree's own words."""
    for candidate in (body, b"PK\3\4" + body, b"PK\5\6" + body, KINDS["streamed"][:-30] + body):
        with pytest.raises(TransferError):
            read_events(chunks_of(candidate, chunk_bytes))


@given(
    kind=st.sampled_from(sorted(KINDS)),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
@settings(max_examples=400, deadline=None)
def test_mangled_zips_raise_only_our_errors(kind: str, edits: list[tuple[float, int]]) -> None:
    """Several changed bytes at once lead to no other error either."""
    body = bytearray(KINDS[kind])
    for place, value in edits:
        body[int(place * len(body))] = value
    try:
        read_members(bytes(body), 64)
    except TransferError:
        return


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the ZIP ends in the header of member 1, at byte 0"),
        (crafted_zip(CRAFTED)[:40], "in member 1"),
        (crafted_zip(CRAFTED)[: len(CRAFTED[0].local())], "in the descriptor of member 1"),
        (crafted_zip(CRAFTED)[: len(CRAFTED[0].local()) + 12], "in the header of member 2"),
        (crafted_zip(CRAFTED)[: sum(len(member.local()) for member in CRAFTED) + 60], "central directory, after 1 of 4 members"),
        (crafted_zip(CRAFTED)[:-1], "inside the end record"),
    ],
)
def test_a_cut_zip_says_where_it_ends(body: bytes, says: str) -> None:
    """The message tells the member and the byte, to be compared with other attempts."""
    with pytest.raises(TruncatedZipError, match=says):
        read_events([body])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html><body>Service Unavailable", "begins like HTML or XML: b'<html>"),
        (b'{"errorMessage": "denied"}', "begins like JSON"),
        (b"\x1b[31mred\r\n", r"begins with: b'\\x1b\[31m"),
        (b"PK00PK\3\4", "begins with: b'PK00"),
        (b"P!", "begins with: b'P!'"),
    ],
)
def test_other_bodies_are_named(body: bytes, says: str) -> None:
    """What came instead of a ZIP is shown in its first bytes, with control characters escaped."""
    with pytest.raises(CorruptZipError, match=says):
        read_events([body])


def test_bytes_after_the_end_are_refused() -> None:
    """Something was appended, so something else may have been changed."""
    for body in (KINDS["streamed"], KINDS["empty"]):
        for chunks in ([body + b"\0"], [body, b"\0"]):
            with pytest.raises(CorruptZipError, match="bytes follow the end"):
                read_events(chunks)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"crc32": 1}, "contradicts the ZIP"),
        ({"size_bytes": 7}, "contradicts the ZIP"),
        ({"compressed_bytes": 7}, "contradicts the ZIP"),
        ({"listed_crc32": 1}, "contradicts member 2: crc32 is 1 there"),
        ({"listed_size_bytes": 7}, "contradicts member 2: size_bytes is 7 there"),
        ({"listed_compressed_bytes": 7}, "contradicts member 2: compressed_bytes is 7 there"),
        ({"listed_name": b"other"}, "contradicts member 2: name is 'other' there"),
        ({"listed_offset_shift": 1}, "contradicts member 2: offset_bytes"),
        ({"flags": 0x0809}, "member 2 at byte [0-9]+ is encrypted"),
        ({"method": 14}, r"other than deflate \(14\)"),
        ({"method": 0}, "stored without its size"),
        ({"name": b"\xff"}, "not the UTF-8"),
        ({"data": b"\xff\xff\xff"}, "cannot be decompressed"),
    ],
)
def test_members_that_contradict_themselves_or_the_directory(changes: dict[str, object], says: str) -> None:
    """Each lie about the second of three members is found."""
    members = [CRAFTED[0], Crafted.of("1-1.dcm", b"image" * 30, **changes), CRAFTED[2]]
    with pytest.raises(CorruptZipError, match=says):
        read_events([crafted_zip(members)])


@pytest.mark.parametrize("zip64_end", [True, False])
@pytest.mark.parametrize("shift", ["count_shift", "size_shift", "offset_shift"])
def test_an_end_record_that_contradicts_the_directory(shift: str, zip64_end: bool) -> None:
    """Count, size and offset must be those of the directory that was read."""
    for amount in (1, -1):
        with pytest.raises(CorruptZipError, match="end record says"):
            read_events([crafted_zip(CRAFTED, zip64_end=zip64_end, **{shift: amount})])  # type: ignore[arg-type]


def test_a_directory_that_lists_other_members() -> None:
    """One missing, one more, one twice, or another order: the directory must list exactly what came."""
    for listed, says in (
        ([0, 1, 2], "lists 3 members, 4 came"),
        ([0, 1, 2, 3, 3], "lists a member 5 that was not received"),
        ([0, 1, 1, 3], "contradicts member 3"),
        ([1, 0, 2, 3], "contradicts member 1"),
        ([], "lists 0 members, 4 came"),
    ):
        with pytest.raises(CorruptZipError, match=says):
            read_events([crafted_zip(CRAFTED, listed=listed)])


def test_a_zip64_locator_that_points_elsewhere() -> None:
    """The locator must lead to the ZIP64 end record, and that must have an honest length."""
    body = crafted_zip(CRAFTED, zip64_end=True)
    locator, end = body.index(b"PK\6\7"), body.index(b"PK\6\6")
    moved = body[: locator + 8] + struct.pack("<Q", end + 1) + body[locator + 16 :]
    with pytest.raises(CorruptZipError, match="locator"):
        read_events([moved])
    for length in (43, 1 << 40):
        with pytest.raises(CorruptZipError, match="claims"):
            read_events([body[: end + 4] + struct.pack("<Q", length) + body[end + 12 :]])


def test_zip64_sizes_that_are_cut_short() -> None:
    """A local header that leaves its sizes to an extra field must have that field whole."""
    extra = struct.pack("<2HQ", 1, 8, 5)
    header = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, 1, len(extra))
    with pytest.raises(CorruptZipError, match="ZIP64 sizes of member 1 at byte 0 are cut short"):
        read_events([header + b"x" + extra])


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("limits", [ZipLimits(member_bytes=3_000_000), ZipLimits(total_bytes=3_000_000)])
def test_a_bomb_is_stopped_before_it_goes_off(streamed: bool, limits: ZipLimits) -> None:
    """A bomb is refused after no more than the limit has been inflated, whatever its headers announce."""
    method = zipfile.ZIP_DEFLATED if streamed else zipfile.ZIP_STORED
    body = standard_zip([("ok", b"k"), ("bomb", bytes(20_000_000))], streamed=streamed, method=method)
    events: list[ZipEvent] = []
    with pytest.raises(UnsafeMemberError, match=r"member 2 at byte [0-9]+ inflates to more than is allowed"):
        events.extend(ZipReader(limits).feed(body))
    assert sum(len(event.data) for event in events if isinstance(event, MemberData)) <= 3_000_000


def test_a_member_without_end_and_content_is_refused() -> None:
    """Empty deflate blocks inflate to nothing for ever: no limit of what comes out of them is ever reached."""
    header = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0x0808, 8, 0, 33, 0, 0, 0, 1, 0) + b"x"
    empty_blocks = b"\0\0\0\xff\xff" * 100_000
    reader = ZipReader(ZipLimits(member_bytes=1_000_000))
    assert [type(event) for event in reader.feed(header)] == [MemberStarted]
    for _ in range(4):
        assert list(reader.feed(empty_blocks)) == []
    with pytest.raises(UnsafeMemberError, match="member 1 at byte 0 continues without content"):
        list(reader.feed(empty_blocks))


def test_what_cannot_be_packed_is_no_bomb() -> None:
    """Noise deflates to a little more than it is, and so does what a writer flushes after each few bytes."""
    noise = random.Random(1).randbytes(3_000_000)
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [packer.compress(noise[start : start + 64]) + packer.flush(zlib.Z_SYNC_FLUSH) for start in range(0, len(noise), 64)]
    member = Crafted.of("noise", noise)
    data = b"".join(pieces) + packer.flush()
    flushed = replace(member, data=data, compressed_bytes=len(data), listed_compressed_bytes=len(data))
    for one in (member, flushed):
        _, summary = read_events([crafted_zip([one])], ZipLimits(member_bytes=len(noise)))
        assert summary.members[0].size_bytes == len(noise)


def test_total_bytes_are_counted_over_all_members() -> None:
    """Many members within the limit of one are together a bomb too."""
    body = standard_zip([(f"{number}", bytes(1000)) for number in range(10)])
    assert len(read_events([body], ZipLimits(total_bytes=10_000))[1].members) == 10
    with pytest.raises(UnsafeMemberError, match="member 10"):
        read_events([body], ZipLimits(total_bytes=9_999))


def test_too_many_members_are_refused() -> None:
    """The member beyond the limit is not begun."""
    body = standard_zip([(f"{number}", b"") for number in range(4)])
    assert len(read_events([body], ZipLimits(member_count=4))[1].members) == 4
    events: list[ZipEvent] = []
    with pytest.raises(UnsafeMemberError, match="more than 3 members"):
        events.extend(ZipReader(ZipLimits(member_count=3)).feed(body))
    assert sum(isinstance(event, MemberStarted) for event in events) == 3


def test_names_that_no_file_system_takes_are_refused() -> None:
    """Names are kept until the directory has confirmed them, so they are bounded."""
    with pytest.raises(UnsafeMemberError, match="name of 5,000 bytes"):
        read_events([crafted_zip([Crafted.of("x" * 5000, b"")])])
