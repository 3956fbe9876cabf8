"""nbia-api v1: public series, nobody signs in (ARCHIVE §0, §3, §4.1).

It passes over parameters that it does not know, cannot be asked for series by list, and gives MD5s with getImageWithMD5Hash
only, which names images by a counter in no order and sends no licence.
"""

from typing import Final

from downloader.archive.endpoints import Endpoint, Generation, ImageRoute, SeriesEndpoint

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

NBIA_V1: Final = Generation(
    name="v1",
    collections=Endpoint(path="v1/getCollectionValues", optional=_FORMAT),
    series=SeriesEndpoint(
        endpoint=Endpoint(path="v1/getSeries", optional=_FORMAT | frozenset(_FILTERS.values())), filters=_FILTERS
    ),
    listed_series=None,
    image_routes=(
        ImageRoute(
            endpoint=Endpoint(path="v1/getImageWithMD5Hash", required=_SERIES),
            md5_list=True,
            ordered_names=False,
        ),
        ImageRoute(
            endpoint=Endpoint(path="v1/getImage", required=_SERIES, optional=frozenset({"NewFileNames"})),
            fixed={"NewFileNames": "Yes"},
            md5_list=False,
            ordered_names=True,
        ),
    ),
    series_size=Endpoint(path="v1/getSeriesSize", required=_SERIES, optional=_FORMAT),
    sop_instance_uids=Endpoint(path="v1/getSOPInstanceUIDs", required=_SERIES, optional=_FORMAT),
    single_image=Endpoint(path="v1/getSingleImage", required=_SERIES | {"SOPInstanceUID"}),
    # spelled so, in name and parameter (ARCHIVE §3.5)
    image_md5=Endpoint(path="v1/getM5HashForImage", required=frozenset({"SOPInstanceUid"})),
    image_md5_parameter="SOPInstanceUid",
    # getMD5Hierarchy wants a token, and nobody signs in to v1
    series_md5=None,
)
