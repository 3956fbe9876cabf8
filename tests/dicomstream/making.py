"""DICOM files for the scanner's tests: pydicom's own, and small ones written by hand, element by element."""

import struct
import warnings
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.filereader import data_element_generator

from downloader.dicomstream import DicomIdentity, DicomScanner

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"

SOP_INSTANCE_UID = "1.2.3.4"
SERIES_INSTANCE_UID = "1.2.3"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
RT_PLAN_STORAGE = "1.2.840.10008.5.1.4.1.1.481.5"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"

SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
UNDEFINED = 0xFFFFFFFF


def scan(chunks: Iterable[bytes]) -> DicomIdentity:
    scanner = DicomScanner()
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner.finish()


def element(tag: int, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """One element in explicit VR little endian; `length` replaces the true one."""
    length = len(value) if length is None else length
    header = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    is_long = vr in {"OB", "OW", "SQ", "UN", "UT"}
    return header + (struct.pack("<HI", 0, length) if is_long else struct.pack("<H", length)) + value


def implicit_element(tag: int, value: bytes, *, length: int | None = None) -> bytes:
    """One element in implicit VR little endian."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, *, is_delimited: bool) -> bytes:
    header = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED if is_delimited else len(content))
    return header + content + (ITEM_END if is_delimited else b"")


def identity_elements(
    *,
    sop_class_uid: str = RT_PLAN_STORAGE,
    sop_instance_uid: bytes = SOP_INSTANCE_UID.encode() + b"\0",
    series_instance_uid: bytes = SERIES_INSTANCE_UID.encode() + b"\0",
    acquisition_number: bytes = b"3 ",
    instance_number: bytes = b"12",
) -> bytes:
    return b"".join(
        (
            element(0x00080016, "UI", sop_class_uid.encode()),
            element(0x00080018, "UI", sop_instance_uid),
            element(0x0020000E, "UI", series_instance_uid),
            element(0x00200012, "IS", acquisition_number),
            element(0x00200013, "IS", instance_number),
        )
    )


def dicom_file(data_set: bytes, *, transfer_syntax_uid: str = EXPLICIT_LITTLE) -> bytes:
    """Preamble and file meta information before the data set."""
    syntax = transfer_syntax_uid.encode()
    meta = element(0x00020010, "UI", syntax + b"\0" * (len(syntax) % 2))
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + data_set


def pydicom_reads(path: Path | BytesIO) -> pydicom.Dataset:
    """What pydicom makes of the file, however odd it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, stop_before_pixels=True, force=True)


def boundaries(content: bytes) -> Iterator[int]:
    """Where the top-level elements of a file end, by pydicom's account."""
    opened = pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
    syntax = opened.file_meta.TransferSyntaxUID
    stream = BytesIO(content)
    # the file meta information's group length element takes 12 bytes behind preamble and prefix
    stream.seek(132 + 12 + opened.file_meta.FileMetaInformationGroupLength)
    for _ in data_element_generator(stream, syntax.is_implicit_VR, syntax.is_little_endian):
        yield stream.tell()
