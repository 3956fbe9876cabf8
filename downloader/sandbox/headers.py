"""DICOM headers of generated images: those of a real CT or MR sample, with identifiers, numbers and geometry of their own.

pydicom reads the sample once. After that a header is a few dozen ready-made elements joined in the order of their tags, which
takes microseconds, so that a catalogue of many thousand images can tell its sizes at once.

Source: DICOM PS3.5 §7.1.2 (explicit VR little endian), PS3.10 §7.1 (file meta information).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

import pydicom
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from downloader.sandbox.builder import derived_uid
from downloader.sandbox.catalogue import GeneratedImages, Holding

_SAMPLE_BY_MODALITY: Final = {"CT": "CT_small.dcm", "MR": "MR_small.dcm"}

_EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_IMPLEMENTATION_UID: Final = "2.25.215412873640113865093116047839651904313"
_PIXEL_DATA: Final = 0x7FE00010
# Acquisition and content dates, other patient ids, comments, smallest and largest pixel: true of the sample's pixels only.
_LEFT_OUT: Final = frozenset({0x00080022, 0x00080023, 0x00080032, 0x00080033, 0x00101002, 0x00204000, 0x00280106, 0x00280107})
# Body parts of which there is one: Laterality must be absent (PS3.3 §C.7.3.1), otherwise it may be empty.
_LATERALITY: Final = 0x00200060
_UNPAIRED: Final = frozenset({"ABDOMEN", "BRAIN", "CHEST", "HEAD", "HEADNECK", "HEART", "LIVER", "NECK", "PELVIS", "PROSTATE"})
_START_MM: Final = -100.0
# Numbers take the same room in every image, so that all images of a series have one size.
_NUMBER_WIDTH: Final = 8
_DECIMAL_WIDTH: Final = 16


def sample_path(file_name: str) -> str:
    """Where pydicom keeps a shipped sample file; it is never downloaded.

    Raises:
        FileNotFoundError: pydicom ships no file of that name.
    """
    path = get_testdata_file(file_name, download=False)
    if not isinstance(path, str):
        raise FileNotFoundError(file_name)
    return path


@dataclass(frozen=True, slots=True)
class HeaderTemplate:
    """The elements that a sample lends: encoded, by tag."""

    sop_class_uid: str
    elements: Mapping[int, bytes]


@cache
def read_template(modality: str) -> HeaderTemplate:
    """Read the sample of a modality (CT or MR) and keep its public elements but the pixels."""
    dataset = pydicom.dcmread(sample_path(_SAMPLE_BY_MODALITY[modality]))
    elements: dict[int, bytes] = {}
    for element in dataset:
        tag = int(element.tag)
        if element.tag.is_private or tag in _LEFT_OUT or tag >= _PIXEL_DATA:
            continue
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_data_element(buffer, element)
        elements[tag] = buffer.getvalue()
    return HeaderTemplate(sop_class_uid=str(dataset.SOPClassUID), elements=elements)


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """What all images of one generated series share: encoded elements by tag."""

    sop_class_uid: str
    elements: Mapping[int, bytes]
    content: GeneratedImages
    series_instance_uid: str
    slice_thickness_mm: float

    def for_image(self, position: int) -> bytes:
        """Preamble, file meta information and data set up to the first pixel of the image at `position`, from 0."""
        uid = image_uid(self.series_instance_uid, position)
        acquisition, place = placed(self.content, position)
        z_mm = f"{_START_MM + place * self.slice_thickness_mm:.3f}".ljust(_DECIMAL_WIDTH)
        number = str(position + 1).ljust(_NUMBER_WIDTH) if self.content.numbered else ""
        pixels_bytes = self.content.rows * self.content.columns * 2
        own = {
            0x00080018: _text(0x00080018, "UI", uid),
            0x00200012: _text(0x00200012, "IS", str(acquisition).ljust(_NUMBER_WIDTH)),
            0x00200013: _text(0x00200013, "IS", number),
            0x00200032: _text(0x00200032, "DS", f"-158.135\\-179.035\\{z_mm}"),
            0x00201041: _text(0x00201041, "DS", z_mm),
            _PIXEL_DATA: struct.pack("<2H2sHI", 0x7FE0, 0x0010, b"OW", 0, pixels_bytes),
        }
        body = b"".join(encoded for _, encoded in sorted({**self.elements, **own}.items()))
        return _file_meta(self.sop_class_uid, uid) + body


def image_uid(series_instance_uid: str, position: int) -> str:
    """The SOP Instance UID of a series' image at `position`, from 0."""
    return derived_uid("image", series_instance_uid, position)


