"""Identifies, with pydicom, images that the scanner cannot parse.

Use it only for images whose MD5 matches that of the archive. pydicom may raise almost any exception on malformed input, so this
is the only module that handles its errors. It reads a limited part of the file, and no deflated data set, because pydicom would
inflate all of it.
"""

import logging
import struct
import warnings
from functools import cache
from io import BytesIO
from types import ModuleType
from typing import Final

from downloader.dicomstream.scanner import DicomIdentity, integer_of, printable_uid
from downloader.dicomstream.walker import DEFLATED_SYNTAXES
from downloader.errors import NotDicomError
from downloader.model import is_dicom_uid

HEAD_BYTES: Final = 2 * 1024 * 1024
"""How much of the beginning of a file is read."""
_DEFERRED_BYTES: Final = 1024
_SOP_CLASS_UID: Final = 0x0008_0016
_SOP_INSTANCE_UID: Final = 0x0008_0018
_SERIES_INSTANCE_UID: Final = 0x0020_000E
_ACQUISITION_NUMBER: Final = 0x0020_0012
_INSTANCE_NUMBER: Final = 0x0020_0013
_TAGS: Final = (_SOP_CLASS_UID, _SOP_INSTANCE_UID, _SERIES_INSTANCE_UID, _ACQUISITION_NUMBER, _INSTANCE_NUMBER)

# pydicom uses lengths, types and offsets of a file unchecked. These exceptions were seen, or are to be expected.
_PYDICOM_ERRORS: Final = (
    *(ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, Warning, struct.error),
)


def read_leniently(head: bytes, size_bytes: int) -> DicomIdentity:
    """The identifiers that pydicom finds. `sop_instance_uid` is empty if there is none.

    Args:
        head: the first HEAD_BYTES of the file, or all of it.
        size_bytes: the size of the whole file.

    Raises:
        NotDicomError: pydicom finds no Series Instance UID either.
    """
    if any(syntax.encode() in head for syntax in DEFLATED_SYNTAXES):
        raise NotDicomError("the deflated data set does not tell who it is")
    values = _read_values(head)
    series_instance_uid = printable_uid(values.get(_SERIES_INSTANCE_UID, b""))
    if not series_instance_uid:
        raise NotDicomError("pydicom finds no Series Instance UID (0020,000E) either")
    sop_class_uid = printable_uid(values.get(_SOP_CLASS_UID, b""))
    return DicomIdentity(
        sop_class_uid=sop_class_uid if is_dicom_uid(sop_class_uid) else "",
        sop_instance_uid=printable_uid(values.get(_SOP_INSTANCE_UID, b"")),
        series_instance_uid=series_instance_uid,
        instance_number=integer_of(values.get(_INSTANCE_NUMBER, b"")),
        acquisition_number=integer_of(values.get(_ACQUISITION_NUMBER, b"")),
        ends_whole=None,
        size_bytes=size_bytes,
    )


def _read_values(head: bytes) -> dict[int, bytes]:
    """The values of the elements as raw bytes: without conversion, pydicom validates nothing."""
    try:
        data_set = _pydicom().dcmread(
            BytesIO(head), force=True, stop_before_pixels=True, defer_size=_DEFERRED_BYTES, specific_tags=list(_TAGS)
        )
        found = {tag: data_set.get_item(tag) for tag in _TAGS if tag in data_set}
        values = {tag: element.value for tag, element in found.items()}
    except _PYDICOM_ERRORS as error:
        raise NotDicomError(f"pydicom cannot read it either ({type(error).__name__})") from error
    return {tag: value if isinstance(value, bytes) else str(value or "").encode() for tag, value in values.items()}


@cache
def _pydicom() -> ModuleType:
    """Import pydicom on first use: the import is slow and seldom needed. Its warnings are muted: the file is known to be odd."""
    import pydicom  # noqa: PLC0415

    warnings.filterwarnings("ignore", module=r"pydicom(\..*)?")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    return pydicom
