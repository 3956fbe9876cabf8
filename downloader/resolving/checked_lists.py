"""Requests lists of series from one archive, and compares each list with other counts of the archive.

A list can be empty or short with status 200 and without any sign (docs/archives.md#empty-replies; docs/faults.md, trap 9). Counts
can be wrong as well, mostly too large. So neither is accepted alone: a short list is requested again, then a different query is
sent for what is missing, and remaining doubts are reported.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import structlog

from downloader.archive.port import Catalogue, StudyCount, UnreadableRow
from downloader.concurrency import task_group
from downloader.errors import (
    AccessDeniedError,
    ArchiveError,
    ArchiveFaultError,
    CredentialsRejectedError,
    TciadError,
    TransferError,
    UnexpectedReplyError,
    Verdict,
)
from downloader.model import Series, SeriesQuery
from downloader.resolving.batches import Batches, pour
from downloader.resolving.listing import Comparison, Listing, RowCount, Shortfall
from downloader.resolving.query_plan import describe, is_whole_collection
from downloader.transport.retrying import RetryPolicy

MOST_ASKED: Final = 100
"""If more studies or patients are missing, only a sample of them is requested."""
SAMPLED: Final = 20
_ASKED_TWICE: Final = 2
_ASKED_THRICE: Final = 3
_NAMED: Final = 3
_FAILURES_IN_A_ROW: Final = 3
"""After that many consecutive failed lists, no more lists are requested from the archive: each costs minutes of retries."""
_log = structlog.get_logger(__name__)

Missing = TypeVar("Missing")
BeginAnswer = Callable[[bool], None]
"""Called before the rows of a response; the argument tells whether it replaces the previous response."""
RowFilter = Callable[[Series, RowCount], bool]


def ignore_answers(is_repeated: bool) -> None:
    """A callback for callers that do not group rows by response."""


class CheckedLists:
    """The lists of one archive in one resolve.

    Attributes:
        warnings: warnings for the user.
        doubts: lists that may be incomplete; if there are any, the run is not complete.
        unreadable: rows that cannot be parsed.
    """

    def __init__(
        self,
        archive: Catalogue,
        retry_policy: RetryPolicy,
        list_collections: Callable[[], Awaitable[Sequence[str]]],
        begin_answer: BeginAnswer = ignore_answers,
    ) -> None:
        self.warnings: list[str] = []
        self.doubts: list[str] = []
        self.unreadable: list[UnreadableRow] = []
        self._archive = archive
        self._retry_policy = retry_policy
        self._list_collections = list_collections
        self._by_collection: dict[str, Sequence[StudyCount]] = {}
        self._by_modality: dict[tuple[str, str], Sequence[str]] = {}
        self._begin_answer = begin_answer
        # lists that could not be compared, because the archive gave no counts, and the reasons
        self._uncompared: dict[str, str] = {}
        self._empty: dict[str, bool] = {}
        self._has_answered = False
        self._failed: dict[str, TciadError] = {}
        self._failures_in_a_row = 0

    async def ask(self, query: SeriesQuery, selects: RowFilter, sink: Batches, *, is_one_of_many: bool) -> RowCount:
        """Pass the rows that match `selects` to `sink`, and count them.

        `is_one_of_many`: the collection takes several queries, so its series are counted once for all of them.

        A list that fails permanently is recorded as a doubt, and other lists are still requested: nothing of the archive is
        withdrawn then.

        Raises:
            ArchiveError, TransferError: the archive has an outage, refuses the credentials, or failed several consecutive lists.
        """
        try:
            count = await self._ask(query, selects, sink, is_one_of_many=is_one_of_many)
        except (ArchiveFaultError, UnexpectedReplyError, TransferError) as error:
            self._failed[describe(query)] = error
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _FAILURES_IN_A_ROW:
                raise
            return RowCount()
        self._failures_in_a_row = 0
        return count

    async def _ask(self, query: SeriesQuery, selects: RowFilter, sink: Batches, *, is_one_of_many: bool) -> RowCount:
        asked = 0

        async def ask() -> tuple[Listing, Shortfall, _Counts]:
            nonlocal asked
            asked += 1
            self._begin_answer(asked > 1)
            listing = Listing(_comparison_of(query))
            counts = await self._pour_and_count(query, listing, selects, sink, is_one_of_many)
            shortfall = await self._compare(query, listing, counts)
            if asked < self._limit(query, listing, shortfall, counts):
                raise ArchiveFaultError(_describe_short(self._archive.name, query, listing, shortfall))
            return listing, shortfall, counts

        listing, shortfall, counts = await self._retry_policy.ask(f"getSeries {describe(query)}", ask)
        self._has_answered |= listing.count.listed > 0
        if shortfall.is_empty:
            await self._note_empty(query.collection or "", counts)
        elif shortfall:
            await self._fill(query, listing, shortfall, selects, sink)
        self.unreadable += listing.unreadable
        return listing.count

    def has_failed(self, query: SeriesQuery) -> bool:
        """Whether the list of this query failed permanently."""
        return describe(query) in self._failed

    def conclude(self) -> None:
        """Report lists that failed or are empty. Call it last: the result depends on whether the archive answered at all.

        Raises:
            ArchiveError, TransferError: every list failed.
        """
        for what, error in self._failed.items():
            if not self._has_answered:
                raise error
            self.doubts.append(
                f"{self._archive.name} failed to list the series of {what}, so they are neither fetched nor withdrawn: {error}; "
                "run again later"
            )
        self._failed.clear()
        for name, is_confirmed in self._empty.items():
            if is_confirmed and self._has_answered:
                self.warnings.append(f"the collection {name!r} of {self._archive.name} has no series")
            else:
                self.doubts.append(
                    f"{self._archive.name} has a collection {name!r} and lists no series for it, as it also does when its "
                    "database fails; run again later"
                )
        self._empty.clear()
        if self._uncompared:
            lists = ", ".join(list(self._uncompared)[:_NAMED]) + (" and others" if len(self._uncompared) > _NAMED else "")
            self.warnings.append(
                f"{len(self._uncompared)} lists of {self._archive.name} could not be compared with its counts, so "
                f"missing series may go unnoticed: {lists}: {next(iter(self._uncompared.values()))}"
            )
        self._uncompared.clear()

    async def _pour(self, query: SeriesQuery, listing: Listing, selects: RowFilter, sink: Batches) -> int:
        """Pass the rows to the sink; return how many there were."""
        before = listing.count.listed
        others = RowCount()

        def takes(series: Series) -> bool:
            return selects(series, listing.count if listing.note(series) else others)

        await pour(self._archive.find_series(query, listing.unreadable.append), takes, sink)
        return listing.count.listed - before + others.listed

    async def _pour_and_count(
        self, query: SeriesQuery, listing: Listing, selects: RowFilter, sink: Batches, is_one_of_many: bool
    ) -> "_Counts":
        """Request the list and the counts concurrently."""
        counts = _Counts()

        async def count(*, with_retries: bool) -> None:
            counts.error = None
            question = partial(self._count, query, counts, is_one_of_many)
            try:
                await (self._retry_policy.ask(f"counts of {describe(query)}", question) if with_retries else question())
            except TciadError as error:
                counts.error = error

        is_on_the_way = self._archive.capabilities.counts_with_rows
        async with task_group() as group:
            if not is_on_the_way:
                group.start_soon(partial(count, with_retries=False))
            await self._pour(query, listing, selects, sink)
        if counts.error is not None or is_on_the_way:
            # the fault that prevented the counts may have passed by the time that the list is complete
            await count(with_retries=True)
        if counts.untold and counts.is_offered:
            self._uncompared[describe(query)] = counts.untold
        else:
            self._uncompared.pop(describe(query), None)
        return counts

    async def _count(self, query: SeriesQuery, counts: "_Counts", is_one_of_many: bool) -> None:
        """Request the counts. The archive must refuse them twice, with a pause, before they count as unavailable."""
        try:
            match _comparison_of(query):
                case Comparison.STUDIES:
                    counts.studies = await self._count_studies(query, is_one_of_many)
                case Comparison.PATIENTS:
                    counts.is_offered = self._archive.capabilities.patients_by_modality
                    counts.patients = await self._find_patients(query) if counts.is_offered else ()
                case Comparison.NONE:
                    pass
        except (UnexpectedReplyError, AccessDeniedError, CredentialsRejectedError) as error:
            # refused credentials: the list itself reports them
            counts.refusals += 1
            if counts.refusals < _ASKED_TWICE:
                raise
            counts.untold = str(error)
            _log.info("series counts not available", archive=self._archive.name, list=describe(query), message=error.what)

    async def _compare(self, query: SeriesQuery, listing: Listing, counts: "_Counts") -> Shortfall:
        if counts.error is not None:
            if not isinstance(counts.error, (ArchiveError, TransferError)) or counts.error.verdict is Verdict.STOP:
                raise counts.error
            doubt = f"{self._archive.name} cannot report how many series of {describe(query)} it has: {counts.error}"
            if doubt not in self.doubts:
                self.doubts.append(doubt)
            return Shortfall()
        shortfall = listing.compare_with_studies(counts.studies) or listing.compare_with_patients(counts.patients)
        if shortfall:
            return shortfall
        is_unlisted = listing.is_empty and is_whole_collection(query) and await self._names(query.collection or "")
        return Shortfall(is_empty=is_unlisted)

    def _limit(self, query: SeriesQuery, listing: Listing, shortfall: Shortfall, counts: "_Counts") -> int:
        """How often to request a list in all. A permanent shortfall costs time in every run, so it has few retries."""
        if shortfall and listing.is_empty and is_whole_collection(query):
            is_counted_empty = shortfall.is_empty and not counts.untold
            return min(_ASKED_TWICE, self._retry_policy.attempts) if is_counted_empty else self._retry_policy.attempts
        if shortfall and listing.is_empty:
            return min(_ASKED_THRICE, self._retry_policy.attempts)
        return min(_ASKED_TWICE, self._retry_policy.attempts) if shortfall or listing.unreadable else 0

    async def _count_studies(self, query: SeriesQuery, is_one_of_many: bool) -> Sequence[StudyCount]:
        """The number of series of each study."""
        if query.collection is None or not is_one_of_many or self._archive.capabilities.counts_with_rows:
            return await self._archive.find_study_counts(query)
        if query.collection not in self._by_collection:
            whole = SeriesQuery(collection=query.collection)
            self._by_collection[query.collection] = await self._archive.find_study_counts(whole)
        return [one for one in self._by_collection[query.collection] if _is_asked_for(one, query)]

    async def _find_patients(self, query: SeriesQuery) -> Sequence[str]:
        """The patients that have series of the query's modality."""
        key = collection, modality = query.collection or "", query.modality or ""
        if key not in self._by_modality:
            self._by_modality[key] = await self._archive.find_patients(collection, modality)
        named = self._by_modality[key]
        return [name for name in named if query.patient_id is None or name.casefold() == query.patient_id.casefold()]

    async def _names(self, collection: str) -> bool:
        return any(collection.casefold() == name.casefold() for name in await self._list_collections())

    async def _note_empty(self, collection: str, counts: "_Counts") -> None:
        """Check an empty collection against its list of patients, in addition to that of its studies."""
        try:
            patients = await self._retry_policy.ask(
                f"getPatient of {collection}", partial(self._archive.find_patients, collection)
            )
        except (ArchiveError, TransferError):
            patients = [""]
        self._empty[collection] = not counts.untold and not patients

    async def _fill(self, query: SeriesQuery, listing: Listing, shortfall: Shortfall, selects: RowFilter, sink: Batches) -> None:
        """Send another query for each study or patient that is missing in the list."""
        before, counted = listing.count.listed, len(shortfall.studies) or len(shortfall.patients)
        described = _describe_short(self._archive.name, query, listing, shortfall)
        studies, patients = _sample(shortfall.studies), _sample(shortfall.patients)
        sampled = len(studies) or len(patients)
        in_doubt = False

        async def ask(other: SeriesQuery) -> bool:
            """Whether any row was returned: an empty response proves nothing."""
            question = partial(self._pour, other, listing, selects, sink)
            return await self._retry_policy.ask(f"getSeries {describe(other)}", question) > 0

        try:
            for study in studies:
                if not await ask(SeriesQuery(collection=query.collection, study_instance_uid=study.study_instance_uid)):
                    patient = SeriesQuery(collection=query.collection, patient_id=study.patient_id or None)
                    in_doubt |= patient == query or not study.patient_id or not await ask(patient)
            for name in patients if not in_doubt else ():
                patient = SeriesQuery(collection=query.collection, patient_id=name)
                narrow = replace(patient, modality=query.modality)
                if narrow == query or not await ask(narrow):
                    in_doubt |= not await ask(patient)
        except (ArchiveError, TransferError) as error:
            if error.verdict is not Verdict.RETRY:
                raise
            in_doubt = True
        found = listing.count.listed - before
        if in_doubt or (found and sampled < counted):
            self.doubts.append(f"{described}; run again later")
        elif sampled < counted:
            self.warnings.append(
                f"{described}; another query for {sampled} of these {counted} lists no more, so the count is treated as wrong"
            )
        elif found:
            self.warnings.append(f"{described}; another query listed {found} more, which were included")
        else:
            self.warnings.append(f"{described}; another query lists no more, so the count is treated as wrong")


