"""nbia-api v2: as v1, for users who signed in (docs/archives.md#api-history, #tokens, #queries).

A request without a token is a 500. The additional unversioned endpoints (counts, descriptions, DOIs, DICOM tags, searches,
getMD5Hierarchy) accept the same token.
"""

from collections.abc import Mapping
from typing import Final

from downloader.archive.nbia.endpoints import Endpoint, Generation, Method, QueryEndpoint
from downloader.archive.nbia.search import make_second_queries
from downloader.archive.nbia.v1_v2 import SERIES, make_image_routes, make_queries
from downloader.archive.question import ReplyFormat, Topic


def _counts(name: str, filters: Mapping[str, str]) -> QueryEndpoint:
    return QueryEndpoint(
        endpoint=Endpoint(path=f"get{name}ValuesAndCounts", optional=frozenset(filters.values())),
        filters=filters,
        attributes=("criteria", "count"),
        formats=(ReplyFormat.JSON,),
    )


_BY_PART: Final = {"collection": "Collection", "body_part_examined": "BodyPartExamined"}
_BY_MODALITY: Final = {"collection": "Collection", "modality": "Modality"}
_DESCRIPTION: Final = (
    "description",
    "id",
    "collectionDescTimestamp",
    "collectionName",
    "userName",
    "licenseId",
    "descriptionURI",
)

NBIA_V2: Final = Generation(
    name="v2",
    queries={
        **make_queries("v2"),
        Topic.COLLECTION_COUNTS: _counts("Collection", {}),
        Topic.MODALITY_COUNTS: _counts("Modality", _BY_PART),
        Topic.BODY_PART_COUNTS: _counts("BodyPart", _BY_MODALITY),
        Topic.MANUFACTURER_COUNTS: _counts("Manufacturer", {**_BY_PART, **_BY_MODALITY}),
        **make_second_queries("", search="getSimpleSearchWithModalityAndBodyPartPaged", description=_DESCRIPTION, doi=()),
    },
    listed_series=None,
    image_routes=make_image_routes("v2"),
    single_image=Endpoint(path="v2/getSingleImage", required=SERIES | {"SOPInstanceUID"}),
    # the archive's spelling, in name and parameter (docs/archives.md#md5s)
    image_md5=Endpoint(path="v2/getM5HashForImage", required=frozenset({"SOPInstanceUid"})),
    image_md5_parameter="SOPInstanceUid",
    series_md5=Endpoint(path="getMD5Hierarchy", required=SERIES, method=Method.POST),
)
