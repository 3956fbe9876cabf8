"""Which values of an entry some series had, and which none: a list of patients with one misspelt is still a list that matches."""

from collections.abc import Container, Mapping, Sequence
from typing import Final

from downloader.manifest.selection import ATTRIBUTES, Selection, TextMatcher
from downloader.model import Series

_Waiting = dict[str, TextMatcher]


class Coverage:
    """Notes the series that match an entry, and tells what of the entry nothing matched. Made for a million rows."""

    def __init__(self, selection: Selection) -> None:
        self._waiting: Final[dict[str, _Waiting]] = {
            key: {value: TextMatcher.of((value,)) for value in values} for key, values in selection.values.items()
        }

    def note(self, series: Series) -> None:
        """This series matches the entry."""
        # once every value of a key was met, the key costs nothing any more
        for key in tuple(self._waiting):
            waiting = self._waiting[key]
            texts = [getattr(series, attribute) for attribute in ATTRIBUTES[key]]
            met = [value for value, matcher in waiting.items() if any(map(matcher.accepts, texts))]
            for value in met:
                del waiting[value]
            if not waiting:
                del self._waiting[key]

    def unmatched(self) -> Mapping[str, tuple[str, ...]]:
        """The values that no series had, by key."""
        return {key: tuple(waiting) for key, waiting in self._waiting.items()}


def explain_nothing(selection: Selection, listed: int, misfits: Mapping[str, int], asked: Container[str]) -> str:
    """Why none of the `listed` rows that came for an entry fits it, in a way that is true of the archive's series.

    Keys narrow one after the other; the one that leaves nothing is named, with what it left nothing of. `misfits` counts rows by
    the first key that they do not fit; for the `asked` keys the archive itself gives only rows that fit.
    """
    names = "that it names" if selection.lists_series else ""
    if not listed:
        such = [] if selection.lists_series else [selection.show(key) for key in selection.keys if key in asked]
        return _join("the archive lists none of the series" if names else "the archive lists no series", names, such)
    left = listed
    before: list[str] = []
    for key in selection.keys:
        fits = left - misfits.get(key, 0)
        if not fits:
            return f"{_join(f'of {left:,} series', names, before)} none has {selection.show(key)}"
        left = fits
        if key != "series_instance_uid":
            before.append(selection.show(key))
    return ""


def _join(what: str, names: str, such: Sequence[str]) -> str:
    return " ".join(filter(None, (what, names, f"with {', '.join(such)}" if such else "")))
