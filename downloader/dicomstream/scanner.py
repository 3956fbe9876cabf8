"""The scanner: preamble, file meta information, data set. Source: DICOM PS3.10 §7.1, PS3.5 §7 and §A.5."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from downloader.dicomstream.deflated import DeflatedHead
from downloader.dicomstream.image_classes import holds_pixels
from downloader.dicomstream.walker import (
    EXPLICIT_LITTLE,
    HEADER_BYTES,
    IMPLICIT_LITTLE,
    LONG_HEADER_BYTES,
    LONG_VRS,
    SHORT_VRS,
    SNIFF_BYTES,
    VALUE_BYTES_MAX,
    VRS,
    DataSetWalker,
    encoding_of,
    is_deflated,
)
from downloader.errors import NotDicomError
from downloader.model import is_dicom_uid

_PREFIX = b"DICM"
_PREFIX_POSITION = 128
_PREFIX_END = 132
_FIRST_GROUP = 0x0008
# groups 0002 and 0008 in little endian, 0008 in big endian
_FIRST_GROUPS_EXPLICIT = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
# File meta information usually has a few hundred bytes; a private element may be longer. More is not buffered in search of its
# end.
_META_BYTES_MAX = 1024 * 1024

_META_GROUP = 0x0002
_TRANSFER_SYNTAX_UID = 0x0010

_SOP_CLASS_UID = 0x0008_0016
_SOP_INSTANCE_UID = 0x0008_0018
_SERIES_INSTANCE_UID = 0x0020_000E
_ACQUISITION_NUMBER = 0x0020_0012
_INSTANCE_NUMBER = 0x0020_0013
_SAMPLES_PER_PIXEL = 0x0028_0002
_ROWS = 0x0028_0010
_IDENTITY = frozenset((_SOP_INSTANCE_UID, _SERIES_INSTANCE_UID))
_LAST_OF_IDENTITY = _INSTANCE_NUMBER
_PIXEL_DATA = 0x7FE0_0010
# Pixel Data Provider URL, Spectroscopy Data, Float, Double Float and plain Pixel Data
_PIXELS = frozenset((0x0028_7FE0, 0x5600_0020, 0x7FE0_0008, 0x7FE0_0009, _PIXEL_DATA))
_LOW_BYTES_OF_GROUPS_BEHIND_PIXELS = frozenset((b"\xe0", b"\xe1", b"\xfa", b"\xfc", b"\xfe"))
_PADDING = b"\0 "
# An archive that fails during a copy has sent whole buffers, of 512 bytes or a multiple.
_COPIED_BYTES = 512
_WANTED = _PIXELS | {
    _SOP_CLASS_UID,
    _SOP_INSTANCE_UID,
    _SERIES_INSTANCE_UID,
    _ACQUISITION_NUMBER,
    _INSTANCE_NUMBER,
    _ROWS,
}

# IS (PS3.5 table 6.2-1): 12 characters at most, padded with spaces
_INTEGER_STRING = re.compile(rb"[\0 ]*([+-]?[0-9]{1,12})[\0 ]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomIdentity:
    """The identifiers of a DICOM file.

    `sop_instance_uid` is the content of the file, even if it is not a valid UID: some images have UUIDs, letters or a trailing
    dot. Padding is stripped, and unprintable characters are escaped. `sop_class_uid` is empty if it is absent or not a UID.
    `instance_number` and `acquisition_number` are None if they are absent, empty or not an integer.

    `ends_whole` tells whether the data set ends where the file does, apart from padding. It is False if an element, item or
    sequence is truncated, or if an image lacks the pixels that its Rows announce. It is None if this is unknown: for deflated
    data sets, for bytes that no longer parse as elements, and for the bare header of an image. A file that is not an image and is
    cut exactly between two top-level elements counts as whole.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    instance_number: int | None
    acquisition_number: int | None
    ends_whole: bool | None
    size_bytes: int


