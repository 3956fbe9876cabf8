"""nbia-api v4: the endpoint table (docs/archives.md#queries, #image-endpoints)."""

from dataclasses import replace
from typing import Final

from downloader.sandbox import downloads, queries
from downloader.sandbox.columns import V4
from downloader.sandbox.generations import IMAGE_TYPES, TEXT_TYPES, ZIP_TYPES, Endpoint, Generation, Security
from downloader.sandbox.second_path import make_endpoints

PATIENT_COLUMNS: Final = (
    "PatientId",
    "PatientName",
    "PatientSex",
    "EthnicGroup",
    "Collection",
    "Phantom",
    "SpeciesCode",
    "SpeciesDescription",
    "Authorized",
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
    "PatientSex",
    "EthnicGroup",
    "Collection",
    "SeriesCount",
    "LongitudinalTemporalEventType",
    "LongitudinalTemporalOffsetFromEvent",
    "Authorized",
)
SERIES_COLUMNS: Final = (
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
    "Site",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "AdmittingDiagnosisDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ImageCount",
    "MaxSubmissionTimestamp",
    "LicenseName",
    "LicenseURI",
    "DataDescriptionURI",
    "FileSize",
    "ReleasedStatus",
    "DateReleased",
    "StudyDesc",
    "StudyDate",
    "ThirdPartyAnalysis",
    "Authorized",
)
METADATA_COLUMNS: Final = (
    "PatientID",
    "PatientName",
    "PatientSex",
    "EthnicGroup",
    "Phantom",
    "SpeciesCode",
    "SpeciesDescription",
    "StudyInstanceUID",
    "StudyDate",
    "StudyDesc",
    "AdmittingDiagnosisDescription",
    "StudyID",
    "PatientAge",
    "LongitudinalTemporalEventType",
    "LongitudinalTemporalOffsetFromEvent",
    "SeriesInstanceUID",
    "Collection",
    "Site",
    "Modality",
    "ProtocolName",
    "SeriesDate",
    "SeriesDescription",
    "BodyPartExamined",
    "SeriesNumber",
    "AnnotationsFlag",
    "Manufacturer",
    "ManufacturerModelName",
    "PixelSpacing(mm)-Row",
    "SliceThickness(mm)",
    "SoftwareVersions",
    "ImageCount",
    "MaxSubmissionTimestamp",
    "LicenseName",
    "LicenseURI",
    "DataDescriptionURI",
    "FileSize",
    "ReleasedStatus",
    "DateReleased",
    "ThirdPartyAnalysis",
    "Authorized",
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
_SINCE: Final = queries.NewSince("fromDate", queries.dashed_date, that_day_counts=True)
_ATTRIBUTES: Final = {
    "Modality": ("Collection", "BodyPartExamined"),
    "BodyPart": ("Collection", "Modality"),
    "Manufacturer": ("Collection", "Modality", "BodyPartExamined"),
}
_COLUMN_OF: Final = {"Modality": "Modality", "BodyPart": "BodyPartExamined", "Manufacturer": "Manufacturer"}


def _counts(name: str, column: str, filters: tuple[str, ...]) -> Endpoint:
    """JSON whatever is asked for: `format` is no parameter of these."""
    return Endpoint(
        name=f"get{name}ValuesAndCounts",
        parameters=filters,
        has_format=False,
        answer=queries.values_and_counts(column, filters, (name, "Count", "Authorized")),
    )


_VALUES: Final = (
    Endpoint(name="getCollectionValues", answer=queries.values("Collection")),
    _counts("Collection", "Collection", ()),
    *(
        Endpoint(name=f"get{name}Values", parameters=filters, answer=queries.values(_COLUMN_OF[name], filters))
        for name, filters in _ATTRIBUTES.items()
    ),
    *(_counts(name, _COLUMN_OF[name], filters) for name, filters in _ATTRIBUTES.items()),
)

_QUERIES: Final = (
    Endpoint(
        name="getPatient",
        parameters=("Collection", "PatientId"),
        answer=queries.patients(PATIENT_COLUMNS, V4, ("Collection", "PatientId")),
    ),
    Endpoint(
        name="getPatientByCollectionAndModality",
        parameters=("Collection", "Modality"),
        required=("Collection", "Modality"),
        answer=queries.patients(("PatientId", "Authorized"), V4, ("Collection", "Modality")),
    ),
    Endpoint(
        name="NewPatientsInCollection",
        parameters=("Collection", "fromDate"),
        required=("Collection", "fromDate"),
        answer=queries.new_patients(PATIENT_COLUMNS, V4, _SINCE),
    ),
    Endpoint(
        name="getPatientStudy",
        parameters=_STUDY_FILTERS,
        answer=queries.studies(STUDY_COLUMNS, V4, _STUDY_FILTERS),
    ),
    Endpoint(
        name="NewStudiesInPatientCollection",
        parameters=("Collection", "fromDate", "PatientID"),
        required=("Collection", "fromDate"),
        answer=queries.new_studies(STUDY_COLUMNS, V4, _SINCE),
    ),
    Endpoint(
        name="getSeries",
        parameters=SERIES_FILTERS,
        answer=queries.series(SERIES_COLUMNS, V4, SERIES_FILTERS),
    ),
    Endpoint(
        name="getUpdatedSeries",
        parameters=("fromDate",),
        answer=queries.updated_series(SERIES_COLUMNS, V4, queries.dashed_date),
    ),
    Endpoint(
        name="getSeriesSize",
        parameters=("SeriesInstanceUID",),
        required=("SeriesInstanceUID",),
        answer=queries.series_size(unknown_is_a_row=False),
    ),
    Endpoint(
        name="getSeriesMetadata",
        method="POST",
        parameters=("list",),
        required=("list",),
        answer=queries.metadata_of_list(METADATA_COLUMNS, V4),
    ),
    Endpoint(
        name="getSOPInstanceUIDs",
        parameters=("SeriesInstanceUID",),
        required=("SeriesInstanceUID",),
        answer=queries.sop_instance_uids,
    ),
    Endpoint(
        name="getMD5HashForImage",
        parameters=("SOPInstanceUID",),
        required=("SOPInstanceUID",),
        produces=TEXT_TYPES,
        has_format=False,
        answer=queries.image_md5("SOPInstanceUID"),
    ),
    Endpoint(
        name="getMD5Hierarchy",
        method="POST",
        parameters=("SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Collection"),
        produces=("application/json",),
        has_format=False,
        answer=queries.md5_hierarchy,
    ),
)

_GET_IMAGE: Final = Endpoint(
    name="getImage",
    parameters=("SeriesInstanceUID", "NewFileNames", "IncludeMD5"),
    required=("SeriesInstanceUID",),
    produces=ZIP_TYPES,
    has_format=False,
    answer=downloads.get_image(md5=True),
)
_DOWNLOADS: Final = (
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

NBIA_V4: Final = Generation(
    name="v4",
    prefix="v4/",
    endpoints=(*_VALUES, *_QUERIES, *make_endpoints(search="getSimpleSearch", is_v4=True), _GET_IMAGE, *_DOWNLOADS),
    strict=True,
    folds_case=True,
    security=Security.GOOD_TOKEN_OR_NONE,
    refusal=(
        "The user has not been granted the access to image with given SeriesInstanceUID,{}. "
        "Please contact System Admin to resolve this issue."
    ),
)


def without_include_md5(generation: Generation) -> Generation:
    """The deployment before November 2025, whose getImage knows no IncludeMD5 (docs/archives.md#image-endpoints)."""
    older = replace(_GET_IMAGE, parameters=("SeriesInstanceUID", "NewFileNames"))
    endpoints = tuple(older if endpoint.name == "getImage" else endpoint for endpoint in generation.endpoints)
    return replace(generation, endpoints=endpoints)
