"""nbia-api v2 and the endpoints without a version: what v1 has, for those who show a token.

Source: docs/archives.md#tokens, #queries, #md5s.
"""

from dataclasses import replace
from typing import Final

from downloader.sandbox import queries
from downloader.sandbox.generations import Endpoint, Generation, Security
from downloader.sandbox.nbia_v1 import NBIA_V1
from downloader.sandbox.second_path import make_endpoints

_REFUSAL: Final = (
    "The user has not been granted the access to image with given SeriesInstanceUID,{}. "
    "Please contact System Admin to resolve this issue."
)
_COUNTED: Final = {
    "Collection": ("Collection", ()),
    "Modality": ("Modality", ("Collection", "BodyPartExamined")),
    "BodyPart": ("BodyPartExamined", ("Collection", "Modality")),
    "Manufacturer": ("Manufacturer", ("Collection", "Modality", "BodyPartExamined")),
}

NBIA_V2: Final = replace(NBIA_V1, name="v2", prefix="v2/", refusal=_REFUSAL, security=Security.GOOD_TOKEN)

ADVANCED: Final = Generation(
    name="advanced",
    prefix="",
    endpoints=(
        *(
            Endpoint(
                name=f"get{name}ValuesAndCounts",
                parameters=filters,
                produces=("application/json",),
                has_format=False,
                answer=queries.values_and_counts(column, filters, ("criteria", "count")),
            )
            for name, (column, filters) in _COUNTED.items()
        ),
        Endpoint(
            name="getMD5Hierarchy",
            method="POST",
            parameters=("SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Collection"),
            produces=("application/json",),
            has_format=False,
            answer=queries.md5_hierarchy,
        ),
        *make_endpoints(search="getSimpleSearchWithModalityAndBodyPartPaged", is_v4=False),
    ),
    strict=False,
    folds_case=False,
    refusal=_REFUSAL,
    security=Security.GOOD_TOKEN,
)
