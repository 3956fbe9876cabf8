"""Element layout of each transfer syntax, and the file meta information that names the transfer syntax.

Source: DICOM PS3.5 §7.1, §10, annex A; PS3.10 §7.1.
"""

from dataclasses import dataclass
from struct import Struct

# PS3.5 table 7.1-2: the length takes 2 bytes; and table 7.1-1: 2 reserved bytes, and the length takes 4
SHORT_VRS = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO"),
        *(b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
VRS = SHORT_VRS | LONG_VRS

# The minimum length of an element header; explicit VR with a long length adds 4 bytes.
HEADER_BYTES = 8
LONG_HEADER_BYTES = 12
# Tag and VR: the bytes that distinguish explicit from implicit VR.
SNIFF_BYTES = 6

UNDEFINED_LENGTH = 0xFFFF_FFFF
DELIMITER_GROUP = 0xFFFE

_EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# PS3.5 §A.5, and the JPIP syntaxes that deflate the whole data set (PS3.6 table A-1)
DEFLATED_SYNTAXES = frozenset(("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))


@dataclass(frozen=True, slots=True)
class Encoding:
    """Layout of element headers: `header` for explicit VR; `plain` for implicit VR, delimiters and items."""

    is_explicit: bool
    header: Struct
    plain: Struct
    long_length: Struct


EXPLICIT_LITTLE = Encoding(True, Struct("<HH2sH"), Struct("<HHI"), Struct("<I"))
EXPLICIT_BIG = Encoding(True, Struct(">HH2sH"), Struct(">HHI"), Struct(">I"))
IMPLICIT_LITTLE = Encoding(False, EXPLICIT_LITTLE.header, EXPLICIT_LITTLE.plain, EXPLICIT_LITTLE.long_length)


def is_deflated(transfer_syntax_uid: str) -> bool:
    """Whether everything after the file meta information is one raw deflate stream."""
    return transfer_syntax_uid in DEFLATED_SYNTAXES


def encoding_of(data: bytes, position: int, transfer_syntax_uid: str) -> Encoding:
    """The encoding of the data set at `position`, of which at least SNIFF_BYTES must be present.

    The first element decides between explicit and implicit VR, because some files contradict their own transfer syntax. If the
    transfer syntax is unknown (empty), a group of 0x0400 or more in little endian means big endian, because data sets begin with
    low groups.
    """
    if data[position + 4 : position + SNIFF_BYTES] not in VRS:
        return IMPLICIT_LITTLE
    looks_big = not transfer_syntax_uid and int.from_bytes(data[position : position + 2], "little") >= 0x0400
    return EXPLICIT_BIG if looks_big or transfer_syntax_uid == _EXPLICIT_BIG_ENDIAN else EXPLICIT_LITTLE


META_GROUP = 0x0002
_TRANSFER_SYNTAX_UID = 0x0010


@dataclass(frozen=True, slots=True)
class FileMeta:
    """The file meta information: the transfer syntax, and where the data set begins (`end_position`).

    `transfer_syntax_uid` is empty if it is missing; files that are bare data sets have no file meta information at all.
    """

    transfer_syntax_uid: str
    end_position: int


def read_file_meta(head: bytes, position: int) -> FileMeta | None:
    """Read group 0002 from `position`; None if its end and the next SNIFF_BYTES are not in `head` yet.

    The group ends where another group begins: some files have a missing or wrong group length (0002,0000).
    """
    transfer_syntax_uid = ""
    while position + SNIFF_BYTES <= len(head):
        if int.from_bytes(head[position : position + 2], "little") != META_GROUP:
            return FileMeta(transfer_syntax_uid, position)
        if position + LONG_HEADER_BYTES > len(head):
            return None
        _, element, vr, length = EXPLICIT_LITTLE.header.unpack_from(head, position)
        start = position + HEADER_BYTES
        if vr in LONG_VRS:
            (length,) = EXPLICIT_LITTLE.long_length.unpack_from(head, start)
            start = position + LONG_HEADER_BYTES
        elif vr not in SHORT_VRS:
            # Implicit VR: against the standard, but some old programs write it.
            length = EXPLICIT_LITTLE.plain.unpack_from(head, position)[2]
        position = start + length
        if element == _TRANSFER_SYNTAX_UID:
            transfer_syntax_uid = head[start:position].strip(b"\0 ").decode("ascii", "replace")
    return None
