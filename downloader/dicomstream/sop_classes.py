"""Names of the SOP classes. Source: PS3.6 table A-1, all storage classes, including retired ones; in sop_classes.tsv."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files


def sop_class_name(sop_class_uid: str) -> str:
    """Such as `CT Image Storage`; empty for private classes, and for classes newer than the table."""
    return _names().get(sop_class_uid, "")


@cache
def _names() -> Mapping[str, str]:
    text = files(__package__).joinpath("sop_classes.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.splitlines())
