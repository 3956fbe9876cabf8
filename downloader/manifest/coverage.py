"""Which values of an entry some series had, and which none: a list of patients with one misspelt is still a list that matches."""

from collections.abc import Mapping
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
