"""Resolves a manifest: which queries to send to the archives, and which of their rows are selected."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from downloader.archive.port import Catalogue, UnreadableRow
from downloader.manifest import ApiGeneration, ArchiveAddress, Manifest, Selection
from downloader.model import Series
from downloader.resolving.checked_lists import BeginAnswer, ignore_answers
from downloader.resolving.inquiry import EntryFilter, EntryMatch, Inquiry
from downloader.resolving.own_rows import ask_own_rows
from downloader.resolving.query_plan import plan_queries
from downloader.transport.retrying import RetryPolicy

__all__ = ["EntryMatch", "Resolution", "Resolver", "Sink", "plan_queries"]

_OTHER_HOST: Final = {
    "tcia": "; NLST has its own host: archive: nlst",
    "nlst": "; other collections are on another host: archive: tcia",
}
_NAMED_ROWS: Final = 5

Sink = Callable[[str, Sequence[Series]], Awaitable[None]]


@dataclass(slots=True)
class Resolution:
    """The result of resolving a manifest, except the series: one match for each entry of `select`, in order.

    `manifest` is the resolved manifest, with the series of shared carts added. `doubts` describe, by archive, lists that may be
    incomplete: with any of them, the run is not complete and no series of that archive is withdrawn. `unreadable` has rows that
    cannot be parsed, by archive.
    """

    manifest: Manifest
    entries: list[EntryMatch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    doubts: dict[str, Sequence[str]] = field(default_factory=dict)
    unreadable: dict[str, Sequence[UnreadableRow]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether every list is known to be complete, and every row could be parsed."""
        return not self.doubts and not self.unreadable

    def unlisted(self) -> Mapping[str, Sequence[str]]:
        """The series that the manifest names and its archives do not list, by archive."""
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.unlisted:
                found.setdefault(entry.archive, []).extend(entry.unlisted)
        return found


class Resolver:
    """Finds the series of manifests on their archives.

    Args:
        archives: all archives of the manifests, by name.
        retry_policy: retries failed queries.
    """

    def __init__(self, archives: Mapping[str, Catalogue], retry_policy: RetryPolicy) -> None:
        self._archives = archives
        self._retry_policy = retry_policy

    async def resolve(self, manifest: Manifest, sink: Sink, begin_answer: BeginAnswer = ignore_answers) -> Resolution:
        """Pass every wanted series to `sink`, in batches with the name of their archive, and return the result.

        `begin_answer` is called before the rows of each response reach the sink. The sink receives a series several times if
        several entries select it, or if its query failed and was repeated.

        Raises:
            ArchiveError, TransferError: the archive has an outage or refuses the credentials, or every list of it failed.
            ManifestError: the manifest names a collection or a shared cart that its archive does not have.
        """
        inquiries = {name: Inquiry(archive, self._retry_policy, begin_answer) for name, archive in self._archives.items()}
        select = [
            await inquiries[manifest.archive_of(selection).name].add_shared_carts(selection) for selection in manifest.select
        ]
        resolution = Resolution(replace(manifest, select=tuple(select)))
        matches = await _resolve_entries(resolution.manifest, inquiries, sink)
        for selection, match in zip(manifest.select, matches, strict=True):
            resolution.entries.append(match)
            resolution.warnings += _warn_of_carts(selection, match, manifest.archive_of(selection))
            if not match.matched:
                which = "exclude removes all series that match" if match.excluded else "no series match"
                why = f": {match.reason}" if match.reason else ""
                resolution.warnings.append(f"{which} {selection.describe()}{why}")
        for address in manifest.archives:
            resolution.warnings += inquiries[address.name].warn_of_excludes(manifest.exclude)
            _conclude(address.name, inquiries[address.name], resolution)
        for name, unlisted in resolution.unlisted().items():
            hint = _OTHER_HOST.get(name, "")
            resolution.warnings.append(f"{name} does not list {len(unlisted)} of the series that the manifest names{hint}")
        return resolution

    async def ask_own_rows(self, archive: str, series: Sequence[Series], controls: Sequence[Series]) -> Sequence[Series]:
        """The rows that the archive of that name returns for each of the series, requested singly.

        `controls` are series that it has just listed. Raises as `downloader.resolving.own_rows.ask_own_rows`.
        """
        return await ask_own_rows(series, self._archives[archive], controls, self._retry_policy)


async def _resolve_entries(manifest: Manifest, inquiries: Mapping[str, Inquiry], sink: Sink) -> list[EntryMatch]:
    """The match of each entry, in order. Entries that name their series are queried together, with the first of them."""
    archives = [manifest.archive_of(selection).name for selection in manifest.select]
    entry_filters = [EntryFilter(selection, manifest.excludes) for selection in manifest.select]
    naming: dict[str, list[int]] = defaultdict(list)
    for number, selection in enumerate(manifest.select):
        if selection.lists_series:
            naming[archives[number]].append(number)
    found: dict[int, EntryMatch] = {}
    for number, (archive, entry_filter) in enumerate(zip(archives, entry_filters, strict=True)):
        if number in found:
            continue
        pour = partial(sink, archive)
        if entry_filter.selection.lists_series:
            together = naming[archive]
            matches = await inquiries[archive].resolve_listed([entry_filters[one] for one in together], pour)
            found |= dict(zip(together, matches, strict=True))
        else:
            found[number] = await inquiries[archive].resolve(entry_filter, pour)
    return [found[number] for number in range(len(entry_filters))]


def _conclude(archive: str, inquiry: Inquiry, resolution: Resolution) -> None:
    """Add the warnings and doubts about the archive's lists to the result."""
    lists = inquiry.lists
    lists.conclude()
    resolution.warnings += lists.warnings
    if lists.doubts:
        resolution.doubts[archive] = lists.doubts
        resolution.warnings += lists.doubts
    if lists.unreadable:
        rows = resolution.unreadable[archive] = list(dict.fromkeys(lists.unreadable))
        named = "; ".join(row.sentence for row in rows[:_NAMED_ROWS]) + (" and others" if len(rows) > _NAMED_ROWS else "")
        resolution.warnings.append(
            f"{len(rows)} rows of {archive}'s catalogue cannot be read, so their series are not fetched: {named}; "
            "tell the archive's help desk if this persists"
        )


def _warn_of_carts(selection: Selection, match: EntryMatch, address: ArchiveAddress) -> Iterator[str]:
    """Warnings about features of carts that the Data Retriever has and tciad lacks."""
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
                f"{series_list.path.name} was made for an account (its databasketId ends in -x), and no account is configured "
                f"for {match.archive}: if series are refused, name the list in a manifest with archive.auth"
            )
