"""Asks pydicom who an image is that the scanner cannot follow: it reads what the field's readers read.

Only for images whose bytes the archive's own digest vouches for. pydicom may raise nearly anything on odd input, so this is the
one place that knows its errors. It sees a bounded beginning of the file, and nothing deflated, since it would inflate all of it.
"""

import logging
import struct
import warnings
from functools import cache
from io import BytesIO
from types import ModuleType
from typing import Final

from downloader.dicomstream.encoding import DEFLATED_SYNTAXES
from downloader.dicomstream.scanner import DicomIdentity, integer_of, printable_uid
from downloader.errors import NotDicomError
from downloader.model import is_dicom_uid

HEAD_BYTES: Final = 2 * 1024 * 1024
"""How much of a file is looked at."""
_DEFERRED_BYTES: Final = 1024
_SOP_CLASS_UID: Final = 0x0008_0016
_SOP_INSTANCE_UID: Final = 0x0008_0018
_SERIES_INSTANCE_UID: Final = 0x0020_000E
_ACQUISITION_NUMBER: Final = 0x0020_0012
_INSTANCE_NUMBER: Final = 0x0020_0013
_TAGS: Final = (_SOP_CLASS_UID, _SOP_INSTANCE_UID, _SERIES_INSTANCE_UID, _ACQUISITION_NUMBER, _INSTANCE_NUMBER)

# Seen, or to be expected, from code that takes lengths, types and offsets as a file gives them.
_PYDICOM_ERRORS: Final = (
    *(ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, Warning, struct.error),
)


def read_leniently(head: bytes, size_bytes: int) -> DicomIdentity:
    """Who the file is by pydicom's account. `sop_instance_uid` is empty where it does not tell.

    Args:
        head: the first HEAD_BYTES of it, or all of it.
        size_bytes: how long the file is.

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
    """What the elements hold, as bytes: nothing is converted, and so nothing is judged."""
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
    """Imported when it is needed, which is seldom and takes a while; what it warns of is why it was asked."""
    import pydicom  # noqa: PLC0415

    warnings.filterwarnings("ignore", module=r"pydicom(\..*)?")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    return pydicom