def placed(content: GeneratedImages, position: int) -> tuple[int, int]:
    """Acquisition Number, from 1, and place within that acquisition, from 0."""
    length = max(-(-content.image_count // content.acquisitions), 1)
    return position // length + 1, position % length


def header_for(template: HeaderTemplate, holding: Holding, content: GeneratedImages) -> SeriesHeader:
    """Encode what all images of this generated series share."""
    texts: dict[tuple[int, str], str | None] = {
        (0x00080005, "CS"): "ISO_IR 192",
        (0x00080020, "DA"): _date(holding.study.study_date) or "",
        (0x00080021, "DA"): _date(holding.series.series_date),
        (0x00080070, "LO"): holding.series.manufacturer or "",
        (0x00081030, "LO"): holding.study.study_description,
        (0x0008103E, "LO"): holding.series.series_description,
        (0x00081090, "LO"): holding.series.manufacturer_model_name,
        (0x00100010, "PN"): holding.patient.patient_name or "",
        (0x00100020, "LO"): holding.patient.patient_id,
        (0x00100040, "CS"): holding.patient.patient_sex or "",
        (0x00180015, "CS"): holding.series.body_part_examined,
        (0x00180050, "DS"): f"{holding.series.slice_thickness_mm:.4f}",
        (0x00181020, "LO"): holding.series.software_versions,
        (0x00181030, "LO"): holding.series.protocol_name,
        (0x0020000D, "UI"): holding.study.study_instance_uid,
        (0x0020000E, "UI"): holding.series.series_instance_uid,
        (0x00200010, "SH"): holding.study.study_id or "",
        (0x00200011, "IS"): "" if holding.series.series_number is None else str(holding.series.series_number),
        (0x00200052, "UI"): derived_uid("frame of reference", holding.study.study_instance_uid),
        (0x00280030, "DS"): "\\".join([f"{holding.series.pixel_spacing_mm:.6f}"] * 2),
    }
    own = {tag: _text(tag, vr, text) for (tag, vr), text in texts.items() if text is not None}
    sizes = {0x00280010: content.rows, 0x00280011: content.columns}
    own |= {tag: _element(tag, "US", struct.pack("<H", size)) for tag, size in sizes.items()}
    # Where the catalogue has no value, the sample's must not shine through.
    told = {tag for tag, _ in texts}
    if holding.series.body_part_examined in _UNPAIRED:
        told.add(_LATERALITY)
    lent = {tag: encoded for tag, encoded in template.elements.items() if tag not in told}
    return SeriesHeader(
        sop_class_uid=template.sop_class_uid,
        elements=lent | own,
        content=content,
        series_instance_uid=holding.series.series_instance_uid,
        slice_thickness_mm=holding.series.slice_thickness_mm,
    )


def _date(value: date | None) -> str | None:
    return f"{value:%Y%m%d}" if value else None


def _text(tag: int, vr: str, text: str) -> bytes:
    value = text.encode()
    padding = b"\0" if vr == "UI" else b" "
    return _element(tag, vr, value + padding * (len(value) % 2))


def _element(tag: int, vr: str, value: bytes) -> bytes:
    """A data element with a 16-bit length, which every VR used here has (PS3.5 §7.1.2, table 7.1-2)."""
    return struct.pack("<2H2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


def _file_meta(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Preamble, prefix and group 0002 (PS3.10 §7.1)."""
    version = struct.pack("<2H2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    group = version + b"".join(
        (
            _text(0x00020002, "UI", sop_class_uid),
            _text(0x00020003, "UI", sop_instance_uid),
            _text(0x00020010, "UI", _EXPLICIT_LITTLE_ENDIAN),
            _text(0x00020012, "UI", _IMPLEMENTATION_UID),
            _text(0x00020013, "SH", "TCIAD_SANDBOX"),
        )
    )
    return bytes(128) + b"DICM" + _element(0x00020000, "UL", struct.pack("<I", len(group))) + group
