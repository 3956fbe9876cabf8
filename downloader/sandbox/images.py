"""Images, made while they are sent: nothing larger than one chunk of pixels is ever held."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import md5
from io import BytesIO
from random import Random
from typing import Final

import pydicom

from downloader.sandbox.catalogue import GeneratedImages, Holding, SampleImages
from downloader.sandbox.headers import (
    SeriesHeader,
    header_for,
    image_uid,
    placed,
    read_template,
    sample_path,
)

Buffer = bytes | memoryview

_CHUNK_BYTES: Final = 256 * 1024
_NOISE_BYTES: Final = 2 * 1024 * 1024
# How often each byte from 0 to 7 stands among the 256: fast deflate brings such noise to 0.39 of its size.
_WEIGHTS: Final = (96, 64, 32, 32, 16, 8, 4, 4)


@cache
def _noise() -> bytes:
    """One block of noise; each chunk of pixels is a window into it, so that making pixels costs nothing.

    A window never comes back within the 32 KiB that deflate looks behind.
    """
    table = bytes(value for value, weight in enumerate(_WEIGHTS) for _ in range(weight))
    return Random(1).randbytes(_NOISE_BYTES).translate(table)  # noqa: S311 - pixels, not secrets


@dataclass(frozen=True, slots=True)
class SandboxImage:
    """One image. `chunks` makes its bytes anew each time; `position` counts from 0 in the order of the catalogue."""

    sop_instance_uid: str
    position: int
    instance_number: int | None
    acquisition_number: int | None
    size_bytes: int
    chunks: Callable[[], Iterator[Buffer]]


class Images:
    """Makes the images of any series, and remembers sizes and MD5 of those it made.

    One of these goes with one catalogue: what it remembers is kept by UID. Methods block for as long as hashing takes; worker
    threads may call them side by side (a digest computed twice is the same).
    """

    def __init__(self) -> None:
        self._samples: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._owners: dict[str, Holding] = {}
        self._noise = memoryview(_noise())

    def of(self, holding: Holding) -> Sequence[SandboxImage]:
        """All images of a series, in the order of the catalogue."""
        content = holding.series.content
        if isinstance(content, GeneratedImages):
            header = header_for(read_template(holding.series.modality), holding, content)
            size_bytes = len(header.for_image(0)) + content.rows * content.columns * 2
            return [self._generated(header, position, size_bytes) for position in range(content.image_count)]
        return [self._sample(holding, content, position) for position in range(len(content.file_names))]

    def uncounted(self, holding: Holding) -> SandboxImage:
        """One more image of a series, which the catalogue does not count."""
        content = holding.series.content
        if isinstance(content, GeneratedImages):
            wider = replace(content, image_count=content.image_count + 1)
            more = replace(holding, series=replace(holding.series, content=wider))
        else:
            samples = replace(content, file_names=(*content.file_names, content.file_names[0]))
            more = replace(holding, series=replace(holding.series, content=samples))
        return self.of(more)[-1]

    def count(self, holding: Holding) -> int:
        """ImageCount of a series."""
        content = holding.series.content
        return content.image_count if isinstance(content, GeneratedImages) else len(content.file_names)

    def size_bytes(self, holding: Holding) -> int:
        """FileSize of a series: the sum over its images."""
        uid = holding.series.series_instance_uid
        if uid not in self._sizes:
            self._sizes[uid] = self._sum(holding)
        return self._sizes[uid]

    def owner(self, holdings: Iterable[Holding], sop_instance_uid: str | None) -> Holding | None:
        """The series that an image belongs to; None where none of them has it."""
        if not self._owners:
            self._owners = {
                image_uid(holding.series.series_instance_uid, position): holding
                for holding in holdings
                for position in range(self.count(holding))
            }
        return self._owners.get(sop_instance_uid or "")

    def md5(self, image: SandboxImage) -> str:
        """Lower-case hex MD5 of an image; computed at the first call."""
        if image.sop_instance_uid not in self._digests:
            for _ in self.hashed(image):
                pass
        return self._digests[image.sop_instance_uid]

    def hashed(self, image: SandboxImage) -> Iterator[Buffer]:
        """The image's chunks, its MD5 computed on the way unless it is known."""
        if image.sop_instance_uid in self._digests:
            yield from image.chunks()
            return
        digest = md5(usedforsecurity=False)
        for chunk in image.chunks():
            digest.update(chunk)
            yield chunk
        self._digests[image.sop_instance_uid] = digest.hexdigest()

    def _sum(self, holding: Holding) -> int:
        content = holding.series.content
        if isinstance(content, GeneratedImages):
            header = header_for(read_template(holding.series.modality), holding, content)
            return content.image_count * (len(header.for_image(0)) + content.rows * content.columns * 2)
        return sum(image.size_bytes for image in self.of(holding))

    def _generated(self, header: SeriesHeader, position: int, size_bytes: int) -> SandboxImage:
        content = header.content
        acquisition, _ = placed(content, position)
        return SandboxImage(
            sop_instance_uid=image_uid(header.series_instance_uid, position),
            position=position,
            instance_number=position + 1 if content.numbered else None,
            acquisition_number=acquisition,
            size_bytes=size_bytes,
            chunks=partial(self._generate, header, position),
        )

    def _generate(self, header: SeriesHeader, position: int) -> Iterator[Buffer]:
        yield header.for_image(position)
        windows = Random(f"{header.content.seed}/{position}")  # noqa: S311 - pixels, not secrets
        missing = header.content.rows * header.content.columns * 2
        while missing:
            start = windows.randrange(_NOISE_BYTES - _CHUNK_BYTES)
            chunk = self._noise[start : start + min(missing, _CHUNK_BYTES)]
            missing -= len(chunk)
            yield chunk

    def _sample(self, holding: Holding, content: SampleImages, position: int) -> SandboxImage:
        uid = image_uid(holding.series.series_instance_uid, position)
        if uid not in self._samples:
            self._samples[uid] = _rewritten(holding, content, position, uid)
        data = self._samples[uid]
        return SandboxImage(
            sop_instance_uid=uid,
            position=position,
            instance_number=position + 1 if content.numbered else None,
            acquisition_number=1,
            size_bytes=len(data),
            chunks=partial(_once, data),
        )


def _once(data: bytes) -> Iterator[Buffer]:
    yield data


def _rewritten(holding: Holding, content: SampleImages, position: int, uid: str) -> bytes:
    """A sample file with the identifiers of the series it stands in; everything else as shipped."""
    dataset = pydicom.dcmread(sample_path(content.file_names[position]))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.UID(uid)
    dataset.StudyInstanceUID = holding.study.study_instance_uid
    dataset.SeriesInstanceUID = holding.series.series_instance_uid
    dataset.PatientID = holding.patient.patient_id
    dataset.AcquisitionNumber = 1
    if content.numbered:
        dataset.InstanceNumber = position + 1
    elif "InstanceNumber" in dataset:
        del dataset.InstanceNumber
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
