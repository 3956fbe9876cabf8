"""What DICOM calls its SOP classes. Source: PS3.6 table A-1, the storage classes, retired ones too; in sop_classes.tsv."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files


def sop_class_name(sop_class_uid: str) -> str:
    """Such as `CT Image Storage`; empty for a private class, or one that is newer than the table."""
    return _names().get(sop_class_uid, "")


@cache
def _names() -> Mapping[str, str]:
    text = files(__package__).joinpath("sop_classes.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines())
