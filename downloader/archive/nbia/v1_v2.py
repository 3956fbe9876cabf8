"""The common part of nbia-api v1 and v2: one code base under two prefixes, with the same parameters and columns.

Source: docs/archives.md#queries.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from downloader.archive.nbia.endpoints import Endpoint, ImageRoute, QueryEndpoint
from downloader.archive.question import ReplyFormat, Topic

SERIES: Final = frozenset({"SeriesInstanceUID"})
_FORMAT: Final = frozenset({"format"})
_OF_SERIES: Final = {"series_instance_uid": "SeriesInstanceUID"}
_STUDY_FILTERS: Final = {"collection": "Collection", "patient_id": "PatientID", "study_instance_uid": "StudyInstanceUID"}
_SERIES_FILTERS: Final = {
    **_STUDY_FILTERS,
    "modality": "Modality",
    "body_part_examined": "BodyPartExamined",
    "manufacturer_model_name": "ManufacturerModelName",
    "manufacturer": "Manufacturer",
    "series_instance_uid": "SeriesInstanceUID",
}

_PATIENT: Final = (
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
_STUDY: Final = (
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
_SERIES: Final = (
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
_METADATA: Final = (
    "Series UID",
    "Collection",
    "3rd Party Analysis",
    "Data Description URI",
    "Subject ID",
    "Study UID",
    "Study Description",
    "Study Date",
    "Series Description",
    "Manufacturer",
    "Modality",
    "SOP Class UID",
    "Number of Images",
    "File Size",
    "File Location",
    "Series Number",
    "License Name",
    "License URL",
    "Annotation Size",
    "Date Released",
    "Series Date",
    "Protocol Name",
    "Body Part Examined",
    "Annotations Flag",
    "Manufacturer Model Name",
    "Software Versions",
    "TimeStamp",
)


def make_queries(prefix: str) -> dict[Topic, QueryEndpoint]:
    """The common queries; `prefix` is `v1` or `v2`."""
    query = partial(_make_query, prefix)
    by_part = {"collection": "Collection", "body_part_examined": "BodyPartExamined"}
    by_modality = {"collection": "Collection", "modality": "Modality"}
    since = {"collection": "Collection", "since": "Date"}
    new = frozenset(since.values())
    return {
        Topic.COLLECTIONS: query("getCollectionValues", {}, ("Collection",)),
        Topic.MODALITIES: query("getModalityValues", by_part, ("Modality",)),
        Topic.BODY_PARTS: query("getBodyPartValues", by_modality, ("BodyPartExamined",)),
        Topic.MANUFACTURERS: query("getManufacturerValues", {**by_part, **by_modality}, ("Manufacturer",)),
        Topic.PATIENTS: query("getPatient", {"collection": "Collection", "patient_id": "PatientId"}, _PATIENT),
        Topic.PATIENTS_BY_MODALITY: query(
            "getPatientByCollectionAndModality", by_modality, ("PatientId",), required=frozenset(by_modality.values())
        ),
        Topic.NEW_PATIENTS: query("NewPatientsInCollection", since, _PATIENT, required=new, date_format="%Y/%m/%d"),
        Topic.STUDIES: query("getPatientStudy", _STUDY_FILTERS, _STUDY),
        Topic.NEW_STUDIES: query(
            "NewStudiesInPatientCollection", {**since, "patient_id": "PatientID"}, _STUDY, required=new, date_format="%Y/%m/%d"
        ),
        Topic.SERIES: query("getSeries", _SERIES_FILTERS, _SERIES),
        # this one date begins with the day; parsed leniently, other forms match nothing (docs/archives.md#series-queries)
        Topic.UPDATED_SERIES: query(
            "getUpdatedSeries", {"since": "fromDate"}, (*_UP_TO_IMAGE_COUNT, "DateReleased"), date_format="%d/%m/%Y"
        ),
        Topic.SERIES_SIZE: query("getSeriesSize", _OF_SERIES, ("TotalSizeInBytes", "ObjectCount"), required=SERIES),
        Topic.SERIES_METADATA: query("getSeriesMetaData", _OF_SERIES, _METADATA, required=SERIES),
        Topic.IMAGES: query("getSOPInstanceUIDs", _OF_SERIES, ("SOPInstanceUID",), required=SERIES),
        Topic.SHARED_CART: make_cart_query(prefix),
    }


def _make_query(
    prefix: str,
    name: str,
    filters: Mapping[str, str],
    attributes: tuple[str, ...],
    *,
    required: frozenset[str] = frozenset(),
    date_format: str = "",
) -> QueryEndpoint:
    optional = (_FORMAT | frozenset(filters.values())) - required
    endpoint = Endpoint(path=f"{prefix}/{name}", required=required, optional=optional)
    return QueryEndpoint(endpoint=endpoint, filters=filters, attributes=attributes, date_format=date_format)


def make_cart_query(prefix: str) -> QueryEndpoint:
    """The query for a cart, which v4 lacks: clients of v4 use v1 of the same host.

    Source: docs/archives.md#series-queries.
    """
    return QueryEndpoint(
        endpoint=Endpoint(path=f"{prefix}/getContentsByName", required=frozenset({"name"})),
        filters={"shared_cart": "name"},
        attributes=(*_UP_TO_IMAGE_COUNT, "Date Released"),
        formats=(ReplyFormat.JSON,),
    )


def make_image_routes(prefix: str) -> tuple[ImageRoute, ...]:
    """The routes to images: only getImageWithMD5Hash has MD5s."""
    return (
        ImageRoute(
            endpoint=Endpoint(path=f"{prefix}/getImageWithMD5Hash", required=SERIES),
            md5_list=True,
        ),
        ImageRoute(
            endpoint=Endpoint(path=f"{prefix}/getImage", required=SERIES, optional=frozenset({"NewFileNames"})),
            fixed={"NewFileNames": "Yes"},
            md5_list=False,
        ),
    )
