"""How strongly complete series are proven, as JSON for programs and as a line for people."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from downloader.model import Digests
from downloader.store.port import Store
from downloader.ui.texts import count_text

NAMED_SERIES = 20
"""How many of the series that are proven by less a report names."""
_SHOWN_SERIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StrengthSummary:
    """Complete series by how many of their images the archive's own MD5 vouches for.

    `unknown` were stored by an older tciad, and their receipts have not been looked at yet. `weak_series` names the first of
    those that are not proven by all; `without_list` of these came without an MD5 list that was wanted. `proven_again` of this run
    were weaker before it.
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
        """Series of which the archive's MD5 is known not to vouch for every image."""
        return self.proven_by_some + self.proven_by_none

    def as_json(self) -> dict[str, Any]:
        """The key `proof` of reports."""
        return {
            "all": self.proven_by_all,
            "some": self.proven_by_some,
            "none": self.proven_by_none,
            "unknown": self.unknown,
            "proven_again": self.proven_again,
            "weak_series": list(self.weak_series),
        }

    def as_warnings(self) -> list[str]:
        """What a user should know of series that came without the MD5 list that their archive may send."""
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

    def as_lines(self) -> list[str]:
        """The same for people; nothing where every image is vouched for."""
        lines = []
        if self.weak:
            named = ", ".join(self.weak_series[:_SHOWN_SERIES]) + (", …" if self.weak > _SHOWN_SERIES else "")
            by_all = count_text(self.proven_by_all, "series", "series")
            lines.append(
                f"  proof: the archive's MD5 matches every image of {by_all}, some images of {self.proven_by_some:,}, "
                f"none of {self.proven_by_none:,} ({named}); `tciad verify --weak` lists them"
            )
        if self.unknown:
            lines.append(f"  proof: not known yet of {count_text(self.unknown, 'series', 'series')} that an older tciad stored")
        if self.proven_again:
            lines.append(f"  proof: {count_text(self.proven_again, 'series', 'series')} proven again, now by the archive's MD5s")
        return lines


async def read_strength(
    store: Store, manifest: str, complete: int, *, lists_wanted: Collection[str], proven_again: int = 0
) -> StrengthSummary:
    """What the store knows of the proofs of a manifest's `complete` series.

    `lists_wanted` names the archives whose series are to have MD5 lists.
    """
    groups = await store.proof_groups(manifest)
    counts: Counter[Digests | None] = Counter()
    without_list = 0
    for group in groups:
        counts[group.digests] += group.series
        if group.digests is not None and not group.came_with_list and group.archive in lists_wanted:
            without_list += group.series
    return StrengthSummary(
        proven_by_all=complete - counts.total(),
        proven_by_some=counts[Digests.SOME],
        proven_by_none=counts[Digests.NONE],
        unknown=counts[None],
        weak_series=tuple(await _first_weak(store, manifest)) if groups else (),
        without_list=without_list,
        proven_again=proven_again,
    )


async def _first_weak(store: Store, manifest: str) -> list[str]:
    named: list[str] = []
    async for row in store.find_weak(manifest):
        if row.digests is not None:
            named.append(row.series.series_instance_uid)
        if len(named) == NAMED_SERIES:
            break
    return named


def told_of_contradictions(series: int) -> str:
    """What a user should know of series for which the archive contradicts itself."""
    return (
        f"{count_text(series, 'complete series', 'complete series')} could not be proven again: the archive's MD5 list differs "
        "from the images that it sends now; what is in the library stays. Report it to the archive if this lasts"
    )


def told_of_disproved(series: int) -> str:
    """What a user should know of series whose images the archive's MD5s disprove."""
    return (
        f"{count_text(series, 'complete series', 'complete series')} held images that differ from the archive's MD5s: "
        "they come again, and what was there goes to .tciad/quarantine"
    )
