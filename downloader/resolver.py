"""From a manifest to the series it means: which questions to ask the archives, and which of their rows are wanted."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from itertools import product

import structlog

from downloader.archive.port import Archive
from downloader.errors import ArchiveFaultError, ManifestError
from downloader.manifest import ApiGeneration, ArchiveAddress, Coverage, Manifest, Selection, explain_nothing
from downloader.model import Series, SeriesQuery
from downloader.own_rows import ask_own_rows
from downloader.patience import Patience

BATCH_SERIES = 5_000
# Above this many, one query for the whole collection is kinder to the archive than one for each patient.
MOST_QUERIES_PER_COLLECTION = 20
_OTHER_HOST = {
    "tcia": "; those of NLST are on a host of their own: archive: nlst",
    "nlst": "; those of other collections are on another host: archive: tcia",
}
_ANNOTATED = frozenset({"true", "yes", "1"})
_log = structlog.get_logger(__name__)

Sink = Callable[[str, Sequence[Series]], Awaitable[None]]
_Batches = Callable[[Sequence[Series]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryMatch:
    """What one entry of `select` found.

    Of the `listed` rows that the archive gave for it, `matched` are wanted, and `excluded` would be if no entry of `exclude` took
    them away; `annotated` of the wanted ones have annotation files that a cart asks for. `reason` says why nothing fits, and is
    empty where something does: then `unmatched` are the values, by key, that none of those that fit has. `unlisted` are the
    series that the entry names and the archive does not list.
    """

    archive: str
    listed: int
    matched: int
    excluded: int
    unmatched: Mapping[str, tuple[str, ...]]
    unlisted: tuple[str, ...] = ()
    annotated: int = 0
    reason: str = ""


@dataclass(slots=True)
class Resolution:
    """What resolving a manifest found, beside the series themselves: of each entry of `select`, in their order.

    `manifest` is the one that was resolved, with the series of shared carts told.
    """

    manifest: Manifest
    entries: list[EntryMatch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def unlisted(self) -> Mapping[str, Sequence[str]]:
        """The series that the manifest names and its archives do not list, by archive."""
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.unlisted:
                found.setdefault(entry.archive, []).extend(entry.unlisted)
        return found


class Resolver:
    """Asks archives what a manifest means.

    Args:
        archives: all that entries of the manifests ask, by name.
        patience: asks again where an answer fails.
    """

    def __init__(self, archives: Mapping[str, Archive], patience: Patience) -> None:
        self._archives = archives
        self._patience = patience
        self._inquiries = {name: _Inquiry(archive, patience) for name, archive in archives.items()}

    async def resolve(self, manifest: Manifest, sink: Sink) -> Resolution:
        """Hand every wanted series to `sink`, in batches with the name of their archive, and tell what was found.

        A series that several entries want reaches the sink several times, and so does one whose query broke and was repeated.

        Raises:
            ArchiveError: a query failed however often it was repeated: nothing may be concluded from what came so far.
            ManifestError: the manifest names a collection or a shared cart that its archive does not have.
        """
        select = [
            await self._inquiries[manifest.archive_of(selection).name].tell_carts(selection) for selection in manifest.select
        ]
        resolution = Resolution(replace(manifest, select=tuple(select)))
        for selection, told in zip(manifest.select, select, strict=True):
            name = manifest.archive_of(selection).name
            match = await self._inquiries[name].resolve(_Sieve(told, manifest.excludes), partial(sink, name))
            resolution.entries.append(match)
            resolution.warnings += _warn_of_carts(selection, match, manifest.archive_of(selection))
            if not match.matched:
                which = "exclude takes away all that matches" if match.excluded else "nothing matches"
                why = f": {match.reason}" if match.reason else ""
                resolution.warnings.append(f"{which} {selection.describe()}{why}")
        for address in manifest.archives:
            resolution.warnings += self._inquiries[address.name].warn_of_excludes(manifest.exclude)
        for name, unlisted in resolution.unlisted().items():
            hint = _OTHER_HOST.get(name, "")
            resolution.warnings.append(f"{name} does not list {len(unlisted)} of the series that the manifest names{hint}")
        return resolution

    async def ask_own_rows(self, archive: str, series: Sequence[Series], controls: Sequence[Series]) -> Sequence[Series]:
        """The rows of those series that the archive of that name still lists when it is asked for each by itself.

        `controls` are series that it has just listed. Raises as `downloader.own_rows.ask_own_rows`.
        """
        return await ask_own_rows(series, self._archives[archive], controls, self._patience)


@dataclass(slots=True)
class _Count:
    """Rows that came, those that are wanted, and those that would be but for `exclude`."""

    listed: int = 0
    matched: int = 0
    excluded: int = 0
    annotated: int = 0
    misfits: Counter[str] = field(default_factory=Counter)

    def add(self, other: "_Count") -> None:
        self.listed += other.listed
        self.matched += other.matched
        self.excluded += other.excluded
        self.annotated += other.annotated
        self.misfits += other.misfits


class _Sieve:
    """Decides on rows for one entry, and notes what of the entry they met."""

    def __init__(self, selection: Selection, excludes: Callable[[Series], bool]) -> None:
        self.selection = selection
        self.coverage = Coverage(selection)
        self._excludes = excludes
        self._wants_annotations = any(series_list.wants_annotations for series_list in selection.series_lists)

    def lets_pass(self, series: Series, count: _Count) -> bool:
        """Whether the series is wanted; counted one way or the other."""
        count.listed += 1
        if misfit := self.selection.find_misfit(series):
            count.misfits[misfit] += 1
            return False
        self.coverage.note(series)
        if self._excludes(series):
            count.excluded += 1
            return False
        count.matched += 1
        count.annotated += self._wants_annotations and series.annotations_flag.casefold() in _ANNOTATED
        return True


class _Inquiry:
    """What is asked of one archive."""

    def __init__(self, archive: Archive, patience: Patience) -> None:
        self._archive = archive
        self._patience = patience
        self._collections: Sequence[str] | None = None

    def warn_of_excludes(self, exclude: Sequence[Selection]) -> Iterator[str]:
        """Entries that cannot take away any of this archive's series, whatever the series are."""
        for selection in exclude:
            if untold := selection.hopeless_keys(self._archive.untold):
                yield (
                    f"exclude takes away nothing of {self._archive.name} by {selection.describe()}: "
                    f"{self._archive.name} does not tell {' and '.join(untold)}"
                )

    async def tell_carts(self, selection: Selection) -> Selection:
        """The entry with the series of its shared carts.

        Raises:
            ManifestError: the archive knows no series of a cart, which it also says of one that it cannot read.
        """
        series: list[str] = []
        for cart in selection.shared_carts:
            found = await self._patience.ask(f"getContentsByName {cart!r}", partial(self._archive.find_shared_cart, cart))
            if not found:
                raise ManifestError(
                    f"{selection.position}: shared_cart: {self._archive.name} has no cart {cart!r}, or no series in it",
                    next_step="check its name on the archive's site; if it is right, try again later",
                )
            series += found
        return selection.with_cart_series(series)

    async def resolve(self, sieve: _Sieve, sink: _Batches) -> EntryMatch:
        count = _Count()
        unlisted: list[str] = []
        if sieve.selection.lists_series:
            unlisted = await self._resolve_listed(sieve, sink, count)
        else:
            await self._resolve_queries(sieve, sink, count)
        fits = count.matched + count.excluded > 0
        if untold := sieve.selection.hopeless_keys(self._archive.untold):
            reason = f"{self._archive.name} does not tell {' and '.join(untold)}"
        else:
            reason = explain_nothing(sieve.selection, count.listed, count.misfits, asked_keys(sieve.selection))
        return EntryMatch(
            archive=self._archive.name,
            listed=count.listed,
            matched=count.matched,
            excluded=count.excluded,
            unmatched=sieve.coverage.unmatched() if fits else {},
            unlisted=tuple(unlisted),
            annotated=count.annotated,
            reason="" if fits else reason,
        )

    async def _resolve_queries(self, sieve: _Sieve, sink: _Batches, count: _Count) -> None:
        for collection in await self._collections_of(sieve.selection):
            listed_before = count.listed
            for query in plan_queries(sieve.selection, collection):
                count.add(await self._ask(query, sieve, sink))
            if collection is not None and count.listed == listed_before:
                await self._expect_collection(collection, sieve.selection)

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
            + (f" (did you mean {near[0]!r}?)" if near else ""),
            next_step="NLST has a host of its own: say archive: nlst" if name.casefold() == "nlst" else None,
        )

    async def _ask(self, query: SeriesQuery, sieve: _Sieve, sink: _Batches) -> _Count:
        """Ask one getSeries."""

        async def ask() -> _Count:
            count = _Count()
            await _pour(self._archive.find_series(query), partial(sieve.lets_pass, count=count), sink)
            if not count.listed and is_whole_collection(query):
                await self._refuse_empty(query.collection or "")
            return count

        return await self._patience.ask(f"getSeries {describe(query)}", ask)

    async def _refuse_empty(self, name: str) -> None:
        names = await self._list_collections()
        if any(name.casefold() == known.casefold() for known in names):
            raise ArchiveFaultError(
                f"the archive has a collection {name!r} and lists no series for it",
                next_step="its database may be failing; try again later",
            )

    async def _resolve_listed(self, sieve: _Sieve, sink: _Batches, count: _Count) -> list[str]:
        """Ask for the series that the entry names; those that are not listed."""
        asked = sieve.selection.series_instance_uids
        unlisted: list[str] = []
        for start in range(0, len(asked), BATCH_SERIES):
            part = asked[start : start + BATCH_SERIES]
            found, listed = await self._patience.ask(f"{len(part)} series by name", partial(self._ask_listed, part, sieve, sink))
            count.add(found)
            unlisted += [name for name in part if name not in listed]
        return unlisted

    async def _ask_listed(self, part: Sequence[str], sieve: _Sieve, sink: _Batches) -> tuple[_Count, set[str]]:
        count = _Count()
        listed: set[str] = set()

        def lets_pass(series: Series) -> bool:
            listed.add(series.series_instance_uid)
            return sieve.lets_pass(series, count)

        await _pour(self._archive.find_listed_series(part), lets_pass, sink)
        return count, listed


