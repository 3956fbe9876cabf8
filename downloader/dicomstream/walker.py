"""Walks a data set element by element as its bytes arrive, and keeps only the wanted values.

Elements, sequences and items of defined length are skipped. Only those of undefined length are entered, because nothing else
shows where they end: sequences, their items, and encapsulated pixel data, whose fragments have the layout of items (PS3.5 §7.5,
§A.4). So the walker always knows how many bytes must follow, which distinguishes a whole file from a truncated one.

Source for the layout of elements in each transfer syntax: DICOM PS3.5 §7.1, §10, annex A.
"""

from collections.abc import Collection
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


# Longer values are skipped: no identifier or number is longer, and this bounds the memory of the scanner.
VALUE_BYTES_MAX = 1024
# Real data sets have less than ten levels of nesting.
_DEPTH_MAX = 64

_ITEM = 0xFFFE_E000
_ITEM_DELIMITER = 0xFFFE_E00D
_SEQUENCE_DELIMITER = 0xFFFE_E0DD
_STRAY_DELIMITERS = frozenset((_ITEM_DELIMITER, _SEQUENCE_DELIMITER))
# Maximum distance to look ahead after an element without a known VR: a 2-byte length and the headers around it.
_ODD_BYTES_MAX = 0x1_0000 + 2 * LONG_HEADER_BYTES


