"""Formats of ZIP records. The functions are pure: they parse bytes and keep no state.

Source: APPNOTE 6.3.10 §4.3 and §4.4 (.ZIP File Format Specification, PKWARE).
"""

from struct import Struct
from typing import NamedTuple

from downloader.errors import CorruptZipError, UnsafeMemberError
from downloader.zipstream.members import ZipMember

LOCAL_SIGNATURE = b"PK\x03\x04"
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
CENTRAL_SIGNATURE = b"PK\x01\x02"
ZIP64_END_SIGNATURE = b"PK\x06\x06"
ZIP64_LOCATOR_SIGNATURE = b"PK\x06\x07"
END_SIGNATURE = b"PK\x05\x06"
SIGNATURE_BYTES = 4

STORED = 0
DEFLATED = 8

# No file system accepts a longer name (PATH_MAX), and names stay in memory until the central directory has been compared.
NAME_BYTES_MAX = 4096

_FLAG_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_FLAG_DESCRIPTOR = 0x0008
_FLAG_PATCHED = 0x0020
_FLAG_UTF8 = 0x0800
_IN_ZIP64_16 = 0xFFFF
_IN_ZIP64_32 = 0xFFFF_FFFF
_ZIP64_EXTRA = 0x0001

# signature, version needed, flags, method, time, date, CRC-32, compressed size, size, name length, extra length
_LOCAL = Struct("<4s5H3I2H")
# signature, version made by, version needed, flags, method, time, date, CRC-32, compressed size, size, name length, extra length,
# comment length, disk, internal attributes, external attributes, offset of the local header
_CENTRAL = Struct("<4s6H3I5H2I")
# signature, disk, disk of the directory, members on this disk, members, directory size, directory offset, comment length
_END = Struct("<4s4H2IH")
# signature, size of the rest, version made by, version needed, disk, disk of the directory, members on this disk, members,
# directory size, directory offset
_ZIP64_END = Struct("<4sQ2H2I4Q")
# signature, disk of the ZIP64 end record, its offset, number of disks
_ZIP64_LOCATOR = Struct("<4sIQI")
_EXTRA = Struct("<2H")
_ZIP64_VALUE = Struct("<Q")
_DESCRIPTOR_32 = Struct("<3I")
_DESCRIPTOR_64 = Struct("<I2Q")

LOCAL_BYTES = _LOCAL.size
CENTRAL_BYTES = _CENTRAL.size
END_BYTES = _END.size
ZIP64_END_BYTES = _ZIP64_END.size
ZIP64_LOCATOR_BYTES = _ZIP64_LOCATOR.size
_AFTER_MEMBER = (LOCAL_SIGNATURE, CENTRAL_SIGNATURE, ZIP64_END_SIGNATURE, END_SIGNATURE)
# The longest descriptor and the signature of the next record. An end record is longer than that, so these bytes always exist.
DESCRIPTOR_WINDOW_BYTES = SIGNATURE_BYTES + _DESCRIPTOR_64.size + SIGNATURE_BYTES


class LocalHeader(NamedTuple):
    """A local file header. With `has_descriptor`, CRC-32 and sizes are unknown here and follow the data."""

    name: str
    method: int
    has_descriptor: bool
    crc32: int
    compressed_bytes: int
    size_bytes: int


class DirectoryExtent(NamedTuple):
    """Number of members in a central directory, its length, and its offset."""

    members: int
    directory_bytes: int
    offset_bytes: int


def local_header_bytes(buffer: bytes, position: int) -> int:
    """Length of the local header whose fixed part begins at `position`."""
    *_, name_bytes, extra_bytes = _LOCAL.unpack_from(buffer, position)
    return int(LOCAL_BYTES + name_bytes + extra_bytes)


def parse_local_header(buffer: bytes, position: int, member: str) -> LocalHeader:
    """Parse a complete local header; errors name the member as `member`."""
    _, _, flags, method, _, _, crc32, compressed, size, name_bytes, extra_bytes = _LOCAL.unpack_from(buffer, position)
    _refuse_unreadable(flags, method, member)
    name_end = position + LOCAL_BYTES + name_bytes
    name = _decode_name(buffer[name_end - name_bytes : name_end], flags, member)
    if flags & _FLAG_DESCRIPTOR:
        if method == STORED:
            raise CorruptZipError(f"{member} is stored without its size, so its end cannot be found")
        return LocalHeader(name, method, True, 0, 0, 0)
    if compressed == _IN_ZIP64_32 or size == _IN_ZIP64_32:
        extra = buffer[name_end : name_end + extra_bytes]
        size, compressed = _widen(extra, (size, compressed), member)
    return LocalHeader(name, method, False, crc32, compressed, size)


def descriptor_bytes(window: bytes, crc32: int, compressed_bytes: int, size_bytes: int) -> int:
    """Length of the descriptor with these values at the start of `window`; 0 if there is none.

    The signature is optional, sizes take 4 or 8 bytes, and nothing before the central directory tells which form is used. So all
    four forms are tried, and the signature of a record must follow (APPNOTE 4.3.9, docs/archives.md#zip-bytes).
    """
    forms = []
    if compressed_bytes <= _IN_ZIP64_32 and size_bytes <= _IN_ZIP64_32:
        forms.append(_DESCRIPTOR_32.pack(crc32, compressed_bytes, size_bytes))
    forms.append(_DESCRIPTOR_64.pack(crc32, compressed_bytes, size_bytes))
    for form in forms:
        for descriptor in (DESCRIPTOR_SIGNATURE + form, form):
            end = len(descriptor)
            following = window[end : end + SIGNATURE_BYTES]
            if window.startswith(descriptor) and following in _AFTER_MEMBER:
                return end
    return 0


