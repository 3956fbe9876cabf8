"""nbia-api v1: public series, without signing in (docs/archives.md#api-history, #queries, #image-endpoints).

It ignores unknown parameters, has no query for series by list, and provides MD5s only with getImageWithMD5Hash, which numbers
images in no order and sends no licence.
"""

from typing import Final

from downloader.archive.nbia.endpoints import Endpoint, Generation
from downloader.archive.nbia.v1_v2 import SERIES, make_image_routes, make_queries

NBIA_V1: Final = Generation(
    name="v1",
    queries=make_queries("v1"),
    listed_series=None,
    image_routes=make_image_routes("v1"),
    single_image=Endpoint(path="v1/getSingleImage", required=SERIES | {"SOPInstanceUID"}),
    # the archive's spelling, in name and parameter (docs/archives.md#md5s)
    image_md5=Endpoint(path="v1/getM5HashForImage", required=frozenset({"SOPInstanceUid"})),
    image_md5_parameter="SOPInstanceUid",
    # getMD5Hierarchy requires a token, and v1 has no signing in
    series_md5=None,
)
