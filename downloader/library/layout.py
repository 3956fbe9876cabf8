"""The folder of a series in the library. Pure: independent of the content of the disk."""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from downloader.config.layouts import LAYOUT_FIELDS, LAYOUTS
from downloader.errors import SettingsError
from downloader.library.names import LONGEST_NAME_BYTES, NOTHING, cut_name, safe_name
from downloader.model import Series

_REMEMBERED_SERIES: Final = 1024

_LABEL_CHARACTERS = 53
_LABEL_UID_CHARACTERS = 5


def _label(day: date | None, number: str, description: str, instance_uid: str) -> str:
    """A folder name for people, as the NBIA Data Retriever makes it; two series may get the same name.

    Source: docs/archives.md#data-retriever.
    """
    parts = (
        day.strftime("%m-%d-%Y") if day else "",
        number,
        description[:_LABEL_CHARACTERS],
        instance_uid[-_LABEL_UID_CHARACTERS:],
    )
    return "-".join(part.replace("/", "-") for part in parts if part not in ("", "-", "null"))


def _collection_id(series: Series) -> str:
    """The collection's id in the Imaging Data Commons: `LIDC-IDRI` is `lidc_idri`."""
    return "".join(letter if letter.isalnum() else "_" for letter in series.collection.lower())


# fields that are not attributes of a series with that name
_COMPUTED: Final[Mapping[str, Callable[[Series], str]]] = MappingProxyType(
    {
        "collection_id": _collection_id,
        "study_label": lambda series: _label(
            series.study_date, series.study_id, series.study_description, series.study_instance_uid
        ),
        "series_label": lambda series: _label(None, series.series_number, series.series_description, series.series_instance_uid),
    }
)


_STUDY_DETAILS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "study_id": frozenset({"study_id"}),
        "study_date": frozenset({"study_date"}),
        "study_description": frozenset({"study_description"}),
        "study_label": frozenset({"study_id", "study_date", "study_description"}),
    }
)


@dataclass(frozen=True, slots=True)
class _Part:
    """Literal text, then the value of an attribute; an empty attribute name means no value."""

    literal: str
    attribute: str


@lru_cache(maxsize=_REMEMBERED_SERIES)
def _folders_of(layout: "Layout", series: Series) -> tuple[PurePosixPath, ...]:
    """Cached, because a series that is moved or stored needs them several times."""
    return layout.make_folders(series)


@dataclass(frozen=True, slots=True)
class Layout:
    """A parsed template: the parts of each folder of the path."""

    levels: tuple[tuple[_Part, ...], ...]

    def folders(self, series: Series) -> tuple[PurePosixPath, ...]:
        """The possible folders of the series, best first; the last one contains the whole series instance UID and is unique.

        A template without `{series_instance_uid}` can give two series the same folder. The second series then gets a folder next
        to the first that ends in its UID.
        """
        return _folders_of(self, series)

    def make_folders(self, series: Series) -> tuple[PurePosixPath, ...]:
        """The same, uncached."""
        names = [_fill(level, series) for level in self.levels]
        folder = PurePosixPath(*map(safe_name, names))
        if any(part.attribute == "series_instance_uid" for level in self.levels for part in level):
            return (folder,)
        suffix = f"-{series.series_instance_uid}"
        label = cut_name(safe_name(names[-1]), max(1, LONGEST_NAME_BYTES - len(suffix.encode("utf-8", "replace"))))
        return (folder, folder.with_name(safe_name(label + suffix)))

    def may_nest(self, other: "Layout") -> bool:
        """Whether one of the two layouts would put series into folders of series of the other.

        A single layout never does: all its folders have the same depth.
        """
        shorter, longer = sorted((self, other), key=lambda layout: len(layout.levels))
        if len(shorter.levels) == len(longer.levels):
            return False
        *above, last = shorter.levels
        # the second of two series with the same folder
        beside = (*last, _Part("-", "series_instance_uid"))
        lower = longer.levels[len(above)]
        is_above = all(_spell(level) == _spell(one) for level, one in zip(above, longer.levels, strict=False))
        return is_above and _spell(lower) in {_spell(last), _spell(beside)}

    @property
    def study_details(self) -> frozenset[str]:
        """The study attributes that the folder's name needs; not every catalogue row has them."""
        named = {part.attribute for level in self.levels for part in level}
        return frozenset().union(*(details for name, details in _STUDY_DETAILS.items() if name in named))

    def collection_folder(self, series: Series) -> PurePosixPath:
        """The folder of files about the whole collection, such as LICENSE."""
        first = self.levels[0]
        by_collection_id = any(part.attribute == "collection_id" for part in first) and len(self.levels) > 1
        return PurePosixPath(safe_name(_collection_id(series) if by_collection_id else series.collection))


def collection_folders(series: Series) -> tuple[PurePosixPath, ...]:
    """All folders in which any layout puts files about the series' collection."""
    return tuple({PurePosixPath(safe_name(name)): None for name in (series.collection, _collection_id(series))})


def parse_layout(layout: str) -> Layout:
    """Parse the name of a built-in layout, or a template such as `{collection}/{series_instance_uid}`.

    Raises:
        SettingsError: it is neither, or a template that could leave the library.
    """
    template = LAYOUTS.get(layout, layout)
    levels = tuple(_parse_level(level, layout) for level in template.split("/"))
    if not any(part.attribute for level in levels for part in level):
        raise _refusal(layout, f"it is not one of {', '.join(LAYOUTS)}, and has no attribute in braces")
    return Layout(levels)


def _spell(level: tuple[_Part, ...]) -> tuple[tuple[str, str], ...]:
    """A form that is equal for two levels that can give the same name: a collection may be spelled like its id."""
    return tuple((part.literal, "collection" if part.attribute == "collection_id" else part.attribute) for part in level)


def _parse_level(level: str, layout: str) -> tuple[_Part, ...]:
    if not level or level.startswith("."):
        raise _refusal(layout, "no folder of it may be empty or begin with a dot")
    try:
        parsed = list(string.Formatter().parse(level))
    except ValueError as error:
        raise _refusal(layout, f"its braces do not match: {error}") from error
    parts = []
    for literal, attribute, form, conversion in parsed:
        if attribute is not None and attribute not in LAYOUT_FIELDS:
            raise _refusal(layout, f"unknown attribute {{{attribute}}}; the attributes are {', '.join(LAYOUT_FIELDS)}")
        if form or conversion:
            raise _refusal(layout, f"{{{attribute}}} does not accept a format")
        if safe_name(f"x{literal}x") != f"x{literal}x":
            raise _refusal(layout, f"{literal!r} is not allowed in the name of a folder")
        parts.append(_Part(literal, attribute or ""))
    return tuple(parts)


def _fill(level: tuple[_Part, ...], series: Series) -> str:
    return "".join(part.literal + (_value_of(part.attribute, series) if part.attribute else "") for part in level)


def _value_of(field: str, series: Series) -> str:
    if field in _COMPUTED:
        return _COMPUTED[field](series) or NOTHING
    value: object = getattr(series, field)
    return value.isoformat() if isinstance(value, date) else str(value or NOTHING)


def _refusal(layout: str, why: str) -> SettingsError:
    return SettingsError(f"the layout {layout!r} cannot be used: {why}", next_step="correct output.layout")