def central_header_bytes(buffer: bytes, position: int) -> int:
    """Length of the central directory header whose fixed part begins at `position`."""
    name_bytes, extra_bytes, comment_bytes = _CENTRAL.unpack_from(buffer, position)[10:13]
    return int(CENTRAL_BYTES + name_bytes + extra_bytes + comment_bytes)


def parse_central_header(buffer: bytes, position: int, member: str) -> ZipMember:
    """Parse a complete central directory header; errors name the member as `member`."""
    fields = _CENTRAL.unpack_from(buffer, position)
    flags, method = fields[3:5]
    crc32, compressed, size, name_bytes, extra_bytes = fields[7:12]
    offset = fields[16]
    name_end = position + CENTRAL_BYTES + name_bytes
    name = _decode_name(buffer[name_end - name_bytes : name_end], flags, member)
    if _IN_ZIP64_32 in (size, compressed, offset):
        extra = buffer[name_end : name_end + extra_bytes]
        size, compressed, offset = _widen(extra, (size, compressed, offset), member)
    return ZipMember(name, size, compressed, crc32, method, offset)


def zip64_end_bytes(buffer: bytes, position: int) -> int:
    """Length of the ZIP64 end record whose fixed part begins at `position`; its size field does not count the first 12 bytes."""
    rest_bytes: int = _ZIP64_END.unpack_from(buffer, position)[1]
    return 12 + rest_bytes


def check_zip64_end(buffer: bytes, position: int, true: DirectoryExtent) -> None:
    """Raise CorruptZipError unless the ZIP64 end record describes the directory that was read."""
    _, _, _, _, disk, directory_disk, disk_members, *extent = _ZIP64_END.unpack_from(buffer, position)
    if disk or directory_disk or disk_members != true.members or DirectoryExtent(*extent) != true:
        raise CorruptZipError(f"the ZIP64 end record says {DirectoryExtent(*extent)}, what came is {true}")


def check_zip64_locator(buffer: bytes, position: int, end_offset_bytes: int) -> None:
    """Raise CorruptZipError unless the locator points to the ZIP64 end record before it."""
    signature, disk, offset, disks = _ZIP64_LOCATOR.unpack_from(buffer, position)
    if signature != ZIP64_LOCATOR_SIGNATURE or disk or offset != end_offset_bytes or disks > 1:
        raise CorruptZipError("the ZIP64 end record is not followed by a locator that points to it")


def check_end(buffer: bytes, position: int, true: DirectoryExtent, *, has_zip64: bool) -> int:
    """Raise CorruptZipError unless the end record describes the directory that was read; return the length of its comment.

    If there is a ZIP64 end record, any field may hold 0xFFFF or 0xFFFFFFFF instead of its value (APPNOTE 4.4.1.4).
    """
    _, disk, directory_disk, disk_members, members, size, offset, comment_bytes = _END.unpack_from(buffer, position)
    narrow = (disk, directory_disk, disk_members, members, size, offset)
    wide = (0, 0, true.members, true.members, true.directory_bytes, true.offset_bytes)
    marks = (_IN_ZIP64_16,) * 4 + (_IN_ZIP64_32,) * 2
    for said, is_true, mark in zip(narrow, wide, marks, strict=True):
        if said != is_true and not (has_zip64 and said == mark):
            raise CorruptZipError(f"the end record says {DirectoryExtent(members, size, offset)}, what came is {true}")
    return int(comment_bytes)


def _refuse_unreadable(flags: int, method: int, member: str) -> None:
    if flags & _FLAG_ENCRYPTED:
        raise CorruptZipError(f"{member} is encrypted")
    if flags & _FLAG_PATCHED or method not in (STORED, DEFLATED):
        raise CorruptZipError(f"{member} is compressed by a method other than deflate ({method})")


def _decode_name(name: bytes, flags: int, member: str) -> str:
    if len(name) > NAME_BYTES_MAX:
        raise UnsafeMemberError(f"{member} has a name of {len(name):,} bytes")
    if not flags & _FLAG_UTF8:
        return name.decode("cp437")
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise CorruptZipError(f"the name of {member} is not the UTF-8 that it claims to be") from error


def _widen(extra: bytes, narrow: tuple[int, ...], member: str) -> list[int]:
    """Replace each 0xFFFFFFFF in `narrow` by the next value of the ZIP64 extra field (APPNOTE 4.5.3).

    Without that field the values are final: a size of exactly 0xFFFFFFFF is valid.
    """
    zip64 = _zip64_extra(extra)
    if zip64 is None:
        return list(narrow)
    wide, position = [], 0
    for value in narrow:
        if value != _IN_ZIP64_32:
            wide.append(value)
            continue
        if position + _ZIP64_VALUE.size > len(zip64):
            raise CorruptZipError(f"the ZIP64 sizes of {member} are cut short")
        wide += _ZIP64_VALUE.unpack_from(zip64, position)
        position += _ZIP64_VALUE.size
    return wide


def _zip64_extra(extra: bytes) -> bytes | None:
    """The ZIP64 block of the extra fields, or None."""
    position = 0
    while position + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, position)
        position += _EXTRA.size
        if kind == _ZIP64_EXTRA:
            return extra[position : position + length]
        position += length
    return None
