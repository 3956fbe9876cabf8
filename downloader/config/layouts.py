"""The built-in layouts of a library, and the fields of a template."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LAYOUTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "classic": "{collection}/{patient_id}/{study_instance_uid}/{series_instance_uid}",
        "descriptive": "{collection}/{patient_id}/{study_label}/{series_label}",
        "idc": "{collection_id}/{patient_id}/{study_instance_uid}/{modality}_{series_instance_uid}",
        "flat": "{series_instance_uid}",
    }
)

LAYOUT_FIELDS: Final = (
    "collection",
    "collection_id",
    "patient_id",
    "study_instance_uid",
    "study_id",
    "study_date",
    "study_description",
    "study_label",
    "series_instance_uid",
    "series_number",
    "series_date",
    "series_description",
    "series_label",
    "modality",
    "body_part_examined",
    "protocol_name",
    "manufacturer",
    "manufacturer_model_name",
)
"""The fields in braces; library/layout.py fills them in for a series."""
