"""One entry of `select` or `exclude`: which series it matches, and what can be asked of an archive for it."""

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Final

from downloader.manifest.archives import ArchiveAddress
from downloader.manifest.document import CountRange, DayRange, SelectionKeys, WantedKeys
from downloader.manifest.series_list import SeriesList
from downloader.model import Series

ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "collection": ("collection",),
        "patient_id": ("patient_id",),
        "study_instance_uid": ("study_instance_uid",),
        "modality": ("modality",),
        "body_part_examined": ("body_part_examined",),
        "manufacturer": ("manufacturer",),
        "manufacturer_model_name": ("manufacturer_model_name",),
        "series_description": ("series_description",),
        "license": ("license_name", "license_uri"),
    }
)
TEXT_KEYS: Final = tuple(ATTRIBUTES)
RANGE_KEYS: Final = ("image_count", "date_released", "study_date")
_Test = Callable[[Series], bool]
_MOST_SHOWN: Final = 3


def is_glob(value: str) -> bool:
    """Whether the value is a pattern: it holds `*` or `?`. Only then do brackets mean a set of characters."""
    return "*" in value or "?" in value


@dataclass(frozen=True, slots=True)
class TextMatcher:
    """The values of one text key, made ready for many comparisons without case."""

    values: frozenset[str]
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, values: tuple[str, ...]) -> "TextMatcher":
        """A matcher that accepts what fits any of the values."""
        patterns = [fnmatch.translate(value.casefold()) for value in values if is_glob(value)]
        exact = frozenset(value.casefold() for value in values if not is_glob(value))
        return cls(exact, re.compile("|".join(patterns)) if patterns else None)

    def accepts(self, text: str) -> bool:
        """Whether the text fits."""
        folded = text.casefold()
        return folded in self.values or (self.pattern is not None and self.pattern.match(folded) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A series matches when it fits every key that the entry has.

    Text compares without case and without trimming, as the archive does (docs/archives.md#parameters). An attribute that the
    catalogue does not give fits no glob but `*`, and no range.

    Attributes:
        position: `file:line` of the entry, for messages.
        values: what each text key takes, as written; a key that is absent does not limit.
        series_instance_uids: the series that the entry lists itself or through series lists, each once, in their order;
            empty when it does not list any, and then it does not limit.
        series_lists: the files that it lists some of them through.
        shared_carts: names of shared carts at the archive; `with_cart_series` adds their series to the listed ones.
        archive: where the series of the entry are; None where the manifest's archive has them.
    """

    position: str
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    series_instance_uids: tuple[str, ...] = ()
    series_lists: tuple[SeriesList, ...] = ()
    shared_carts: tuple[str, ...] = ()
    image_count: CountRange | None = None
    date_released: DayRange | None = None
    study_date: DayRange | None = None
    archive: ArchiveAddress | None = None
    _texts: Mapping[str, TextMatcher] = field(init=False, repr=False, compare=False)
    _tests: Mapping[str, _Test] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_texts", {key: TextMatcher.of(values) for key, values in self.values.items()})
        object.__setattr__(self, "_tests", dict(self._make_tests()))

    def matches(self, series: Series) -> bool:
        """Whether the series fits every key. Made for a million rows."""
        return all(test(series) for test in self._tests.values())

    def find_misfit(self, series: Series) -> str:
        """The first key that the series does not fit, in the order of `keys`; empty when it fits all."""
        return next((key for key, test in self._tests.items() if not test(series)), "")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that limit, in the order in which they are compared; `series_instance_uid` stands for lists and carts too."""
        return tuple(self._tests)

    def show(self, key: str) -> str:
        """One key that is no list of series, with what it takes: `modality CT or MR`."""
        return f"{key} {_show(self.values[key]) if key in self.values else getattr(self, key)}"

    def hopeless_keys(self, untold: Collection[str]) -> tuple[str, ...]:
        """The keys that no series can fit while none has these attributes."""
        unknown = Series(series_instance_uid="")
        return tuple(
            key
            for key in self.keys
            if untold and all(name in untold for name in ATTRIBUTES.get(key, (key,))) and not self._tests[key](unknown)
        )

    @property
    def lists_series(self) -> bool:
        """Whether the entry names its series itself, in a list or in a cart."""
        return bool(self.series_instance_uids or self.shared_carts)

    def with_cart_series(self, series_instance_uids: Iterable[str]) -> "Selection":
        """The entry with the series of its carts among those that it lists."""
        return replace(self, series_instance_uids=tuple(dict.fromkeys((*self.series_instance_uids, *series_instance_uids))))

    def limits(self, key: str) -> bool:
        """Whether the entry has this text key (one of `TEXT_KEYS`)."""
        return key in self.values

    def exact(self, key: str) -> tuple[str, ...] | None:
        """The values of a text key, if the archive can be asked for each of them.

        Returns:
            None when the entry does not have the key, or has a glob among its values.
        """
        values = self.values.get(key)
        return None if values is None or any(map(is_glob, values)) else values

    def globs(self, key: str) -> tuple[str, ...]:
        """Those values of a text key that are globs."""
        return tuple(value for value in self.values.get(key, ()) if is_glob(value))

    def accepts(self, key: str, text: str) -> bool:
        """Whether one text key alone lets the text pass; a key that the entry does not have lets everything pass."""
        return key not in self._texts or self._texts[key].accepts(text)

    def describe(self) -> str:
        """The entry as one line: `collection LIDC-IDRI, modality CT or MR, image_count 20 or more`."""
        parts = list(map(self.show, self.values))
        if self.shared_carts:
            parts.append(f"shared_cart {_show(self.shared_carts)}")
        parts += [f"series_list {listed.path.name} ({len(listed.series_instance_uids):,} series)" for listed in self.series_lists]
        in_files = {name for series_list in self.series_lists for name in series_list.series_instance_uids}
        if itself := tuple(name for name in self.series_instance_uids if name not in in_files):
            parts.append(f"series_instance_uid {_show(itself)}")
        parts += [self.show(key) for key in RANGE_KEYS if getattr(self, key) is not None]
        return ", ".join(parts)

    def _make_tests(self) -> Iterator[tuple[str, _Test]]:
        if self.lists_series:
            listed = frozenset(self.series_instance_uids)
            yield "series_instance_uid", lambda series: series.series_instance_uid in listed
        yield from ((key, _text_test(ATTRIBUTES[key], matcher)) for key, matcher in self._texts.items())
        if (counts := self.image_count) is not None:
            yield "image_count", lambda series: counts.contains(series.image_count)
        if (released := self.date_released) is not None:
            yield "date_released", lambda series: released.contains(series.date_released)
        if (studied := self.study_date) is not None:
            yield "study_date", lambda series: studied.contains(series.study_date)


def make_selection(keys: SelectionKeys, position: str, archive: ArchiveAddress | None = None) -> Selection:
    """The selection that an entry of a manifest means, on that archive."""
    carts = keys.shared_cart if isinstance(keys, WantedKeys) else None
    listed = dict.fromkeys(keys.series_instance_uid or ())
    for series_list in keys.series_list or ():
        listed.update(dict.fromkeys(series_list.series_instance_uids))
    values = {key: _without_repeats(given) for key in TEXT_KEYS if (given := getattr(keys, key)) is not None}
    return Selection(
        position=position,
        values=MappingProxyType(values),
        series_instance_uids=tuple(listed),
        series_lists=keys.series_list or (),
        shared_carts=tuple(dict.fromkeys(carts or ())),
        image_count=keys.image_count,
        date_released=keys.date_released,
        study_date=keys.study_date,
        archive=archive,
    )


def _text_test(attributes: tuple[str, ...], matcher: TextMatcher) -> Callable[[Series], bool]:
    accepts = matcher.accepts
    if len(attributes) == 1:
        get = attrgetter(attributes[0])
        return lambda series: accepts(get(series))
    return lambda series: any(accepts(getattr(series, attribute)) for attribute in attributes)


def _without_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    """Each value once, in its first spelling: the archive would be asked twice for the same."""
    first: dict[str, str] = {}
    for value in values:
        first.setdefault(value.casefold(), value)
    return tuple(first.values())


def _show(values: tuple[str, ...]) -> str:
    if len(values) > _MOST_SHOWN:
        return f"{', '.join(values[:_MOST_SHOWN])} and {len(values) - _MOST_SHOWN} more"
    return " or ".join(values)
