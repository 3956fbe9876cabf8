"""Strength of proof of complete series."""

from dataclasses import dataclass
from typing import Any

from downloader.results.amounts import count_text


@dataclass(frozen=True, slots=True, kw_only=True)
class StrengthSummary:
    """Counts of complete series, by how many of their images match the archive's own MD5.

    `unknown` ones were stored by an older tciad, and their receipts have not been read yet. `weak_series` has the first series
    that are not proven by all MD5s; `without_list` of them arrived without an MD5 list that was requested. `proven_again` were
    weaker before this run.
    """

    proven_by_all: int = 0
    proven_by_some: int = 0
    proven_by_none: int = 0
    unknown: int = 0
    weak_series: tuple[str, ...] = ()
    without_list: int = 0
    proven_again: int = 0

    @property
    def weak(self) -> int:
        """Series that have images without a matching MD5 of the archive."""
        return self.proven_by_some + self.proven_by_none

    def as_json(self) -> dict[str, Any]:
        """The value of the key `proof` in reports."""
        return {
            "all": self.proven_by_all,
            "some": self.proven_by_some,
            "none": self.proven_by_none,
            "unknown": self.unknown,
            "proven_again": self.proven_again,
            "weak_series": list(self.weak_series),
        }

    def as_warnings(self) -> list[str]:
        """The warning about series that arrived without the MD5 list that their archive may send."""
        if not self.without_list:
            return []
        have, them = ("has", "it") if self.without_list == 1 else ("have", "them")
        series = count_text(self.without_list, "complete series", "complete series")
        return [
            (
                f"{series} {have} no MD5 list of the archive: count, size and identity prove {them}. "
                f"A later run proves {them} again once the archive offers MD5s"
            )
        ]


def contradiction_warning(series: int) -> str:
    """The warning about series for which the archive contradicts itself."""
    return (
        f"{count_text(series, 'complete series', 'complete series')} could not be proven again: the archive's MD5 list differs "
        "from the images that it sends now; what is in the library stays. Report it to the archive if this lasts"
    )


def disproof_warning(series: int) -> str:
    """The warning about series whose images differ from the archive's MD5s."""
    return (
        f"{count_text(series, 'complete series', 'complete series')} held images that differ from the archive's MD5s: "
        "they come again, and what was there goes to .tciad/quarantine"
    )
