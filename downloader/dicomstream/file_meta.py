"""The file meta information: group 0002, always in explicit VR little endian. Source: DICOM PS3.10 §7.1."""

from dataclasses import dataclass

from downloader.dicomstream.encoding import (
    EXPLICIT_LITTLE,
    HEADER_BYTES,
    LONG_HEADER_BYTES,
    LONG_VRS,
    SHORT_VRS,
    SNIFF_BYTES,
)

META_GROUP = 0x0002
_TRANSFER_SYNTAX_UID = 0x0010


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file meta information says of the data set, which begins at `end_position`.

    `transfer_syntax_uid` is empty where it is missing, as is the whole group in files that are bare data sets.
    """

    transfer_syntax_uid: str
    end_position: int


def read_file_meta(head: bytes, position: int) -> FileMeta | None:
    """Read group 0002 from `position` on; None while its end, and the first bytes of what follows, have not come.

    The group ends where another begins: its own length (0002,0000) is missing or wrong in some files.
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
            # in implicit VR, against the standard, as some old writers have it
            length = EXPLICIT_LITTLE.plain.unpack_from(head, position)[2]
        position = start + length
        if element == _TRANSFER_SYNTAX_UID:
            transfer_syntax_uid = head[start:position].strip(b"\0 ").decode("ascii", "replace")
    return None
