"""nbia-api v4: in use since 2025; nobody needs to sign in for public series (ARCHIVE §0, §3, §4.1).

It refuses parameters that it does not know. getImage brings MD5s since November 2025; before that getImageWithMD5Hash did, which
names images by a counter in no order and sends no licence.
"""

from typing import Final

from downloader.archive.endpoints import Endpoint, Generation, ImageRoute, ListEndpoint, Method, SeriesEndpoint

_FORMAT: Final = frozenset({"format"})
_SERIES: Final = frozenset({"SeriesInstanceUID"})
_FILTERS: Final = {
    "collection": "Collection",
    "patient_id": "PatientID",
    "study_instance_uid": "StudyInstanceUID",
    "modality": "Modality",
    "body_part_examined": "BodyPartExamined",
    "manufacturer_model_name": "ManufacturerModelName",
    "manufacturer": "Manufacturer",
    "series_instance_uid": "SeriesInstanceUID",
}
# clients in the field send ten thousand at a time (ARCHIVE §3.3); a thousand keep a reply small enough to hold
_LISTED_AT_ONCE: Final = 1_000
_GET_IMAGE: Final = Endpoint(path="v4/getImage", required=_SERIES, optional=frozenset({"NewFileNames", "IncludeMD5"}))

NBIA_V4: Final = Generation(
    name="v4",
    collections=Endpoint(path="v4/getCollectionValues", optional=_FORMAT),
    series=SeriesEndpoint(
        endpoint=Endpoint(path="v4/getSeries", optional=_FORMAT | frozenset(_FILTERS.values())), filters=_FILTERS
    ),
    listed_series=ListEndpoint(
        endpoint=Endpoint(path="v4/getSeriesMetadata", required=frozenset({"list"}), optional=_FORMAT, method=Method.POST),
        parameter="list",
        limit=_LISTED_AT_ONCE,
        fixed={"format": "json"},
    ),
    image_routes=(
        ImageRoute(
            endpoint=_GET_IMAGE,
            fixed={"NewFileNames": "Yes", "IncludeMD5": "Yes"},
            md5_list=True,
            ordered_names=True,
        ),
        ImageRoute(
            endpoint=Endpoint(path="v4/getImageWithMD5Hash", required=_SERIES),
            md5_list=True,
            ordered_names=False,
        ),
        ImageRoute(endpoint=_GET_IMAGE, fixed={"NewFileNames": "Yes"}, md5_list=False, ordered_names=True),
    ),
    series_size=Endpoint(path="v4/getSeriesSize", required=_SERIES, optional=_FORMAT),
    sop_instance_uids=Endpoint(path="v4/getSOPInstanceUIDs", required=_SERIES, optional=_FORMAT),
    single_image=Endpoint(path="v4/getSingleImage", required=_SERIES | {"SOPInstanceUID"}),
    image_md5=Endpoint(path="v4/getMD5HashForImage", required=frozenset({"SOPInstanceUID"})),
    image_md5_parameter="SOPInstanceUID",
    series_md5=Endpoint(path="v4/getMD5Hierarchy", required=_SERIES, method=Method.POST),
)
