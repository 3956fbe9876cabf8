"""Requests rows of series from one NBIA server, in every way that its generation offers."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Final

import anyio.lowlevel

from downloader.archive.nbia.decoding import SeriesReader
from downloader.archive.nbia.endpoints import Endpoint, Generation, ListEndpoint
from downloader.archive.nbia.fan_out import ask_each
from downloader.archive.nbia.requests import Asker
from downloader.archive.nbia.studies import Studies
from downloader.archive.port import NoteUnreadable, UnreadableRow
from downloader.errors import ArchiveFaultError, UnexpectedReplyError
from downloader.model import Series, SeriesQuery

_SINGLE_QUERIES_IN_A_ROW: Final = 100
_STUDIES_REMEMBERED: Final = 1_000


class SeriesRows:
    """The rows of getSeries and getSeriesMetadata; its methods implement those of the port with the same names.

    Args:
        archive: the archive's name, for messages.
        generation: the table to work with.
        asker: sends the requests.
        studies: adds attributes that only getPatientStudy has.
        lists_completely: rows of the generation's list need no study attributes.

    `asks_by_study`: the generation has no query for one series, only for the series of a study.
    """

    def __init__(self, archive: str, *, generation: Generation, asker: Asker, studies: Studies, lists_completely: bool) -> None:
        self._archive = archive
        self._table = generation
        self._asker = asker
        self._studies = studies
        self._lists_completely = lists_completely
        self.asks_by_study = generation.listed_series is None and "series_instance_uid" not in generation.series.filters
        # the studies of recently opened series
        self._study_of: dict[str, str] = {}

    async def find_series(self, query: SeriesQuery, note: NoteUnreadable | None = None) -> AsyncGenerator[Series, None]:
        """Send getSeries, and getPatientStudy if rows need its attributes; yield each row, parsed as it arrives.

        Raises:
            UnexpectedReplyError: a row does not match the query: the archive ignored the filter (docs/faults.md, trap 10).
        """
        if query.series_instance_uid:
            # studies have no filter by series: the study in the row is used
            for series in await self._studies.complete([series async for series in self._stream(query, note)]):
                yield series
            return
        known = await self._studies.find(query)
        async with aclosing(self._stream(query, note)) as rows:
            async for series in rows:
                try:
                    completed = known.complete(series)
                except ArchiveFaultError as error:
                    if note is None:
                        raise
                    note(UnreadableRow(sentence=error.what, series_instance_uid=series.series_instance_uid))
                else:
                    yield completed

    async def _stream(self, query: SeriesQuery, note: NoteUnreadable | None = None) -> AsyncGenerator[Series, None]:
        """The rows of getSeries as they arrive."""
        endpoint = self._table.series.endpoint
        reader = SeriesReader(endpoint.name, note)
        async with self._asker.ask(endpoint, self._table.series.values_of(query)) as reply:
            await self._asker.expect_answer(reply)
            async for chunk in reply.chunks():
                for series in reader.feed(chunk):
                    self._check_fit(query, series)
                    yield series
                # buffered bytes are read without a pause: let other tasks run
                await anyio.lowlevel.checkpoint()
        reader.finish()
        reader.unreadable_dates.tell(self._archive)

    async def find_listed_series(
        self, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None
    ) -> AsyncGenerator[Series, None]:
        """Yield the catalogue's row of each of these series that it lists; others are left out."""
        wanted = list(dict.fromkeys(series_instance_uids))
        listing = self._table.listed_series
        if self.asks_by_study:
            for series in await self._pick(wanted, note):
                yield series
            return
        at_once = listing.limit if listing else _SINGLE_QUERIES_IN_A_ROW
        for start in range(0, len(wanted), at_once):
            part = wanted[start : start + at_once]
            # a part is read completely before any of it is yielded: callers that stop early leave no reply open
            rows = await (self._ask_by_list(listing, part, note) if listing else self._ask_singly(part, note))
            for series in rows if self._lists_completely else await self._studies.complete(rows):
                yield series

    async def find_own_rows(self, series: Sequence[Series]) -> Sequence[Series]:
        """Send getSeriesMetadata, and getSeries for each series that it lacks; without either, getSeries for their studies."""
        former = {one.series_instance_uid: one for one in series}
        unreadable: list[UnreadableRow] = []
        found: dict[str, Series] = {}
        listing = self._table.listed_series
        if listing is not None:
            found |= await self._find_by_list(listing, list(former), unreadable.append)
        left = [name for name in former if name not in found]
        if "series_instance_uid" in self._table.series.filters:
            found |= {row.series_instance_uid: row for row in await self._ask_singly(left, unreadable.append)}
        elif listing is None:
            self._expect_studies([former[name] for name in left])
            for study in dict.fromkeys(former[name].study_instance_uid for name in left):
                rows = [row async for row in self._stream(SeriesQuery(study_instance_uid=study), unreadable.append)]
                found |= {row.series_instance_uid: row for row in rows if row.series_instance_uid in former}
        return [*found.values(), *_meant_by(unreadable, former, found)]

    def _expect_studies(self, series: Sequence[Series]) -> None:
        """Raises UnexpectedReplyError: no query can name one of the series, so that its absence would prove nothing."""
        for one in series:
            if not one.study_instance_uid:
                raise UnexpectedReplyError(
                    f"{self._archive} can be asked for a series by its study only, and never told that of this one",
                    series_instance_uid=one.series_instance_uid,
                    next_step="look it up on the archive's site",
                )

    async def _find_by_list(self, listing: ListEndpoint, names: Sequence[str], note: NoteUnreadable) -> dict[str, Series]:
        parts = [names[start : start + listing.limit] for start in range(0, len(names), listing.limit)]
        return {row.series_instance_uid: row for part in parts for row in await self._ask_by_list(listing, part, note)}

    async def _ask_by_list(
        self, listing: ListEndpoint, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None
    ) -> list[Series]:
        values = {**listing.fixed, listing.parameter: ",".join(series_instance_uids)}
        found = await self.read(listing.endpoint, values, note)
        if strange := {series.series_instance_uid for series in found}.difference(series_instance_uids):
            raise UnexpectedReplyError(f"{self._archive} lists {min(strange)}, which was not requested", next_step="check api")
        return found

    async def read(self, endpoint: Endpoint, values: Mapping[str, str], note: NoteUnreadable | None = None) -> list[Series]:
        """All series of a reply that is always small."""
        reader = SeriesReader(endpoint.name, note)
        found: list[Series] = []
        async with self._asker.ask(endpoint, values) as reply:
            await self._asker.expect_answer(reply)
            async for chunk in reply.chunks():
                found += reader.feed(chunk)
        reader.finish()
        reader.unreadable_dates.tell(self._archive)
        return found

    async def _ask_singly(self, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None) -> list[Series]:
        """Send one getSeries for each."""

        async def ask(series_instance_uid: str) -> list[Series]:
            return [series async for series in self._stream(SeriesQuery(series_instance_uid=series_instance_uid), note)]

        found = await ask_each(series_instance_uids, ask)
        return [series for rows in found.values() for series in rows]

    async def _pick(self, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None) -> list[Series]:
        """Find these series in their studies if these are known, otherwise in the whole catalogue."""
        wanted = set(series_instance_uids)
        studies = {self._study_of.get(series_instance_uid) for series_instance_uid in wanted}
        queries = (
            [SeriesQuery()]
            if None in studies
            else [SeriesQuery(study_instance_uid=study) for study in sorted(filter(None, studies))]
        )
        found: dict[str, Series] = {}
        for query in queries if wanted else ():
            async with aclosing(self.find_series(query, note)) as rows:
                async for series in rows:
                    if series.series_instance_uid in wanted:
                        found[series.series_instance_uid] = series
        return list(found.values())

    def remember_study(self, series: Series) -> None:
        """Record the study of a series, for `asks_by_study`."""
        if series.study_instance_uid:
            self._study_of[series.series_instance_uid] = series.study_instance_uid
        while len(self._study_of) > _STUDIES_REMEMBERED:
            del self._study_of[next(iter(self._study_of))]

    def _check_fit(self, query: SeriesQuery, series: Series) -> None:
        parameter = self._table.series.find_mismatch(query, series)
        if parameter is not None:
            raise UnexpectedReplyError(
                f"{self._archive} ignored the filter {parameter} and lists series that do not match it",
                series_instance_uid=series.series_instance_uid,
                next_step="check api",
            )


def _meant_by(unreadable: Sequence[UnreadableRow], former: Mapping[str, Series], found: Mapping[str, Series]) -> list[Series]:
    """The former rows of series that unreadable rows refer to: they are still listed.

    Raises:
        ArchiveFaultError: a row may refer to any of the series, so missing ones prove nothing.
    """
    for row in unreadable:
        if not row.series_instance_uid:
            raise ArchiveFaultError(f"cannot read {row.sentence}", next_step="tell the archive's help desk if this persists")
    meant = dict.fromkeys(row.series_instance_uid for row in unreadable)
    return [former[name] for name in meant if name in former and name not in found]
