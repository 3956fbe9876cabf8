"""nbia-api v4: in use since 2025; public series need no signing in.

It refuses unknown parameters. getImage has MD5s since November 2025; before that getImageWithMD5Hash had them, which numbers
images in no order and sends no licence.

Source: docs/archives.md#api-history, #queries, #image-endpoints.
"""

from collections.abc import Mapping
from typing import Final

from downloader.archive.nbia.endpoints import Endpoint, Generation, ImageRoute, ListEndpoint, Method, QueryEndpoint
from downloader.archive.nbia.search import make_second_queries
from downloader.archive.nbia.v1_v2 import make_cart_query
from downloader.archive.question import ReplyFormat, Topic

_FORMAT: Final = frozenset({"format"})
_SERIES_UID: Final = frozenset({"SeriesInstanceUID"})
_OF_SERIES: Final = {"series_instance_uid": "SeriesInstanceUID"}
_BY_PART: Final = {"collection": "Collection", "body_part_examined": "BodyPartExamined"}
_BY_MODALITY: Final = {"collection": "Collection", "modality": "Modality"}
_SINCE: Final = {"collection": "Collection", "since": "fromDate"}
_STUDY_FILTERS: Final = {"collection": "Collection", "patient_id": "PatientID", "study_instance_uid": "StudyInstanceUID"}
_SERIES_FILTERS: Final = {
    **_STUDY_FILTERS,
    "modality": "Modality",
    "body_part_examined": "BodyPartExamined",
    "manufacturer_model_name": "ManufacturerModelName",
    "manufacturer": "Manufacturer",
    "series_instance_uid": "SeriesInstanceUID",
}
_DATE: Final = "%m-%d-%Y"

_PATIENT: Final = (
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
_STUDY: Final = (
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
_SERIES: Final = (
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
_METADATA: Final = (
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
# other clients send ten thousand at a time (docs/archives.md#series-queries); a thousand keep a reply small enough for memory
_LISTED_AT_ONCE: Final = 1_000
_GET_IMAGE: Final = Endpoint(path="v4/getImage", required=_SERIES_UID, optional=frozenset({"NewFileNames", "IncludeMD5"}))

_GET_METADATA: Final = Endpoint(path="v4/getSeriesMetadata", required=frozenset({"list"}), optional=_FORMAT, method=Method.POST)


def _query(
    name: str,
    filters: Mapping[str, str],
    attributes: tuple[str, ...],
    *,
    required: frozenset[str] = frozenset(),
    date_format: str = "",
) -> QueryEndpoint:
    endpoint = Endpoint(path=f"v4/{name}", required=required, optional=(_FORMAT | frozenset(filters.values())) - required)
    return QueryEndpoint(endpoint=endpoint, filters=filters, attributes=attributes, date_format=date_format)


def _counts(name: str, column: str, filters: Mapping[str, str]) -> QueryEndpoint:
    """Counts are JSON, and v4 refuses the parameter `format` there."""
    return QueryEndpoint(
        endpoint=Endpoint(path=f"v4/get{name}ValuesAndCounts", optional=frozenset(filters.values())),
        filters=filters,
        attributes=(column, "Count", "Authorized"),
        formats=(ReplyFormat.JSON,),
    )


_QUERIES: Final = {
    Topic.COLLECTIONS: _query("getCollectionValues", {}, ("Collection",)),
    Topic.MODALITIES: _query("getModalityValues", _BY_PART, ("Modality",)),
    Topic.BODY_PARTS: _query("getBodyPartValues", _BY_MODALITY, ("BodyPartExamined",)),
    Topic.MANUFACTURERS: _query("getManufacturerValues", {**_BY_PART, **_BY_MODALITY}, ("Manufacturer",)),
    Topic.COLLECTION_COUNTS: _counts("Collection", "Collection", {}),
    Topic.MODALITY_COUNTS: _counts("Modality", "Modality", _BY_PART),
    Topic.BODY_PART_COUNTS: _counts("BodyPart", "BodyPart", _BY_MODALITY),
    Topic.MANUFACTURER_COUNTS: _counts("Manufacturer", "Manufacturer", {**_BY_PART, **_BY_MODALITY}),
    Topic.PATIENTS: _query("getPatient", {"collection": "Collection", "patient_id": "PatientId"}, _PATIENT),
    Topic.PATIENTS_BY_MODALITY: _query(
        "getPatientByCollectionAndModality",
        _BY_MODALITY,
        ("PatientId", "Authorized"),
        required=frozenset(_BY_MODALITY.values()),
    ),
    Topic.NEW_PATIENTS: _query(
        "NewPatientsInCollection", _SINCE, _PATIENT, required=frozenset(_SINCE.values()), date_format=_DATE
    ),
    Topic.STUDIES: _query("getPatientStudy", _STUDY_FILTERS, _STUDY),
    Topic.NEW_STUDIES: _query(
        "NewStudiesInPatientCollection",
        {**_SINCE, "patient_id": "PatientID"},
        _STUDY,
        required=frozenset(_SINCE.values()),
        date_format=_DATE,
    ),
    Topic.SERIES: _query("getSeries", _SERIES_FILTERS, _SERIES),
    Topic.UPDATED_SERIES: _query("getUpdatedSeries", {"since": "fromDate"}, _SERIES, date_format=_DATE),
    Topic.SERIES_SIZE: _query("getSeriesSize", _OF_SERIES, ("TotalSizeInBytes", "ObjectCount"), required=_SERIES_UID),
    Topic.SERIES_METADATA: QueryEndpoint(
        endpoint=_GET_METADATA,
        filters={"series_instance_uid": "list"},
        attributes=_METADATA,
        unasked=ReplyFormat.CSV,
        at_once=_LISTED_AT_ONCE,
    ),
    Topic.IMAGES: _query("getSOPInstanceUIDs", _OF_SERIES, ("SOPInstanceUID",), required=_SERIES_UID),
    **make_second_queries(
        "v4/",
        search="getSimpleSearch",
        description=("description", "id", "collectionName", "descriptionURI"),
        doi=("authorized",),
    ),
    Topic.SHARED_CART: make_cart_query("v1"),
}

NBIA_V4: Final = Generation(
    name="v4",
    queries=_QUERIES,
    listed_series=ListEndpoint(
        endpoint=_GET_METADATA,
        parameter="list",
        limit=_LISTED_AT_ONCE,
        attributes=_METADATA,
        fixed={"format": "json"},
    ),
    image_routes=(
        ImageRoute(
            endpoint=_GET_IMAGE,
            fixed={"NewFileNames": "Yes", "IncludeMD5": "Yes"},
            md5_list=True,
        ),
        ImageRoute(
            endpoint=Endpoint(path="v4/getImageWithMD5Hash", required=_SERIES_UID),
            md5_list=True,
        ),
        ImageRoute(endpoint=_GET_IMAGE, fixed={"NewFileNames": "Yes"}, md5_list=False),
    ),
    single_image=Endpoint(path="v4/getSingleImage", required=_SERIES_UID | {"SOPInstanceUID"}),
    image_md5=Endpoint(path="v4/getMD5HashForImage", required=frozenset({"SOPInstanceUID"})),
    image_md5_parameter="SOPInstanceUID",
    series_md5=Endpoint(path="v4/getMD5Hierarchy", required=_SERIES_UID, method=Method.POST),
)
