"""ZIPs of generated images, as the archive creates them, composed of pieces that are deflated once.

Every image has its own header, and pixels from a small pool. Deflate streams can be concatenated after a full flush, so a
gigabyte of images takes seconds, deflated by zlib at level 6 as Java does it.

Source: docs/archives.md#zip-bytes.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

BLOCK_BYTES = 512 * 512 * 2
_POOL_BLOCKS = 48
_LEVEL = 6
_FLAGS = 0x0808
_LAST_BLOCK = b"\x03\x00"
_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
_LICENSE = b"Creative Commons Attribution 4.0 International License\nThese images were made up for a benchmark.\n" * 20
_SERIES_MARK, _IMAGE_MARK, _NUMBER_MARK = "9" * 40, "8" * 44, "77777777"


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """A series to generate: the number of images, and the bytes of pixels of each."""

    series_instance_uid: str
    image_count: int
    pixel_bytes: int


@dataclass(frozen=True, slots=True)
class MadeSeries:
    """The catalogue's attributes of a generated series."""

    plan: SeriesPlan
    file_size_bytes: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes, and their deflated form that ends at a byte boundary and has no back-references."""

    content: bytes
    deflated: bytes


@dataclass(frozen=True, slots=True)
class _Written:
    name: bytes
    crc32: int
    deflated_bytes: int
    size_bytes: int
    offset_bytes: int
    md5: str


class BodyMaker:
    """Generates the bodies of getImage; the same seed gives the same bodies."""

    def __init__(self, seed: int) -> None:
        self._pool = _make_pixels(np.random.default_rng(seed))
        self._pieces: dict[tuple[int, int], _Piece] = {}
        self._headers: dict[int, bytes] = {}

    def write(self, plan: SeriesPlan, write: Callable[[bytes], None]) -> MadeSeries:
        """Write the ZIP of one series: LICENSE first, md5hashes.csv last."""
        writer = _ZipWriter(write)
        writer.add("LICENSE", [_piece(_LICENSE)])
        images = [
            writer.add(f"1-{number:0{len(str(plan.image_count))}d}.dcm", self._image(plan, number))
            for number in range(1, plan.image_count + 1)
        ]
        md5_list = "Filename,MD5Hash\n" + "".join(f"{image.name.decode()},{image.md5}\n" for image in images)
        writer.add("md5hashes.csv", [_piece(md5_list.encode())])
        writer.finish()
        return MadeSeries(plan, sum(image.size_bytes for image in images), writer.offset_bytes)

    def _image(self, plan: SeriesPlan, number: int) -> list[_Piece]:
        if plan.pixel_bytes not in self._headers:
            self._headers[plan.pixel_bytes] = _make_header(plan.pixel_bytes)
        header = self._headers[plan.pixel_bytes]
        image_uid = f"{plan.series_instance_uid}.{number:0{len(_IMAGE_MARK) - len(_SERIES_MARK) - 1}d}"
        header = header.replace(_IMAGE_MARK.encode(), image_uid[-len(_IMAGE_MARK) :].encode().ljust(len(_IMAGE_MARK), b"\0"))
        header = header.replace(_SERIES_MARK.encode(), plan.series_instance_uid.encode().ljust(len(_SERIES_MARK), b"\0"))
        header = header.replace(_NUMBER_MARK.encode(), f"{number:8d}".encode())
        whole_blocks, rest_bytes = divmod(plan.pixel_bytes, BLOCK_BYTES)
        pixels = [self._pixels((number + block) % _POOL_BLOCKS, BLOCK_BYTES) for block in range(whole_blocks)]
        if rest_bytes:
            pixels.append(self._pixels(number % 4, rest_bytes))
        return [_piece(header), *pixels]

    def _pixels(self, block: int, size_bytes: int) -> _Piece:
        key = (block, size_bytes)
        if key not in self._pieces:
            start = (BLOCK_BYTES - size_bytes) // 2  # the middle of the block: its edge is only air
            self._pieces[key] = _piece(self._pool[block][start : start + size_bytes])
        return self._pieces[key]


class _ZipWriter:
    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.offset_bytes = 0
        self._write = write
        self._members: list[_Written] = []

    def add(self, name: str, pieces: list[_Piece]) -> _Written:
        encoded, offset_bytes = name.encode(), self.offset_bytes
        self._put(struct.pack("<4s3HI3I2H", b"PK\x03\x04", 20, _FLAGS, 8, 0, 0, 0, 0, len(encoded), 0) + encoded)
        began, crc32, size_bytes = self.offset_bytes, 0, 0
        digest = hashlib.md5(usedforsecurity=False)
        for piece in pieces:
            crc32 = zlib.crc32(piece.content, crc32)
            digest.update(piece.content)
            size_bytes += len(piece.content)
            self._put(piece.deflated)
        self._put(_LAST_BLOCK)
        deflated_bytes = self.offset_bytes - began
        self._put(struct.pack("<4s3I", b"PK\x07\x08", crc32, deflated_bytes, size_bytes))
        member = _Written(encoded, crc32, deflated_bytes, size_bytes, offset_bytes, digest.hexdigest())
        self._members.append(member)
        return member

    def finish(self) -> None:
        began = self.offset_bytes
        for member in self._members:
            figures = (
                member.crc32,
                member.deflated_bytes,
                member.size_bytes,
                len(member.name),
                0,
                0,
                0,
                0,
                0,
                member.offset_bytes,
            )
            self._put(struct.pack("<4s4HI3I5H2I", b"PK\x01\x02", 20, 20, _FLAGS, 8, 0, *figures) + member.name)
        count = len(self._members)
        self._put(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, self.offset_bytes - began, began, 0))

    def _put(self, data: bytes) -> None:
        self._write(data)
        self.offset_bytes += len(data)


def _piece(content: bytes) -> _Piece:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _Piece(content, compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH))


def _make_pixels(random: np.random.Generator) -> list[bytes]:
    """Blocks of 512 x 512 pixels of 16 bits: a round body with scanner noise, in uniform air."""
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    inside = x * x + y * y < 0.9
    body = 1000 + 300 * np.cos(3 * x) * np.cos(4 * y)
    blocks = []
    for _ in range(_POOL_BLOCKS):
        noise = random.normal(0, 20, (512, 512))
        blocks.append(np.where(inside, body + noise, 0).astype("<i2").tobytes())
    return blocks


def _make_header(pixel_bytes: int) -> bytes:
    """An image without its pixels, with placeholders for the UIDs and the number."""
    columns = 512 if pixel_bytes >= BLOCK_BYTES else max(1, pixel_bytes // 2 // max(1, int((pixel_bytes // 2) ** 0.5)))
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.UID(_CT_IMAGE_STORAGE)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(_IMAGE_MARK)
    dataset.StudyInstanceUID = pydicom.uid.UID("1.2.826.0.1.3680043.8.498.1")
    dataset.SeriesInstanceUID = pydicom.uid.UID(_SERIES_MARK)
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Benchmark", "benchmark", "CT"
    dataset.ImageComments = "A header of a CT image has about two kilobytes. " * 30
    dataset.InstanceNumber = _NUMBER_MARK
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = min(65_535, pixel_bytes // 2 // columns), columns
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    # Pixel Data (7FE0,0010), OW: the header is written here, because the pixels come from the pool
    return buffer.getvalue() + struct.pack("<2H2sHI", 0x7FE0, 0x0010, b"OW", 0, pixel_bytes)
