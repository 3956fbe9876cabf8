"""Small real series, as a transfer brings them."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import PurePosixPath

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from downloader.errors import DamagedReceiptError, LibraryError
from downloader.library.model import FolderMove
from downloader.library.port import Library, LibraryParts
from downloader.library.sink import Staging
from downloader.model import (
    Image,
    ImageData,
    ImageEnded,
    ImageEvent,
    ImageStarted,
    LicenseReceived,
    Portion,
    Proof,
    Receipt,
    Series,
    TextStarted,
)

SERIES = Series(
    series_instance_uid="1.3.6.1.4.1.14519.5.2.1.100",
    study_instance_uid="1.3.6.1.4.1.14519.5.2.1.10",
    collection="LIDC-IDRI",
    patient_id="LIDC-IDRI-0001",
    modality="CT",
    series_number="3000566",
    series_description="chest / thin",
    study_date=date(2000, 1, 31),
    license_name="CC BY 3.0",
    license_uri="https://creativecommons.org/licenses/by/3.0/",
    image_count=3,
)


def dicom_file(
    series: Series, instance_number: int | None, *, acquisition_number: int | None = 1, sop_instance_uid: str = ""
) -> bytes:
    """A whole DICOM file (PS3.10 §7) of about 1 kB."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid or f"{series.series_instance_uid}.{instance_number}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID = series.series_instance_uid
    dataset.StudyInstanceUID = series.study_instance_uid or "1.2"
    if instance_number is not None:
        dataset.InstanceNumber = instance_number
    if acquisition_number is not None:
        dataset.AcquisitionNumber = acquisition_number
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.BitsStored = 16, 16, 16, 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes([instance_number or 0]) * 512
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def members_of(series: Series) -> dict[str, bytes]:
    """What getImage with NewFileNames sends: LICENSE, then three images out of order."""
    images = {f"1-0{number}.dcm": dicom_file(series, number) for number in (2, 1, 3)}
    return {"LICENSE": b"be kind\n", **images}


def events_of(images: Mapping[str, bytes], *, chunk_bytes: int = 700) -> Iterator[ImageEvent]:
    """The events of a transfer that brings these images, and the licence."""
    for name, content in images.items():
        if name == "LICENSE":
            yield TextStarted()
            yield LicenseReceived(content)
            continue
        yield ImageStarted(name)
        for start in range(0, len(content), chunk_bytes):
            yield ImageData(content[start : start + chunk_bytes])
        yield ImageEnded()


def take(staging: Staging, *events: ImageEvent, is_last: bool = False) -> None:
    """Let `staging` take these events as one portion."""
    staging.take(Portion(events=events, received_bytes=0, is_last=is_last))


def take_all(staging: Staging, images: Mapping[str, bytes], *, chunk_bytes: int = 700, is_last: bool = False) -> None:
    """Let `staging` take a transfer that brings these images; where it `is_last`, they may stay in memory."""
    staging.take(Portion(events=events_of(images, chunk_bytes=chunk_bytes), received_bytes=0, is_last=is_last))


def receipt_of(series: Series, images: tuple[Image, ...]) -> Receipt:
    """A receipt as an attempt writes one."""
    return Receipt(
        series=series,
        archive="tcia",
        generation="nbia_v4",
        completed_at=datetime(2026, 11, 23, 12, 30, 15, 250_000, tzinfo=UTC),
        tool_version="0.1.0",
        images=images,
        proof=Proof(size=True, md5_images=len(images), md5_blank=0),
        received_bytes=1234,
    )


def store(library: Library, series: Series, members: Mapping[str, bytes] | None = None) -> PurePosixPath:
    """Take a whole series into the library; returns its folder."""
    staging = library.begin(series)
    take_all(staging, members_of(series) if members is None else members)
    place = staging.commit(receipt_of(series, staging.named_images()))
    staging.discard()
    return place.folder


def md5_of(content: bytes) -> str:
    """Lower-case hex MD5."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


async def folders_of(library: LibraryParts) -> list[tuple[PurePosixPath, Receipt | DamagedReceiptError]]:
    """Every folder with a receipt, as a walk finds it."""
    walk, found = library.reader.walk(with_contents=False), []
    while page := await walk.take(100):
        found += [(one.folder, one.receipt) for one in page]
    return found


async def receipts_of(library: LibraryParts) -> list[tuple[PurePosixPath, Receipt]]:
    """Every receipt that can be believed, with its folder."""
    return [(folder, receipt) for folder, receipt in await folders_of(library) if isinstance(receipt, Receipt)]


async def place_for(
    library: LibraryParts, folder: PurePosixPath, series: Series, taken: Collection[PurePosixPath] = ()
) -> PurePosixPath:
    """Where a series that lies in `folder` belongs. Raises what keeps it there."""
    (place,) = (await library.maintenance.choose_places([FolderMove(folder=folder, series=series)], taken)).results
    if isinstance(place, LibraryError):
        raise place
    return place


async def move(library: LibraryParts, folder: PurePosixPath, series: Series) -> PurePosixPath:
    """Move a series to where it belongs. Raises what keeps it there."""
    moved = await library.maintenance.move([FolderMove(folder=folder, series=series)])
    for place in (moved.failure, *moved.results):
        if isinstance(place, LibraryError):
            raise place
    (place,) = moved.results
    assert isinstance(place, PurePosixPath)
    return place
