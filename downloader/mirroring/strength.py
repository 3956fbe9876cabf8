"""Reads the strength of proof of a manifest's complete series from the store."""

from collections import Counter
from collections.abc import Collection
from typing import Final

from downloader.model import Digests
from downloader.results.strength import StrengthSummary
from downloader.store.port import ProofRecords

NAMED_SERIES: Final = 20
"""How many weak series a report names."""


async def read_strength(
    store: ProofRecords, manifest: str, complete: int, *, lists_wanted: Collection[str], proven_again: int = 0
) -> StrengthSummary:
    """The strength of proof of a manifest's `complete` series.

    `lists_wanted` names the archives whose series should have MD5 lists.
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


async def _first_weak(store: ProofRecords, manifest: str) -> list[str]:
    named: list[str] = []
    async for row in store.find_weak(manifest):
        named.append(row.series.series_instance_uid)
        if len(named) == NAMED_SERIES:
            break
    return named
