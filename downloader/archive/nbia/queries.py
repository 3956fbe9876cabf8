"""All queries of all generations: the client behind `ArchiveQueries`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

import anyio.lowlevel

from downloader.archive.nbia.endpoints import Generation, Paging, QueryEndpoint, fold
from downloader.archive.nbia.generations import GENERATIONS
from downloader.archive.nbia.json_rows import RowReader
from downloader.archive.nbia.requests import Asker, explained_for_carts
from downloader.archive.nbia.search_pages import PAGE_BYTES_MAX, read_page
from downloader.archive.nbia.table_rows import parse_rows, read_attributes
from downloader.archive.question import SERIES_ATTRIBUTE, SERIES_NAMES, Attributes, Question, ReplyFormat, Topic
from downloader.config.messages import one_of
from downloader.errors import ArchiveFaultError, SettingsError
from downloader.transport.client import Reply

_Filters = dict[str, tuple[str, ...]]
_SERIES: Final = "series_instance_uid"
_TEXT_BYTES_MAX: Final = 1024**3
_MOST_ROWS: Final = 1_000_000
_ATTRIBUTES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "collection": ("Collection", "collection", "collectionName", "project"),
    "patient_id": ("PatientID", "PatientId", "Subject ID", "subjectId"),
    "study_instance_uid": ("StudyInstanceUID", "Study UID"),
    _SERIES: (SERIES_ATTRIBUTE, *sorted(SERIES_NAMES - {SERIES_ATTRIBUTE})),
    "modality": ("Modality",),
    "body_part_examined": ("BodyPartExamined", "Body Part Examined"),
    "manufacturer": ("Manufacturer",),
    "manufacturer_model_name": ("ManufacturerModelName", "Manufacturer Model Name"),
}
"""The attributes of a row by which a filter is applied if the generation lacks it."""


@dataclass(frozen=True, slots=True)
class NbiaReply:
    """A reply in the archive's own form; see `RawReply`."""

    reply: Reply

    @property
    def content_type(self) -> str:
        """The Content-Type of the reply."""
        return self.reply.headers.get("Content-Type", "")

    def batches(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield the body in lists of chunks that together have 1 MiB or more (the last fewer)."""
        return self.reply.batches()


class NbiaQueries:
    """The queries of one NBIA server. Implements `ArchiveQueries`.

    Args:
        name: the archive's name in messages.
        generation: the table to work with.
        asker: sends the requests.
    """

    def __init__(self, name: str, *, generation: Generation, asker: Asker) -> None:
        self.name = name
        self.generation = generation.name
        self._table = generation
        self._asker = asker

    @property
    def offers(self) -> Mapping[Topic, QueryEndpoint]:
        """The available queries."""
        return self._table.queries

    async def find_rows(self, question: Question, form: ReplyFormat = ReplyFormat.JSON) -> AsyncGenerator[Attributes, None]:
        """Send the query, and yield the rows of the reply; JSON is parsed as it arrives."""
        query = self._find_query(question, form)
        asked, kept = self._split(query, question)
        for filters in _parts(query, asked):
            async with aclosing(self._ask(query, filters, form)) as rows:
                async for row in rows:
                    if all(_fits(row, name, values) for name, values in kept.items()):
                        yield {SERIES_ATTRIBUTE: filters[_SERIES], **row} if query.needs_series else row

    @asynccontextmanager
    async def open_reply(self, question: Question, form: ReplyFormat) -> AsyncIterator[NbiaReply]:
        """Send the query, and enter when the archive sends the requested reply."""
        query = self._find_query(question, form)
        asked, kept = self._split(query, question)
        if kept:
            raise self._no_filter(query, min(kept))
        if query.paging is not None:
            raise SettingsError(
                f"{query.endpoint.name} replies in pages, which cannot be printed as one reply",
                next_step="use --format instead of --raw",
            )
        parts = _parts(query, asked)
        if len(parts) > 1:
            raise SettingsError(
                f"{query.endpoint.name} takes {query.at_once} series per request, and several replies cannot be printed as one",
                next_step="request fewer series, or use --format instead of --raw",
            )
        async with self._asker.ask(query.endpoint, query.values_for(parts[0], form)) as reply:
            await self._expect_answer(query, parts[0], reply)
            yield NbiaReply(reply)

    def _ask(self, query: QueryEndpoint, filters: Mapping[str, str], form: ReplyFormat) -> AsyncGenerator[Attributes, None]:
        if query.paging is not None:
            return self._ask_pages(query, query.paging, filters)
        return self._ask_json(query, filters) if form is ReplyFormat.JSON else self._ask_other(query, filters, form)

    async def _expect_answer(self, query: QueryEndpoint, filters: Mapping[str, str], reply: Reply) -> None:
        is_of_carts = query is self._table.queries.get(Topic.SHARED_CART)
        with explained_for_carts(query.endpoint) if is_of_carts else nullcontext():
            await self._asker.expect_answer(reply, _blamed(filters))

    async def _ask_pages(
        self, query: QueryEndpoint, paging: Paging, filters: Mapping[str, str]
    ) -> AsyncGenerator[Attributes, None]:
        """Request one page after another. A request after the last page makes the archive fail, so its total count is used."""
        name = query.endpoint.name
        criteria = [(query.filters[filter_name], value) for filter_name, value in filters.items()]
        start = 0
        while True:
            async with self._asker.ask(query.endpoint, paging.values_for(criteria, start)) as reply:
                await self._asker.expect_answer(reply)
                page = read_page(name, await _read_whole(name, reply))
            for row in page.rows:
                yield row
            start += len(page.rows)
            if len(page.rows) < paging.rows_at_once or start >= page.total:
                return
            if start > _MOST_ROWS:
                raise ArchiveFaultError(
                    f"{name}: received more than {_MOST_ROWS:,} rows", next_step="check base_url if this persists"
                )

    async def _ask_json(self, query: QueryEndpoint, filters: Mapping[str, str]) -> AsyncGenerator[Attributes, None]:
        name = query.endpoint.name
        reader = RowReader(name)
        async with self._asker.ask(query.endpoint, query.values_for(filters)) as reply:
            await self._expect_answer(query, filters, reply)
            async for chunk in reply.chunks():
                for row in reader.feed(chunk):
                    if attributes := read_attributes(name, row.attributes):
                        yield attributes
                # buffered bytes are read without a pause: let other tasks run
                await anyio.lowlevel.checkpoint()
        reader.finish()

    async def _ask_other(
        self, query: QueryEndpoint, filters: Mapping[str, str], form: ReplyFormat
    ) -> AsyncGenerator[Attributes, None]:
        """A format other than JSON can only be parsed as a whole."""
        async with self._asker.ask(query.endpoint, query.values_for(filters, form)) as reply:
            await self._asker.expect_answer(reply, _blamed(filters))
            body = await _read_whole(query.endpoint.name, reply, _TEXT_BYTES_MAX)
        for row in parse_rows(query.endpoint.name, body, form):
            yield row

    def _find_query(self, question: Question, form: ReplyFormat) -> QueryEndpoint:
        query = self._table.queries.get(question.topic)
        if query is None:
            others = [name for name, table in GENERATIONS.items() if question.topic in table.queries]
            raise SettingsError(
                f"api {self.generation} has no query {question.topic}",
                next_step=f"api {one_of(others)} has it; the queries of this one are {', '.join(self._table.queries)}",
            )
        if form not in query.formats:
            raise SettingsError(
                f"api {self.generation} does not return {query.endpoint.name} as {form}",
                next_step=f"its formats are {', '.join(query.formats)}",
            )
        return query

    def _split(self, query: QueryEndpoint, question: Question) -> tuple[_Filters, _Filters]:
        """The filters that the generation has, and those to apply to the rows."""
        given = _filters_of(question, query)
        for needed in query.required_filters:
            if needed not in given:
                raise SettingsError(
                    f"{query.endpoint.name} of api {self.generation} needs the filter {needed}", next_step=f"give {needed}"
                )
        asked = {name: values for name, values in given.items() if name in query.filters}
        kept = {name: values for name, values in given.items() if name not in query.filters}
        for name in kept:
            if not set(_ATTRIBUTES_OF.get(name, ())).intersection(query.attributes):
                raise self._no_filter(query, name)
        return asked, kept

    def _no_filter(self, query: QueryEndpoint, name: str) -> SettingsError:
        known = f"its filters are {', '.join(query.filters)}" if query.filters else "it has no filters"
        return SettingsError(f"{query.endpoint.name} of api {self.generation} has no filter {name}", next_step=known)


async def _read_whole(what: str, reply: Reply, most_bytes: int = PAGE_BYTES_MAX) -> bytes:
    """A reply that can only be parsed as a whole, and is always small."""
    body = bytearray()
    async for chunk in reply.chunks():
        body += chunk
        if len(body) > most_bytes:
            raise ArchiveFaultError(
                f"{what}: received a page of more than {most_bytes:,} bytes", next_step="check base_url if this persists"
            )
    return bytes(body)


def _blamed(filters: Mapping[str, str]) -> str | None:
    """The single series of the request, for error messages."""
    series = filters.get(_SERIES)
    return None if series is None or "," in series else series


def _filters_of(question: Question, query: QueryEndpoint) -> _Filters:
    """The question's filters, under their names in the tables; each has one value, except series."""
    given: _Filters = {}
    for name in (*_ATTRIBUTES_OF.keys() - {_SERIES}, "shared_cart"):
        if value := getattr(question, name):
            given[name] = (value,)
    if question.modality:
        # v1 compares modalities exactly, and DICOM writes them in capitals (docs/archives.md#parameters, PS3.3 C.7.3.1.1.1)
        given["modality"] = (question.modality.upper(),)
    if question.series_instance_uids:
        given[_SERIES] = tuple(dict.fromkeys(question.series_instance_uids))
    if question.doi:
        given["doi"] = (_as_address(question.doi),)
    if question.since is not None:
        given["since"] = (question.since.strftime(query.date_format),)
    return given


def _as_address(doi: str) -> str:
    """A DOI in the archive's form: an address, which it compares exactly.

    Source: docs/archives.md#series-queries, DataDescriptionURI.
    """
    bare = doi.strip().removeprefix("doi:").strip()
    return f"https://doi.org/{bare}" if bare.startswith("10.") else doi


def _parts(query: QueryEndpoint, filters: _Filters) -> list[dict[str, str]]:
    """The filters of each request: as many series at once as one request takes."""
    single = {name: values[0] for name, values in filters.items() if name != _SERIES}
    series = filters.get(_SERIES, ())
    if not series:
        return [single]
    starts = range(0, len(series), query.at_once)
    return [{**single, _SERIES: ",".join(series[start : start + query.at_once])} for start in starts]


def _fits(row: Attributes, name: str, values: Sequence[str]) -> bool:
    """Whether the row has one of the values, by the archive's own equality (docs/archives.md#parameters)."""
    told = next((str(row[attribute]) for attribute in _ATTRIBUTES_OF[name] if attribute in row), "")
    return fold(told) in map(fold, values)