class DataSetWalker:
    """Walks one data set.

    Attributes:
        values: the values of the `wanted` top-level elements that arrived completely, by tag; b"" for nested and too long values.
        is_odd: a top-level element was out of order or had no known VR. The walker may have misread the structure, so that a data
            set that looks truncated may be whole, with something else after it.
        is_lost: the bytes are not an element where one must begin; the walk has stopped.
        is_padded: zeros follow the last element: some writers pad their last block.
    """

    def __init__(self, encoding: Encoding, wanted: Collection[int]) -> None:
        self.values: dict[int, bytes] = {}
        self.is_odd = False
        self.is_lost = False
        self.is_padded = False
        self._wanted = frozenset(wanted)
        self._encoding = encoding
        self._expects_items = False
        self._enclosing: list[tuple[bool, Encoding]] = []
        self._last_tag = -1
        self._skip_bytes = 0
        self._kept = b""
        self._has_ended = False

    @property
    def is_at_boundary(self) -> bool:
        """Whether every element, item and sequence that began has ended."""
        return not (self._skip_bytes or self._kept or self._enclosing)

    @property
    def last_tag(self) -> int:
        """The tag of the last top-level element that began; -1 before the first."""
        return self._last_tag

    @property
    def leftover(self) -> bytes:
        """Unparsed bytes at top level: a partial element header, or a header whose value has not arrived."""
        return b"" if self._enclosing else self._kept

    def finish(self) -> None:
        """End the data set: bytes that were kept for more input are parsed as they are."""
        self._has_ended = True
        if self._kept:
            self.feed(b"")

    def feed(self, data: bytes, position: int = 0) -> None:
        """Continue the walk with `data`, from `position`."""
        if self.is_padded:
            self._check_padding(data[position:])
            return
        if self._skip_bytes > len(data) - position or (self._skip_bytes == len(data) - position and not self._has_ended):
            self._skip_bytes -= len(data) - position
            return
        if self._kept:
            data, position, self._kept = self._kept + data[position:], 0, b""
        position += self._skip_bytes
        self._skip_bytes = 0
        while position + HEADER_BYTES <= len(data) and not (self.is_lost or self.is_padded):
            before = position
            walk = self._walk_items if self._expects_items else self._walk_elements
            position = walk(data, position)
            if position == before:
                break
        if self._has_stopped(data, position):
            return
        self._skip_bytes = max(position - len(data), 0)
        self._kept = data[position:]

    def _walk_elements(self, data: bytes, position: int) -> int:
        """Walk the elements of one data set until more bytes are needed, it ends, or an element must be entered."""
        encoding = self._encoding
        is_explicit, wanted, is_top = encoding.is_explicit, self._wanted, not self._enclosing
        unpack = encoding.header.unpack_from if is_explicit else encoding.plain.unpack_from
        last_header = len(data) - HEADER_BYTES
        while position <= last_header:
            start = position + HEADER_BYTES
            vr = b""
            if is_explicit:
                group, element, vr, length = unpack(data, position)
                if vr in LONG_VRS:
                    start = position + LONG_HEADER_BYTES
                    if start > len(data):
                        return position
                    (length,) = encoding.long_length.unpack_from(data, position + HEADER_BYTES)
                elif vr not in SHORT_VRS:
                    header = self._read_odd(data, position)
                    if header is None:
                        return position
                    start, length = header
            else:
                group, element, length = unpack(data, position)
            tag = group << 16 | element
            if group == DELIMITER_GROUP:
                return self._leave(position, tag, closes=tag == _ITEM_DELIMITER)
            if is_top:
                if tag == 0 and length == 0 and self._last_tag > 0:
                    self.is_padded = True
                    return position
                if tag in wanted and not self._keep(tag, data, start, length):
                    return position
                self.is_odd = self.is_odd or tag <= self._last_tag
                self._last_tag = tag
            if length == UNDEFINED_LENGTH:
                self._enter(expects_items=True, encoding=IMPLICIT_LITTLE if vr == b"UN" else encoding)
                return start
            position = start + length
        return position

    def _read_odd(self, data: bytes, position: int) -> tuple[int, int] | None:
        """Start and length of the value of an element without a known VR; None if more bytes are needed.

        It is a delimiter, a future VR, an invalid VR (`??`, lower case), or an element in implicit VR, to which some writers
        change within a sequence. The next bytes decide: after the correct length, another element begins.
        """
        start = position + HEADER_BYTES
        unpack_long = self._encoding.long_length.unpack_from
        (implicit,) = unpack_long(data, position + 4)
        group, element, vr, short = self._encoding.header.unpack_from(data, position)
        if group == DELIMITER_GROUP:
            return start, implicit
        has_letters = vr.isascii() and vr.strip()
        readings = [(start, short), (start, implicit)] if has_letters else [(start, implicit)]
        if len(data) >= start + 4 and not short:
            # PS3.5 §6.2: future VRs have 2 reserved bytes and a length of 4 bytes
            readings.insert(1, (start + 4, *unpack_long(data, start)))
        is_undecided = False
        for value_start, length in readings:
            follows = self._is_followed(data, value_start + length, group << 16 | element)
            if follows:
                return value_start, length
            is_undecided = is_undecided or follows is None
        if is_undecided and not self._has_ended and len(data) - position <= _ODD_BYTES_MAX:
            return None
        self.is_odd = self.is_odd or not self._enclosing
        # same choice as pydicom
        return (start, short) if vr.isalpha() and vr.isupper() else (start, implicit)

    def _is_followed(self, data: bytes, position: int, tag: int) -> bool | None:
        """Whether an element that may follow `tag`, or the end of the data set, is at `position`; None if it has not arrived."""
        if position + SNIFF_BYTES > len(data):
            return position == len(data) if self._has_ended else None
        group, element = self._encoding.header.unpack_from(data[position : position + HEADER_BYTES].ljust(HEADER_BYTES, b"\0"))[
            :2
        ]
        if group == DELIMITER_GROUP:
            return element in {_ITEM_DELIMITER & 0xFFFF, _SEQUENCE_DELIMITER & 0xFFFF}
        return (group << 16 | element) > tag and data[position + 4 : position + SNIFF_BYTES] in VRS

    def _keep(self, tag: int, data: bytes, start: int, length: int) -> bool:
        """Keep a wanted value; False if it has not arrived completely."""
        if length > VALUE_BYTES_MAX:
            self.values[tag] = b""
            return True
        if start + length > len(data):
            return False
        self.values[tag] = data[start : start + length]
        return True

    def _walk_items(self, data: bytes, position: int) -> int:
        """Walk the items of a sequence, or fragments, until more bytes are needed, they end, or an item must be entered."""
        unpack = self._encoding.plain.unpack_from
        while position + HEADER_BYTES <= len(data):
            group, element, length = unpack(data, position)
            tag = group << 16 | element
            start = position + HEADER_BYTES
            if tag != _ITEM:
                return self._leave(position, tag, closes=tag == _SEQUENCE_DELIMITER)
            if length != UNDEFINED_LENGTH:
                position = start + length
                continue
            if start + HEADER_BYTES > len(data):
                return position
            self._enter(expects_items=False, encoding=self._item_encoding(data, start))
            return start
        return position

    def _item_encoding(self, data: bytes, start: int) -> Encoding:
        """The encoding of the elements of an item, which may differ from the enclosing data set (PS3.5 §6.2.2, note 2)."""
        group, _, _ = self._encoding.plain.unpack_from(data, start)
        has_vr = data[start + 4 : start + SNIFF_BYTES] in VRS
        if group == DELIMITER_GROUP or has_vr == self._encoding.is_explicit:
            return self._encoding
        return EXPLICIT_LITTLE if has_vr else IMPLICIT_LITTLE

    def _enter(self, *, expects_items: bool, encoding: Encoding) -> None:
        self._enclosing.append((self._expects_items, self._encoding))
        self._expects_items, self._encoding = expects_items, encoding
        self.is_lost = len(self._enclosing) > _DEPTH_MAX

    def _leave(self, position: int, tag: int, *, closes: bool) -> int:
        """Skip the delimiter at `position`, and leave the sequence or item that it `closes`.

        At top level, stray delimiters are skipped, as other readers do. Anywhere else, a delimiter that closes nothing ends the
        walk.
        """
        if not self._enclosing and tag in _STRAY_DELIMITERS:
            return position + HEADER_BYTES
        if not closes or not self._enclosing:
            self.is_lost = True
            return position
        self._expects_items, self._encoding = self._enclosing.pop()
        return position + HEADER_BYTES

    def _has_stopped(self, data: bytes, position: int) -> bool:
        if self.is_padded:
            self._check_padding(data[position:])
            return True
        return self.is_lost

    def _check_padding(self, data: bytes) -> None:
        """Accept only zeros as padding; any other bytes after the data set are unknown content."""
        if data.strip(b"\0"):
            self.is_odd = self.is_lost = True
            self.is_padded = False
