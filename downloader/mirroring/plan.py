"""Finds what a run would select and fetch, without fetching it."""

from collections import Counter
from collections.abc import Callable, Sequence

from downloader.manifest import Manifest, Selection
from downloader.model import Series, SeriesState
from downloader.resolving.resolver import EntryMatch, Resolver
from downloader.results.plan import PlanEntry, PlanReport
from downloader.store.port import Inventory
from downloader.store.records import Standing

Note = Callable[[Series, Standing], None]


class _PlanCounter:
    """Counts the series of a plan, each once, and remembers them as 64-bit hashes, to bound the memory for a million series."""

    def __init__(self, store: Inventory, note: Note) -> None:
        self._store = store
        self._note = note
        self.seen: set[int] = set()
        self.standings: Counter[Standing] = Counter()
        self.images = self.bytes_total = self.fetch_bytes = self.fetch_images = self.unknown_sizes = 0

    async def take(self, archive: str, batch: Sequence[Series]) -> None:  # noqa: ARG002 - what it costs is the same anywhere
        fresh: list[Series] = []
        for series in batch:
            mark = hash(series.series_instance_uid)
            if mark not in self.seen:
                self.seen.add(mark)
                fresh.append(series)
        for series, standing in zip(fresh, await self._store.compare(fresh), strict=True):
            self._count(series, standing)
            self._note(series, standing)

    def _count(self, series: Series, standing: Standing) -> None:
        self.standings[standing] += 1
        self.images += series.image_count or 0
        self.bytes_total += series.file_size_bytes or 0
        if standing is Standing.COMPLETE:
            return
        self.fetch_images += series.image_count or 0
        self.fetch_bytes += series.file_size_bytes or 0
        self.unknown_sizes += series.file_size_bytes is None


async def plan_manifest(
    manifest: Manifest, resolver: Resolver, store: Inventory, *, free_bytes: int, min_free_bytes: int, note: Note
) -> PlanReport:
    """Resolve the manifest and compare the result with the store. `note` is called once for each series.

    Raises:
        ArchiveError, ManifestError: as `Resolver.resolve`.
    """
    counter = _PlanCounter(store, note)
    resolution = await resolver.resolve(manifest, counter.take)
    withdrawn = 0
    meant = {hash(row.series_instance_uid) for rows in resolution.unreadable.values() for row in rows}
    async for row in store.find(manifest.name):
        mark = hash(row.series.series_instance_uid)
        gone = mark not in counter.seen and mark not in meant
        withdrawn += gone and row.state is not SeriesState.WITHDRAWN and resolution.manifest.wants(row.series)
    standings = counter.standings
    return PlanReport(
        manifest=manifest.name,
        selected=len(counter.seen),
        complete=standings[Standing.COMPLETE],
        new=standings[Standing.NEW],
        changed=standings[Standing.CHANGED],
        pending=standings[Standing.PENDING],
        withdrawn=withdrawn,
        unlisted=tuple(dict.fromkeys(name for entry in resolution.entries for name in entry.unlisted)),
        images=counter.images,
        bytes_total=counter.bytes_total,
        fetch_images=counter.fetch_images,
        fetch_bytes=counter.fetch_bytes,
        unknown_sizes=counter.unknown_sizes,
        free_bytes=free_bytes,
        min_free_bytes=min_free_bytes,
        entries=tuple(map(_describe, manifest.select, resolution.entries)),
        warnings=tuple(resolution.warnings),
    )


def _describe(selection: Selection, match: EntryMatch) -> PlanEntry:
    return PlanEntry(
        entry=selection.describe(),
        position=selection.position,
        archive=match.archive,
        listed=match.listed,
        matched=match.matched,
        excluded=match.excluded,
        unlisted=len(match.unlisted),
        unmatched={key: list(values) for key, values in match.unmatched.items()},
        reason=match.reason,
    )
