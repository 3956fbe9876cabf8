"""nbia-api v1: the endpoint table (docs/archives.md#queries, #image-endpoints)."""

from typing import Final

from downloader.sandbox import downloads, queries
from downloader.sandbox.columns import V1, V1_METADATA
from downloader.sandbox.generations import IMAGE_TYPES, TEXT_TYPES, ZIP_TYPES, Endpoint, Generation

PATIENT_COLUMNS: Final = (
    "PatientId",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "EthnicGroup",
    "Collection",
    "Phantom",
    "SpeciesCode",
    "SpeciesDescription",
)
STUDY_COLUMNS: Final = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyDescription",
    "AdmittingDiagnosesDescription",
    "StudyID",
    "PatientAge",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "EthnicGroup",
    "Collection",
    "SeriesCount",
    "LongitudinalTemporalEventType",
    "LongitudinalTemporalOffsetFromEvent",
)
_UP_TO_IMAGE_COUNT: Final = (
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "Modality",
    "ProtocolName",
    "SeriesDate",
    "SeriesDescription",
    "BodyPartExamined",
    "SeriesNumber",
    "AnnotationsFlag",
    "Collection",
    "PatientID",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ImageCount",
)
SERIES_COLUMNS: Final = (
    *_UP_TO_IMAGE_COUNT,
    "TimeStamp",
    "LicenseName",
    "LicenseURI",
    "CollectionURI",
    "FileSize",
    "DateReleased",
    "StudyDesc",
    "StudyDate",
    "ThirdPartyAnalysis",
)
SERIES_FILTERS: Final = (
    "Collection",
    "PatientID",
    "StudyInstanceUID",
    "Modality",
    "BodyPartExamined",
    "ManufacturerModelName",
    "Manufacturer",
    "SeriesInstanceUID",
)
_STUDY_FILTERS: Final = ("Collection", "PatientID", "StudyInstanceUID")
_SINCE: Final = queries.NewSince("Date", queries.slashed_date, that_day_counts=False)

_QUERIES: Final = (
    Endpoint(name="getCollectionValues", answer=queries.values("Collection")),
    Endpoint(
        name="getModalityValues",
        parameters=("Collection", "BodyPartExamined"),
        answer=queries.values("Modality", ("Collection", "BodyPartExamined")),
    ),
    Endpoint(
        name="getBodyPartValues",
        parameters=("Collection", "Modality"),
        answer=queries.values("BodyPartExamined", ("Collection", "Modality")),
    ),
    Endpoint(
        name="getManufacturerValues",
        parameters=("Collection", "Modality", "BodyPartExamined"),
        answer=queries.values("Manufacturer", ("Collection", "Modality", "BodyPartExamined")),
    ),
    Endpoint(
        name="getPatient",
        parameters=("Collection", "PatientId"),
        answer=queries.patients(PATIENT_COLUMNS, V1, ("Collection", "PatientId")),
    ),
    Endpoint(
        name="getPatientByCollectionAndModality",
        parameters=("Collection", "Modality"),
        required=("Collection", "Modality"),
        answer=queries.patients(("PatientId",), V1, ("Collection", "Modality")),
    ),
    Endpoint(
        name="NewPatientsInCollection",
        parameters=("Collection", "Date"),
        required=("Collection", "Date"),
        answer=queries.new_patients(PATIENT_COLUMNS, V1, _SINCE),
    ),
    Endpoint(
        name="getPatientStudy",
        parameters=_STUDY_FILTERS,
        answer=queries.studies(STUDY_COLUMNS, V1, _STUDY_FILTERS),
    ),
    Endpoint(
        name="NewStudiesInPatientCollection",
        parameters=("Collection", "Date", "PatientID"),
        required=("Collection", "Date"),
        answer=queries.new_studies(STUDY_COLUMNS, V1, _SINCE),
    ),
    Endpoint(
        name="getSeries",
        parameters=SERIES_FILTERS,
        answer=queries.series(SERIES_COLUMNS, V1, SERIES_FILTERS),
    ),
    Endpoint(
        name="getUpdatedSeries",
        parameters=("fromDate",),
        answer=queries.updated_series((*_UP_TO_IMAGE_COUNT, "DateReleased"), V1, queries.lenient_date),
    ),
    Endpoint(
        name="getSeriesSize",
        parameters=("SeriesInstanceUID",),
        required=("SeriesInstanceUID",),
        answer=queries.series_size(unknown_is_a_row=True),
    ),
    Endpoint(
        name="getSeriesMetaData",
        parameters=("SeriesInstanceUID",),
        required=("SeriesInstanceUID",),
        answer=queries.series_metadata(V1_METADATA),
    ),
    Endpoint(
        name="getSOPInstanceUIDs",
        parameters=("SeriesInstanceUID",),
        required=("SeriesInstanceUID",),
        answer=queries.sop_instance_uids,
    ),
    Endpoint(
        name="getContentsByName",
        parameters=("name",),
        required=("name",),
        answer=queries.contents_by_name((*_UP_TO_IMAGE_COUNT, "Date Released"), V1),
    ),
    Endpoint(
        name="getM5HashForImage",
        parameters=("SOPInstanceUid",),
        required=("SOPInstanceUid",),
        produces=TEXT_TYPES,
        has_format=False,
        answer=queries.image_md5("SOPInstanceUid"),
    ),
    Endpoint(name="status", produces=TEXT_TYPES, has_format=False, answer=queries.status),
)

_DOWNLOADS: Final = (
    Endpoint(
        name="getImage",
        parameters=("SeriesInstanceUID", "NewFileNames"),
        required=("SeriesInstanceUID",),
        produces=ZIP_TYPES,
        has_format=False,
        answer=downloads.get_image(md5=False),
    ),
    Endpoint(
        name="getImageWithMD5Hash",
        parameters=("SeriesInstanceUID",),
        required=("SeriesInstanceUID",),
        produces=ZIP_TYPES,
        has_format=False,
        answer=downloads.get_image_with_md5_hash,
    ),
    Endpoint(
        name="getDCMImage",
        parameters=("SeriesInstanceUID", "IncludeAnnotation", "MD5Verification"),
        required=("SeriesInstanceUID",),
        produces=ZIP_TYPES,
        has_format=False,
        answer=downloads.get_dcm_image,
    ),
    Endpoint(
        name="getSingleImage",
        parameters=("SeriesInstanceUID", "SOPInstanceUID"),
        required=("SeriesInstanceUID", "SOPInstanceUID"),
        produces=IMAGE_TYPES,
        has_format=False,
        answer=downloads.get_single_image,
    ),
)

NBIA_V1: Final = Generation(
    name="v1",
    prefix="v1/",
    endpoints=(*_QUERIES, *_DOWNLOADS),
    strict=False,
    folds_case=False,
    refusal="Image with given SeriesInstanceUID,{}, is not in public domain.",
)