class DicomScanner:
    """Scans one file, in a few kilobytes of memory. Discard the scanner after an error.

    A data set without preamble and file meta information is accepted as DICOM only if it begins with a valid first element and
    parses without irregularities (trailing zeros and stray delimiters are allowed), because any other bytes could be anything.
    """

    def __init__(self) -> None:
        self._size_bytes = 0
        self._head = b""
        self._has_preamble = False
        self._walker: DataSetWalker | None = None
        self._is_deflated = False
        self._take: Callable[[bytes], None] = self._take_head

    @property
    def has_identity(self) -> bool:
        """Whether `finish` is certain to return the identifiers. Without a preamble this is known only at the end of the file."""
        walker = self._walker
        if walker is None or not self._has_preamble or not _IDENTITY.issubset(walker.values):
            return False
        series_instance_uid = walker.values[_SERIES_INSTANCE_UID].strip(_PADDING).decode("ascii", "replace")
        return bool(walker.values[_SOP_INSTANCE_UID].strip(_PADDING)) and is_dicom_uid(series_instance_uid)

    def feed(self, data: bytes) -> None:
        """Scan the next bytes of the file.

        Raises:
            NotDicomError: the file does not begin as a DICOM file must.
        """
        self._size_bytes += len(data)
        self._take(data)

    def finish(self) -> DicomIdentity:
        """End the file, and return its identifiers.

        Raises:
            NotDicomError: the file is not DICOM, or has no SOP Instance UID or no valid Series Instance UID.
        """
        if self._walker is None and self._size_bytes < _PREFIX_END:
            self._begin(self._head, 0)
        walker = self._walker
        if walker is None:
            raise NotDicomError(f"the file of {self._size_bytes:,} bytes ends before its data set begins")
        walker.finish()
        if not self._has_preamble and (walker.is_odd or walker.is_lost):
            raise NotDicomError("the file has no DICOM preamble, and does not read as a data set either")
        return DicomIdentity(
            sop_class_uid=_sop_class_uid_in(walker),
            sop_instance_uid=_text_in(walker, _SOP_INSTANCE_UID, "SOP Instance UID (0008,0018)"),
            series_instance_uid=_uid_in(walker, _SERIES_INSTANCE_UID, "Series Instance UID (0020,000E)"),
            instance_number=_integer_in(walker, _INSTANCE_NUMBER),
            acquisition_number=_integer_in(walker, _ACQUISITION_NUMBER),
            ends_whole=None if self._is_deflated else _ends_whole(walker, self._size_bytes),
            size_bytes=self._size_bytes,
        )

    def _take_head(self, data: bytes) -> None:
        self._head += data
        head = self._head
        if len(head) < _PREFIX_END:
            return
        self._has_preamble = head[_PREFIX_POSITION:_PREFIX_END] == _PREFIX
        self._begin(head, _PREFIX_END if self._has_preamble else 0)

    def _begin(self, head: bytes, position: int) -> None:
        """Find the beginning and the encoding of the data set, and start the walker; return if more bytes are needed."""
        if not self._has_preamble and not _begins_as_data_set(head):
            raise NotDicomError(f"the file is not DICOM: it begins with {head[:16]!r}")
        meta = _read_file_meta(head, position)
        if meta is None:
            if len(head) > _META_BYTES_MAX:
                raise NotDicomError("the file meta information does not end")
            return
        self._head = b""
        if is_deflated(meta.transfer_syntax_uid):
            self._is_deflated = True
            self._walker = DataSetWalker(EXPLICIT_LITTLE, _WANTED)
            self._take = DeflatedHead(self._walker, _LAST_OF_IDENTITY).feed
            self._take(head[meta.end_position :])
        else:
            self._walker = DataSetWalker(encoding_of(head, meta.end_position, meta.transfer_syntax_uid), _WANTED)
            self._take = self._walker.feed
            self._walker.feed(head, meta.end_position)


@dataclass(frozen=True, slots=True)
class _FileMeta:
    """The file meta information: the transfer syntax, and where the data set begins (`end_position`).

    `transfer_syntax_uid` is empty if it is missing; files that are bare data sets have no file meta information at all.
    """

    transfer_syntax_uid: str
    end_position: int


