"""From a manifest to the series it means: which questions to ask the archive, and which of its rows are wanted."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import product

import structlog

from downloader.archive.port import Archive
from downloader.errors import ArchiveFaultError, ManifestError
from downloader.manifest import Manifest, Selection
from downloader.model import Series, SeriesQuery
from downloader.patience import Patience

BATCH_SERIES = 5_000
# Above this many, one query for the whole collection is kinder to the archive than one for each patient.
MOST_QUERIES_PER_COLLECTION = 20
_log = structlog.get_logger(__name__)

Sink = Callable[[Sequence[Series]], Awaitable[None]]


@dataclass(slots=True)
class Resolution:
    """What resolving a manifest found, beside the series themselves.

    `matched` counts rows per entry of `select`, in their order; `unlisted` are series that the manifest names and the archive
    does not list.
    """

    matched: list[int] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Resolver:
    """Asks one archive what a manifest means."""

    def __init__(self, archive: Archive, patience: Patience) -> None:
        self._archive = archive
        self._patience = patience
        self._collections: Sequence[str] | None = None

    async def resolve(self, manifest: Manifest, sink: Sink) -> Resolution:
        """Hand every wanted series to `sink`, in batches, and tell what was found.

        A series that several entries want reaches the sink several times, and so does one whose query broke and was repeated.

        Raises:
            ArchiveError: a query failed however often it was repeated: nothing may be concluded from what came so far.
            ManifestError: the manifest names a collection that the archive does not have.
        """
        resolution = Resolution()
        for selection in manifest.select:
            matched = await self._resolve_selection(manifest, selection, sink, resolution)
            resolution.matched.append(matched)
            if not matched:
                resolution.warnings.append(f"nothing matches {selection.describe()}")
        return resolution

    async def _resolve_selection(self, manifest: Manifest, selection: Selection, sink: Sink, resolution: Resolution) -> int:
        def wanted(series: Series) -> bool:
            return selection.matches(series) and not manifest.excludes(series)

        if selection.series_instance_uids:
            return await self._resolve_listed(selection, wanted, sink, resolution)
        matched = 0
        for collection in await self._collections_of(selection):
            found = 0
            for query in plan_queries(selection, collection):
                rows, hits = await self._ask(query, wanted, sink)
                found += rows
                matched += hits
            if collection is not None and not found:
                await self._expect_collection(collection, selection)
        return matched

    async def _collections_of(self, selection: Selection) -> Sequence[str | None]:
        """The collections that an entry means; `[None]` when it means any."""
        exact = selection.exact("collection")
        if exact is not None:
            return exact
        if not selection.limits("collection"):
            return [None]
        return [name for name in await self._list_collections() if selection.accepts("collection", name)]

    async def _list_collections(self) -> Sequence[str]:
        if self._collections is None:
            self._collections = await self._patience.ask("getCollectionValues", self._ask_collections)
        return self._collections

    async def _ask_collections(self) -> Sequence[str]:
        names = await self._archive.find_collections()
        if not names:
            # the archive answers 200 with an empty body for "none" and for a broken database alike (ARCHIVE §2.4)
            raise ArchiveFaultError("the archive lists no collection at all", next_step="it may be down; try again later")
        return names

    async def _expect_collection(self, name: str, selection: Selection) -> None:
        """A query for this collection found nothing: is it a filter that fits nothing, or a name that does not exist?"""
        names = await self._list_collections()
        if any(name.casefold() == known.casefold() for known in names):
            return
        near = get_close_matches(name, names, n=1)
        raise ManifestError(
            f"{selection.position}: collection: {self._archive.name} has no collection {name!r}"
            + (f" (did you mean {near[0]!r}?)" if near else "")
        )

    async def _ask(self, query: SeriesQuery, wanted: Callable[[Series], bool], sink: Sink) -> tuple[int, int]:
        """Ask one getSeries; rows that came, and rows that were wanted."""

        async def ask() -> tuple[int, int]:
            rows, hits = await _pour(self._archive.find_series(query), wanted, sink)
            if not rows and is_whole_collection(query):
                await self._refuse_empty(query.collection or "")
            return rows, hits

        return await self._patience.ask(f"getSeries {describe(query)}", ask)

    async def _refuse_empty(self, name: str) -> None:
        names = await self._list_collections()
        if any(name.casefold() == known.casefold() for known in names):
            raise ArchiveFaultError(
                f"the archive has a collection {name!r} and lists no series for it",
                next_step="its database may be failing; try again later",
            )

    async def _resolve_listed(
        self, selection: Selection, wanted: Callable[[Series], bool], sink: Sink, resolution: Resolution
    ) -> int:
        asked = selection.series_instance_uids
        matched = 0
        for start in range(0, len(asked), BATCH_SERIES):
            part = asked[start : start + BATCH_SERIES]

            async def ask(part: Sequence[str] = part) -> tuple[set[str], int]:
                listed: set[str] = set()

                def note(series: Series) -> bool:
                    listed.add(series.series_instance_uid)
                    return wanted(series)

                _, hits = await _pour(self._archive.find_listed_series(part), note, sink)
                return listed, hits

            listed, hits = await self._patience.ask(f"{len(part)} series by name", ask)
            matched += hits
            resolution.unlisted += [name for name in part if name not in listed]
        if resolution.unlisted:
            resolution.warnings.append(
                f"the archive does not list {len(resolution.unlisted)} of the series that the manifest names"
            )
        return matched


def plan_queries(selection: Selection, collection: str | None) -> list[SeriesQuery]:
    """The getSeries queries that together bring every series of one collection that an entry may want.

    Only exact values can be asked; globs, ranges and long lists are compared on this side.
    """
    narrow: dict[str, tuple[str, ...]] = {}
    for key in ("patient_id", "study_instance_uid"):
        values = selection.exact(key)
        if values is not None and len(values) <= MOST_QUERIES_PER_COLLECTION:
            narrow[key] = values
    modalities = selection.exact("modality")
    if modalities is not None and len(modalities) == 1:
        # v1 compares modalities exactly, and DICOM writes them in capitals (PS3.3 C.7.3.1.1.1)
        narrow["modality"] = (modalities[0].upper(),)
    combinations = list(product(*narrow.values()))
    if len(combinations) > MOST_QUERIES_PER_COLLECTION:
        return [SeriesQuery(collection=collection)]
    return [SeriesQuery(collection=collection, **dict(zip(narrow, values, strict=True))) for values in combinations]


def is_whole_collection(query: SeriesQuery) -> bool:
    """Whether the query asks for all series of one collection, so that an empty answer contradicts its existence."""
    return query == SeriesQuery(collection=query.collection) and query.collection is not None


def describe(query: SeriesQuery) -> str:
    """The query as one line for logs and messages."""
    names = ("collection", "patient_id", "study_instance_uid", "modality")
    given = [f"{name}={value!r}" for name in names if (value := getattr(query, name)) is not None]
    return " ".join(given) or "of the whole archive"


async def _pour(rows: AsyncGenerator[Series, None], wanted: Callable[[Series], bool], sink: Sink) -> tuple[int, int]:
    """Pass the wanted rows on in batches; rows that came, and rows that were wanted."""
    count = hits = 0
    batch: list[Series] = []
    async with aclosing(rows):
        async for series in rows:
            count += 1
            if not wanted(series):
                continue
            hits += 1
            batch.append(series)
            if len(batch) >= BATCH_SERIES:
                await sink(batch)
                batch = []
    if batch:
        await sink(batch)
    return count, hits
