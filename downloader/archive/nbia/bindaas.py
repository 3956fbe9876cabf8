"""The REST API of 2013, on the middleware Bindaas.

Every request has an API key. getSeries has no filter by series, no FileSize and no release date, and there are no MD5s:
completeness is proven by ImageCount, the reply's `imageCount` header and the structure of each image. A format is always
requested, because the guide names no default.

Source: docs/archives.md#api-history, #api-keys, #the-api-of-2013, and the TCIA REST API usage guide v1.
"""

from collections.abc import Mapping
from typing import Final

from downloader.archive.nbia.endpoints import Endpoint, Generation, ImageRoute, QueryEndpoint
from downloader.archive.question import Topic

_SERIES_UID: Final = frozenset({"SeriesInstanceUID"})
_VALUE_FILTERS: Final = {"collection": "Collection", "body_part_examined": "BodyPartExamined", "modality": "Modality"}
_STUDY_FILTERS: Final = {"collection": "Collection", "patient_id": "PatientID", "study_instance_uid": "StudyInstanceUID"}

_PATIENT: Final = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "EthnicGroup", "Collection")
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
    "PatientID",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ImageCount",
)


def _query(
    name: str, filters: Mapping[str, str], attributes: tuple[str, ...], required: frozenset[str] = frozenset()
) -> QueryEndpoint:
    optional = frozenset(("format", *filters.values())) - required
    endpoint = Endpoint(path=f"query/{name}", required=required, optional=optional)
    return QueryEndpoint(endpoint=endpoint, filters=filters, attributes=attributes, unasked=None)


BINDAAS: Final = Generation(
    name="bindaas",
    queries={
        Topic.COLLECTIONS: _query("getCollectionValues", {}, ("Collection",)),
        Topic.MODALITIES: _query("getModalityValues", _VALUE_FILTERS, ("Modality",)),
        Topic.BODY_PARTS: _query("getBodyPartValues", _VALUE_FILTERS, ("BodyPartExamined",)),
        Topic.MANUFACTURERS: _query("getManufacturerValues", _VALUE_FILTERS, ("Manufacturer",)),
        Topic.PATIENTS: _query("getPatient", {"collection": "Collection"}, _PATIENT),
        Topic.STUDIES: _query("getPatientStudy", _STUDY_FILTERS, _STUDY),
        Topic.SERIES: _query("getSeries", {**_STUDY_FILTERS, "modality": "Modality"}, _SERIES),
        Topic.SERIES_SIZE: _query(
            "getSeriesSize", {"series_instance_uid": "SeriesInstanceUID"}, ("TotalSizeInBytes", "ObjectCount"), _SERIES_UID
        ),
    },
    listed_series=None,
    image_routes=(ImageRoute(endpoint=Endpoint(path="query/getImage", required=_SERIES_UID), md5_list=False),),
)