def _read_file_meta(head: bytes, position: int) -> _FileMeta | None:
    """Read group 0002 from `position`; None if its end and the next SNIFF_BYTES are not in `head` yet.

    The group ends where another group begins: some files have a missing or wrong group length (0002,0000).
    """
    transfer_syntax_uid = ""
    while position + SNIFF_BYTES <= len(head):
        if int.from_bytes(head[position : position + 2], "little") != _META_GROUP:
            return _FileMeta(transfer_syntax_uid, position)
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


def _begins_as_data_set(head: bytes) -> bool:
    """Whether a file without preamble begins with group 0002 or 0008, in either byte order, and a plausible VR or length."""
    if len(head) < HEADER_BYTES:
        return False
    if head[4:SNIFF_BYTES] in VRS:
        return head[:2] in _FIRST_GROUPS_EXPLICIT
    group, _, length = IMPLICIT_LITTLE.plain.unpack_from(head)
    return bool(group == _FIRST_GROUP and length <= VALUE_BYTES_MAX)


def _text_in(walker: DataSetWalker, tag: int, name: str) -> str:
    value = walker.values.get(tag, b"").strip(_PADDING)
    if not value:
        raise NotDicomError(f"the file carries no {name}")
    return printable_uid(value)


def printable_uid(value: bytes) -> str:
    """The text of an identifier, with unprintable characters escaped."""
    text = value.strip(_PADDING).decode("latin-1")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _uid_in(walker: DataSetWalker, tag: int, name: str) -> str:
    if tag not in walker.values:
        raise NotDicomError(f"the file carries no {name}")
    value = walker.values[tag].strip(_PADDING)
    text = value.decode("ascii", "replace")
    if not is_dicom_uid(text):
        raise NotDicomError(f"the {name} is no DICOM UID: {value[:64]!r}")
    return text


def _sop_class_uid_in(walker: DataSetWalker) -> str:
    text = walker.values.get(_SOP_CLASS_UID, b"").strip(_PADDING).decode("ascii", "replace")
    return text if is_dicom_uid(text) else ""


def _integer_in(walker: DataSetWalker, tag: int) -> int | None:
    return integer_of(walker.values.get(tag, b""))


def integer_of(value: bytes) -> int | None:
    """The value of an integer string (VR IS); None if it is empty or invalid."""
    match = _INTEGER_STRING.fullmatch(value)
    return int(match[1]) if match else None


def _ends_whole(walker: DataSetWalker, size_bytes: int) -> bool | None:
    if walker.is_lost:
        return None
    if walker.is_padded or walker.is_at_boundary or _is_behind_pixels(walker):
        if not _lacks_pixels(walker):
            return True
        return None if _is_bare(walker, size_bytes) or walker.is_odd else False
    return None if walker.is_odd else False


def _is_bare(walker: DataSetWalker, size_bytes: int) -> bool:
    """Whether the file may be the complete header of an image without its pixels; a cut between two late elements looks the same.

    Every image has an Instance Number, which may be empty (PS3.3 §C.7.6.1), and Rows where its pixels are described (PS3.3
    §C.7.6.3).
    """
    if _ROWS in walker.values or _INSTANCE_NUMBER not in walker.values or size_bytes % _COPIED_BYTES == 0:
        return False
    return not _SAMPLES_PER_PIXEL <= walker.last_tag < _ROWS


def _is_behind_pixels(walker: DataSetWalker) -> bool:
    """Whether the bytes after the pixel data, such as a line break, cannot be the beginning of another element."""
    leftover = walker.leftover
    if walker.last_tag != _PIXEL_DATA or not 0 < len(leftover) < HEADER_BYTES:
        return False
    # Elements after the pixel data have a higher group (PS3.5 §7.1). Its low byte comes first; those of FFFA and FFFC are known.
    if len(leftover) == 1:
        return leftover not in _LOW_BYTES_OF_GROUPS_BEHIND_PIXELS
    return int.from_bytes(leftover[:2], "little") < _PIXEL_DATA >> 16


def _lacks_pixels(walker: DataSetWalker) -> bool:
    """Whether a file that is an image, by its SOP class or its Rows, ends before its pixel data."""
    if not _PIXELS.isdisjoint(walker.values):
        return False
    return _ROWS in walker.values or holds_pixels(_sop_class_uid_in(walker))
