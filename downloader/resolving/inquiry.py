"""The queries to one archive for the entries of a manifest, and which rows each entry selects."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Final

from downloader.archive.port import Catalogue, UnreadableRow
from downloader.errors import ArchiveFaultError, ManifestError
from downloader.manifest import Coverage, Selection, explain_nothing
from downloader.model import Series
from downloader.resolving.batches import BATCH_SERIES, Batches, pour
from downloader.resolving.checked_lists import BeginAnswer, CheckedLists, ignore_answers
from downloader.resolving.listing import RowCount
from downloader.resolving.query_plan import asked_keys, plan_queries
from downloader.transport.retrying import RetryPolicy

LIST_FAILED: Final = "the archive failed to list its series"
_ANNOTATED: Final = frozenset({"true", "yes", "1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryMatch:
    """What one entry of `select` found.

    Of the `listed` rows of the archive, `matched` are wanted, and `excluded` are removed by `exclude`; `annotated` of the wanted
    ones have annotation files that a cart asks for. `reason` says why nothing matches, empty if something does; then `unmatched`
    has the values, by key, that no matching series has. `unlisted` are the series that the entry names and the archive does not
    list.
    """

    archive: str
    listed: int
    matched: int
    excluded: int
    unmatched: Mapping[str, tuple[str, ...]]
    unlisted: tuple[str, ...] = ()
    annotated: int = 0
    reason: str = ""


class EntryFilter:
    """Selects the rows of one entry, and records which of its values they matched."""

    def __init__(self, selection: Selection, excludes: Callable[[Series], bool]) -> None:
        self.selection = selection
        self.coverage = Coverage(selection)
        self._excludes = excludes
        self._wants_annotations = any(series_list.wants_annotations for series_list in selection.series_lists)

    def selects(self, series: Series, count: RowCount) -> bool:
        """Whether the series is wanted; counts it either way."""
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


class Inquiry:
    """The queries to one archive in one resolve. `lists` has the warnings and doubts about its lists."""

    def __init__(self, archive: Catalogue, retry_policy: RetryPolicy, begin_answer: BeginAnswer = ignore_answers) -> None:
        self._archive = archive
        self._retry_policy = retry_policy
        self._collections: Sequence[str] | None = None
        self.lists = CheckedLists(archive, retry_policy, self._list_collections, begin_answer)
        self._begin_answer = begin_answer

    def warn_of_excludes(self, exclude: Sequence[Selection]) -> Iterator[str]:
        """Warnings about `exclude` entries that can never match a series of this archive, because it lacks the attributes."""
        for selection in exclude:
            if untold := selection.hopeless_keys(self._archive.capabilities.absent_attributes):
                yield (
                    f"exclude removes nothing from {self._archive.name} by {selection.describe()}: "
                    f"{self._archive.name} does not provide {' and '.join(untold)}"
                )

    async def add_shared_carts(self, selection: Selection) -> Selection:
        """The entry with the series of its shared carts added.

        Raises:
            ManifestError: the archive gives no series of a cart; it replies the same for a cart that it cannot read.
        """
        series: list[str] = []
        for cart in selection.shared_carts:
            found = await self._retry_policy.ask(f"getContentsByName {cart!r}", partial(self._archive.find_shared_cart, cart))
            if not found:
                raise ManifestError(
                    f"{selection.position}: shared_cart: {self._archive.name} has no cart {cart!r}, or no series in it",
                    next_step="check its name on the archive's site; if it is right, try again later",
                )
            series += found
        return selection.with_cart_series(series)

    async def resolve(self, entry_filter: EntryFilter, sink: Batches) -> EntryMatch:
        """Find the series of an entry that does not name its series.

        Raises:
            ArchiveError, TransferError: as `CheckedLists.ask`.
            ManifestError: the archive has no such collection.
        """
        count, has_failed = RowCount(), False
        for collection in await self._collections_of(entry_filter.selection):
            listed_before = count.listed
            queries = plan_queries(entry_filter.selection, collection)
            for query in queries:
                count.add(await self.lists.ask(query, entry_filter.selects, sink, is_one_of_many=len(queries) > 1))
                has_failed |= self.lists.has_failed(query)
            if collection is not None and count.listed == listed_before:
                await self._expect_collection(collection, entry_filter.selection)
        match = self._match(entry_filter, count)
        return replace(match, reason=LIST_FAILED) if has_failed and not match.matched else match

    async def resolve_listed(self, entry_filters: Sequence[EntryFilter], sink: Batches) -> list[EntryMatch]:
        """Find the series that these entries name. Each series is requested once, for all entries together.

        Raises:
            ArchiveError: a query failed after all its retries.
        """
        by_name: dict[str, list[int]] = defaultdict(list)
        for number, entry_filter in enumerate(entry_filters):
            for name in entry_filter.selection.series_instance_uids:
                by_name[name].append(number)
        counts = [RowCount() for _ in entry_filters]
        unlisted: list[list[str]] = [[] for _ in entry_filters]
        names = list(by_name)
        for start in range(0, len(names), BATCH_SERIES):
            part = names[start : start + BATCH_SERIES]
            self._begin_answer(False)
            ask = partial(self._ask_listed, part, by_name, entry_filters, sink)
            found, listed = await self._retry_policy.ask(f"{len(part)} series by UID", ask)
            for number, count in found.items():
                counts[number].add(count)
            for name in part:
                for number in by_name[name] if name not in listed else ():
                    unlisted[number].append(name)
        return [self._match(*one) for one in zip(entry_filters, counts, unlisted, strict=True)]

    async def _ask_listed(
        self, part: Sequence[str], by_name: Mapping[str, Sequence[int]], entry_filters: Sequence[EntryFilter], sink: Batches
    ) -> tuple[Mapping[int, RowCount], set[str]]:
        counts: dict[int, RowCount] = defaultdict(RowCount)
        unreadable: list[UnreadableRow] = []
        listed: set[str] = set()

        def takes(series: Series) -> bool:
            listed.add(series.series_instance_uid)
            is_wanted = False
            # no short-circuit: every entry must record what it matched
            for number in by_name.get(series.series_instance_uid, ()):
                is_wanted |= entry_filters[number].selects(series, counts[number])
            return is_wanted

        await pour(self._archive.find_listed_series(part, unreadable.append), takes, sink)
        self.lists.unreadable += unreadable
        return counts, listed | {row.series_instance_uid for row in unreadable}

    def _match(self, entry_filter: EntryFilter, count: RowCount, unlisted: Sequence[str] = ()) -> EntryMatch:
        fits = count.matched + count.excluded > 0
        if untold := entry_filter.selection.hopeless_keys(self._archive.capabilities.absent_attributes):
            reason = f"{self._archive.name} does not provide {' and '.join(untold)}"
        else:
            reason = explain_nothing(entry_filter.selection, count.listed, count.misfits, asked_keys(entry_filter.selection))
        return EntryMatch(
            archive=self._archive.name,
            listed=count.listed,
            matched=count.matched,
            excluded=count.excluded,
            unmatched=entry_filter.coverage.unmatched() if fits else {},
            unlisted=tuple(unlisted),
            annotated=count.annotated,
            reason="" if fits else reason,
        )

    async def _collections_of(self, selection: Selection) -> Sequence[str | None]:
        """The collections of an entry; `[None]` if it does not select by collection."""
        exact = selection.exact("collection")
        if exact is not None:
            return exact
        if not selection.limits("collection"):
            return [None]
        return [name for name in await self._list_collections() if selection.accepts("collection", name)]

    async def _list_collections(self) -> Sequence[str]:
        if self._collections is None:
            self._collections = await self._retry_policy.ask("getCollectionValues", self._ask_collections)
        return self._collections

    async def _ask_collections(self) -> Sequence[str]:
        names = await self._archive.find_collections()
        if not names:
            # the archive replies 200 with an empty body both for "none" and for a broken database
            # (docs/archives.md#empty-replies)
            raise ArchiveFaultError("the archive lists no collections", next_step="it may be down; try again later")
        return names

    async def _expect_collection(self, name: str, selection: Selection) -> None:
        """A query for this collection returned nothing: raise if the archive has no collection of that name."""
        names = await self._list_collections()
        if any(name.casefold() == known.casefold() for known in names):
            return
        near = get_close_matches(name, names, n=1)
        raise ManifestError(
            f"{selection.position}: collection: {self._archive.name} has no collection {name!r}"
            + (f" (did you mean {near[0]!r}?)" if near else ""),
            next_step="NLST has its own host: set archive: nlst" if name.casefold() == "nlst" else None,
        )