def _sample(missing: Sequence[Missing]) -> Sequence[Missing]:
    """All missing items, or an even sample if there are many."""
    if len(missing) <= MOST_ASKED:
        return missing
    return [missing[number * (len(missing) - 1) // (SAMPLED - 1)] for number in range(SAMPLED)]


@dataclass(slots=True)
class _Counts:
    """The counts to compare a list with, or why there are none."""

    studies: Sequence[StudyCount] = ()
    patients: Sequence[str] = ()
    error: TciadError | None = None
    refusals: int = 0
    untold: str = ""
    is_offered: bool = True


def _comparison_of(query: SeriesQuery) -> Comparison:
    """The counts that match the query: SeriesCount of its studies, or the patients that have the modality."""
    if query.modality is None:
        return Comparison.STUDIES if query.collection or query.patient_id or query.study_instance_uid else Comparison.NONE
    is_of_patients = query.collection is not None and query.study_instance_uid is None
    return Comparison.PATIENTS if is_of_patients else Comparison.NONE


def _is_asked_for(study: StudyCount, query: SeriesQuery) -> bool:
    is_patient = query.patient_id is None or study.patient_id.casefold() == query.patient_id.casefold()
    return is_patient and query.study_instance_uid in {None, study.study_instance_uid}


def _describe_short(archive: str, query: SeriesQuery, listing: Listing, shortfall: Shortfall) -> str:
    if shortfall.is_empty:
        return f"{archive} has a collection {query.collection!r} and lists no series for it"
    if shortfall.patients:
        names = ", ".join(map(repr, shortfall.patients[:_NAMED])) + (" and others" if len(shortfall.patients) > _NAMED else "")
        return f"{archive} lists no series of {describe(query)} for {len(shortfall.patients)} patients that have series: {names}"
    if shortfall.studies:
        counted = sum(one.series for one in shortfall.studies)
        listed = sum(listing.rows_of.get(one.study_instance_uid, 0) for one in shortfall.studies)
        return (
            f"{archive} counts {counted} series in {len(shortfall.studies)} studies of {describe(query)}, "
            f"and its list has {listed} of them"
        )
    return f"getSeries {describe(query)}: unreadable rows: {listing.unreadable[0].sentence}"
