"""The queries that an NBIA server answers by its second JSON path, in v4 and, without a version, for v2.

They are available only as JSON: missing values may be null, and an empty result is `[]` (docs/archives.md#second-json-path).
Names of attributes are those of the server's own classes, including misspellings. A description is found by the exact name.

Source: CBIIT/NBIA-TCIA, restAPI/v4/GetCollectionDescriptions, GetDicomTags, GetCollectionOrSeriesFromDOI and GetSimpleSearch with
restUtil/SearchUtil and PatientSummaryFactory, and the classes without a version next to them.
"""

from collections.abc import Mapping
from typing import Final

from downloader.archive.nbia.endpoints import Endpoint, Method, Paging, QueryEndpoint
from downloader.archive.question import ReplyFormat, Topic

_SEARCHED_AT_ONCE: Final = 500
_CRITERIA: Final = {
    "collection": "CollectionCriteria",
    "patient_id": "PatientCriteria",
    "modality": "ImageModalityCriteria",
    "body_part_examined": "AnatomicalSiteCriteria",
    "manufacturer": "ManufacturerCriteria",
    "manufacturer_model_name": "ModelCriteria",
}
_FOUND_PATIENT: Final = (
    "subjectId",
    "project",
    "totalNumberOfStudies",
    "totalNumberOfSeries",
    "modalities",
    "bodyParts",
    "species",
)


def make_second_queries(
    prefix: str, *, search: str, description: tuple[str, ...], doi: tuple[str, ...]
) -> dict[Topic, QueryEndpoint]:
    """The queries of one generation.

    Args:
        prefix: the prefix of the endpoint's name, with its slash.
        search: the endpoint that searches for patients.
        description: the attributes of a collection's description.
        doi: attributes of a row about a DOI, in addition to those of both generations.
    """
    return {
        Topic.DICOM_TAGS: _json(f"{prefix}getDicomTags", {"series_instance_uid": "SeriesUID"}, ("element", "name", "data")),
        Topic.COLLECTION_DESCRIPTIONS: _json(
            f"{prefix}getCollectionDescriptions", {"collection": "collectionName"}, description, required=False
        ),
        Topic.DOI_COLLECTIONS: _by_doi(prefix, "collection", ("collection", "thirdPartyAnanlysis", *doi)),
        Topic.DOI_SERIES: _by_doi(prefix, "series", ("collection", "seriesInstanceUID", "thirdPartyAnanlysis", *doi)),
        Topic.PATIENT_SEARCH: QueryEndpoint(
            endpoint=Endpoint(path=f"{prefix}{search}", optional=Paging.parameters(len(_CRITERIA)), method=Method.POST),
            filters=_CRITERIA,
            attributes=_FOUND_PATIENT,
            formats=(ReplyFormat.JSON,),
            paging=Paging(rows_at_once=_SEARCHED_AT_ONCE),
        ),
    }


def _json(path: str, filters: Mapping[str, str], attributes: tuple[str, ...], *, required: bool = True) -> QueryEndpoint:
    names = frozenset(filters.values())
    endpoint = Endpoint(path=path, required=names) if required else Endpoint(path=path, optional=names)
    return QueryEndpoint(endpoint=endpoint, filters=filters, attributes=attributes, formats=(ReplyFormat.JSON,))


def _by_doi(prefix: str, told: str, attributes: tuple[str, ...]) -> QueryEndpoint:
    """Without a DOI the archive would return everything, so one is required here."""
    endpoint = Endpoint(
        path=f"{prefix}getCollectionOrSeriesForDOI", required=frozenset({"DOI", "CollectionOrSeries"}), method=Method.POST
    )
    return QueryEndpoint(
        endpoint=endpoint,
        filters={"doi": "DOI"},
        attributes=attributes,
        formats=(ReplyFormat.JSON,),
        fixed={"CollectionOrSeries": told},
    )