def _warn_of_carts(selection: Selection, match: EntryMatch, address: ArchiveAddress) -> Iterator[str]:
    """What carts expect of the Data Retriever that tciad does not do for them."""
    if match.annotated:
        names = ", ".join(series_list.path.name for series_list in selection.series_lists if series_list.wants_annotations)
        yield (
            f"{match.annotated} of the series of {names} have annotation files, which the cart asks for (includeAnnotation); "
            "tciad mirrors images and does not fetch them"
        )
    signs_in = address.auth is not None or address.api is ApiGeneration.V2
    for series_list in selection.series_lists:
        if series_list.needs_login and not signs_in:
            yield (
                f"{series_list.path.name} was made for an account (its databasketId ends in -x), and nobody signs in to "
                f"{match.archive}: if series are refused, name the list in a manifest with archive.auth"
            )


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


def asked_keys(selection: Selection) -> frozenset[str]:
    """The keys of which the archive gives no row that does not fit them."""
    queries = plan_queries(selection, None)
    asked = {key for key in selection.keys for query in queries if getattr(query, key, None) is not None}
    return frozenset(asked | ({"collection"} if selection.limits("collection") else set()))


def is_whole_collection(query: SeriesQuery) -> bool:
    """Whether the query asks for all series of one collection, so that an empty answer contradicts its existence."""
    return query == SeriesQuery(collection=query.collection) and query.collection is not None


def describe(query: SeriesQuery) -> str:
    """The query as one line for logs and messages."""
    names = ("collection", "patient_id", "study_instance_uid", "modality")
    given = [f"{name}={value!r}" for name in names if (value := getattr(query, name)) is not None]
    return " ".join(given) or "of the whole archive"


async def _pour(rows: AsyncGenerator[Series, None], lets_pass: Callable[[Series], bool], sink: _Batches) -> None:
    """Pass the wanted rows on in batches."""
    batch: list[Series] = []
    async with aclosing(rows):
        async for series in rows:
            if not lets_pass(series):
                continue
            batch.append(series)
            if len(batch) >= BATCH_SERIES:
                await sink(batch)
                batch = []
    if batch:
        await sink(batch)
