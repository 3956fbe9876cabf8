"""Builders: series, patients and catalogues of any size in a line, with identifiers that follow from a seed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TypedDict, Unpack

from downloader.sandbox.catalogue import (
    Catalogue,
    GeneratedImages,
    SampleImages,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    SandboxStudy,
)

_FIRST = 10**37
_SPAN = 9 * _FIRST
_MAKER = SandboxSeries(
    series_instance_uid="",
    modality="CT",
    content=SampleImages(file_names=()),
    manufacturer="Sandbox Instruments",
    manufacturer_model_name="Noise 16",
    software_versions="1.0",
    series_date=date(2021, 3, 4),
    submitted_at=datetime(2022, 5, 6, 7, 8, 9, tzinfo=UTC),
    date_released=date(2022, 6, 7),
)


class SeriesAttributes(TypedDict, total=False):
    """What a builder of series takes besides the content: any attribute of SandboxSeries."""

    series_instance_uid: str
    modality: str
    body_part_examined: str | None
    manufacturer: str | None
    manufacturer_model_name: str | None
    software_versions: str | None
    protocol_name: str | None
    series_description: str | None
    series_number: int | None
    series_date: date | None
    submitted_at: datetime | None
    date_released: date | None
    third_party_analysis: str | None
    pixel_spacing_mm: float
    slice_thickness_mm: float
    annotation: str
    visibility: int


class StudyAttributes(TypedDict, total=False):
    """What a builder of studies takes: any attribute of SandboxStudy."""

    study_instance_uid: str
    study_date: date | None
    study_description: str | None
    admitting_diagnoses_description: str | None
    study_id: str | None
    patient_age: str | None
    longitudinal_temporal_event_type: str | None
    longitudinal_temporal_offset_from_event: str | None


def derived_uid(*parts: object) -> str:
    """A DICOM UID that follows from the parts, always 43 characters long (root 2.25, PS3.5 §B.2).

    All of one length keeps every image of a generated series the same size.
    """
    text = "/".join(str(part) for part in parts)
    return f"2.25.{_FIRST + int(sha256(text.encode()).hexdigest(), 16) % _SPAN}"


def generated_series(
    *,
    seed: int,
    images: int,
    rows: int = 256,
    columns: int = 256,
    acquisitions: int = 1,
    numbered: bool = True,
    **attributes: Unpack[SeriesAttributes],
) -> SandboxSeries:
    """A CT or MR series of `images` images, each of rows x columns x 2 bytes and a header of about 2 kB.

    Args:
        seed: makes identifiers and pixels; two series of one catalogue need two seeds.
        images: any number.
        rows: up to 65,535.
        columns: up to 65,535; 16,384 rows of 32,768 columns make an image of 1 GiB.
        acquisitions: how many acquisitions the images are split into.
        numbered: whether images carry an Instance Number.
        **attributes: any other attribute of SandboxSeries, `series_instance_uid` and `modality` included.
    """
    content = GeneratedImages(
        seed=seed,
        image_count=images,
        rows=rows,
        columns=columns,
        acquisitions=acquisitions,
        numbered=numbered,
    )
    given: SeriesAttributes = {
        "series_instance_uid": derived_uid("series", seed),
        "series_number": 1,
        **attributes,
    }
    return replace(_MAKER, content=content, **given)


def sample_series(*file_names: str, seed: int, numbered: bool = True, **attributes: Unpack[SeriesAttributes]) -> SandboxSeries:
    """A series of pydicom's shipped sample files, in this order; the identifiers follow from `seed`.

    Name the `modality`: CT unless given.
    """
    content = SampleImages(file_names=file_names, numbered=numbered)
    given: SeriesAttributes = {
        "series_instance_uid": derived_uid("series", seed),
        "series_number": 1,
        **attributes,
    }
    return replace(_MAKER, content=content, **given)


def study_of(*series: SandboxSeries, seed: int, **attributes: Unpack[StudyAttributes]) -> SandboxStudy:
    """A study of these series; its Study Instance UID follows from `seed`."""
    given: StudyAttributes = {
        "study_instance_uid": derived_uid("study", seed),
        "study_date": date(2021, 3, 4),
        **attributes,
    }
    return SandboxStudy(series=series, **given)


def catalogue_of(series: Sequence[SandboxSeries], *, collection: str = "Sandbox", patient_id: str = "SB-0001") -> Catalogue:
    """A catalogue with one collection, one patient and one study that holds these series."""
    study = study_of(*series, seed=0)
    patient = SandboxPatient(patient_id=patient_id, studies=(study,), patient_name=patient_id, patient_sex="O")
    return Catalogue(collections=(SandboxCollection(name=collection, patients=(patient,)),))
