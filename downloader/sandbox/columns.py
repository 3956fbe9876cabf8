"""What every column of every row is made of, for each generation: names, spelling and date formats.

Source: docs/archives.md#patients-and-studies, #series-queries, #dates.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from downloader.sandbox.answers import Table, Value
from downloader.sandbox.catalogue import PUBLIC, Holding, SandboxSeries


@dataclass(frozen=True, slots=True)
class Listing:
    """One series as the catalogue tells it at this moment: the holding with its live counts (docs/archives.md#series-queries)."""

    holding: Holding
    image_count: int
    file_size_bytes: int

    @property
    def series(self) -> SandboxSeries:
        """The series itself."""
        return self.holding.series


ColumnTable = Mapping[str, Callable[[Listing], Value]]


def table_of(columns: Iterable[str], sources: ColumnTable, listings: Sequence[Listing]) -> Table:
    """One row for each listing."""
    names = tuple(columns)
    makers = [sources[name] for name in names]
    return Table(columns=names, rows=[tuple(make(listing) for make in makers) for listing in listings])


def long_date(value: date | None) -> str | None:
    """`yyyy-MM-dd HH:mm:ss.S`, as v1 writes dates and times."""
    if value is None:
        return None
    return f"{value:%Y-%m-%d %H:%M:%S}.0"


def short_date(value: date | None) -> str | None:
    """`MM-dd-yyyy`, as v4 and v1's metadata write them."""
    return f"{value:%m-%d-%Y}" if value else None


def stripped(value: str | None) -> str | None:
    """What is left of a description in v1's metadata rows (docs/archives.md#series-queries)."""
    return None if value is None else re.sub(r"[^A-Za-z0-9 .-]", "", value)


def _or_none(count: int) -> int | None:
    """Counts over no image rows are NULL."""
    return count or None


_EVERY_GENERATION: Final[ColumnTable] = {
    "Collection": lambda row: row.holding.collection.name,
    "LicenseName": lambda row: row.holding.collection.license_name,
    "LicenseURI": lambda row: row.holding.collection.license_uri,
    "PatientId": lambda row: row.holding.patient.patient_id,
    "PatientID": lambda row: row.holding.patient.patient_id,
    "PatientName": lambda row: row.holding.patient.patient_name,
    "PatientSex": lambda row: row.holding.patient.patient_sex,
    "EthnicGroup": lambda row: row.holding.patient.ethnic_group,
    "Phantom": lambda row: row.holding.patient.phantom,
    "SpeciesCode": lambda row: row.holding.patient.species_code,
    "SpeciesDescription": lambda row: row.holding.patient.species_description,
    "StudyInstanceUID": lambda row: row.holding.study.study_instance_uid,
    "StudyDescription": lambda row: row.holding.study.study_description,
    "StudyDesc": lambda row: row.holding.study.study_description,
    "AdmittingDiagnosesDescription": lambda row: row.holding.study.admitting_diagnoses_description,
    "StudyID": lambda row: row.holding.study.study_id,
    "PatientAge": lambda row: row.holding.study.patient_age,
    "LongitudinalTemporalEventType": lambda row: row.holding.study.longitudinal_temporal_event_type,
    "LongitudinalTemporalOffsetFromEvent": lambda row: row.holding.study.longitudinal_temporal_offset_from_event,
    "SeriesCount": lambda row: sum(series.visibility == PUBLIC for series in row.holding.study.series),
    "SeriesInstanceUID": lambda row: row.series.series_instance_uid,
    "Modality": lambda row: row.series.modality,
    "ProtocolName": lambda row: row.series.protocol_name,
    "SeriesDescription": lambda row: row.series.series_description,
    "BodyPartExamined": lambda row: row.series.body_part_examined,
    "SeriesNumber": lambda row: row.series.series_number,
    "AnnotationsFlag": lambda row: bool(row.series.annotation),
    "Manufacturer": lambda row: row.series.manufacturer,
    "ManufacturerModelName": lambda row: row.series.manufacturer_model_name,
    "SoftwareVersions": lambda row: row.series.software_versions,
    "ThirdPartyAnalysis": lambda row: row.series.third_party_analysis,
    "ImageCount": lambda row: _or_none(row.image_count),
    "FileSize": lambda row: _or_none(row.file_size_bytes),
    "TotalSizeInBytes": lambda row: _or_none(row.file_size_bytes),
    "ObjectCount": lambda row: _or_none(row.image_count),
}

V1: Final[ColumnTable] = {
    **_EVERY_GENERATION,
    "PatientBirthDate": lambda row: long_date(row.holding.patient.patient_birth_date),
    "StudyDate": lambda row: long_date(row.holding.study.study_date),
    "SeriesDate": lambda row: long_date(row.series.series_date),
    "TimeStamp": lambda row: long_date(row.series.submitted_at),
    "DateReleased": lambda row: long_date(row.series.date_released),
    "Date Released": lambda row: long_date(row.series.date_released),
    "CollectionURI": lambda row: row.holding.collection.data_description_uri,
}

V4: Final[ColumnTable] = {
    **_EVERY_GENERATION,
    "StudyDate": lambda row: short_date(row.holding.study.study_date),
    "SeriesDate": lambda row: short_date(row.series.series_date),
    "MaxSubmissionTimestamp": lambda row: short_date(row.series.submitted_at),
    "DateReleased": lambda row: short_date(row.series.date_released),
    "DataDescriptionURI": lambda row: row.holding.collection.data_description_uri,
    "AdmittingDiagnosisDescription": lambda row: row.holding.study.admitting_diagnoses_description,
    "Site": lambda row: row.holding.collection.site,
    "ReleasedStatus": lambda row: "Yes" if row.series.date_released else "No",
    "PixelSpacing(mm)-Row": lambda row: f"{row.series.pixel_spacing_mm:.6f}",
    "SliceThickness(mm)": lambda row: f"{row.series.slice_thickness_mm:.6f}",
    "Authorized": lambda _: 1,
}


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


V1_METADATA: Final[ColumnTable] = {
    "Series UID": V1["SeriesInstanceUID"],
    "Collection": V1["Collection"],
    "3rd Party Analysis": V1["ThirdPartyAnalysis"],
    "Data Description URI": V1["CollectionURI"],
    "Subject ID": V1["PatientID"],
    "Study UID": V1["StudyInstanceUID"],
    "Study Description": lambda row: stripped(row.holding.study.study_description),
    "Study Date": lambda row: short_date(row.holding.study.study_date),
    "Series Description": lambda row: stripped(row.series.series_description),
    "Manufacturer": V1["Manufacturer"],
    "Modality": V1["Modality"],
    "SOP Class UID": lambda row: SOP_CLASS_BY_MODALITY.get(row.series.modality),
    "Number of Images": lambda row: str(row.image_count),
    "File Size": lambda row: str(row.file_size_bytes),
    "File Location": V1["StudyID"],
    "Series Number": lambda row: None if row.series.series_number is None else f"{row.series.series_number}.000000",
    "License Name": V1["LicenseName"],
    "License URL": V1["LicenseURI"],
    "Annotation Size": lambda row: str(len(row.series.annotation.encode())),
    "Date Released": lambda row: short_date(row.series.date_released),
    "Series Date": lambda row: short_date(row.series.series_date),
    "Protocol Name": V1["ProtocolName"],
    "Body Part Examined": V1["BodyPartExamined"],
    "Annotations Flag": lambda row: str(bool(row.series.annotation)).lower(),
    "Manufacturer Model Name": V1["ManufacturerModelName"],
    "Software Versions": V1["SoftwareVersions"],
    "TimeStamp": lambda row: short_date(row.series.submitted_at),
}

SOP_CLASS_BY_MODALITY: Final[Mapping[str, str]] = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
    "NM": "1.2.840.10008.5.1.4.1.1.7",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "SR": "1.2.840.10008.5.1.4.1.1.88.33",
    "ECG": "1.2.840.10008.5.1.4.1.1.9.1.1",
    "RTDOSE": "1.2.840.10008.5.1.4.1.1.481.2",
    "RTPLAN": "1.2.840.10008.5.1.4.1.1.481.5",
}


def released_after(listing: Listing, day: date | None) -> bool:
    """Whether the series came out after that day (strict `>`, docs/archives.md#series-queries)."""
    released = listing.series.date_released
    return day is None or (released is not None and released > day)


def submitted_on(listing: Listing) -> date | None:
    """The day the series was submitted."""
    at: datetime | None = listing.series.submitted_at
    return at.date() if at else None
