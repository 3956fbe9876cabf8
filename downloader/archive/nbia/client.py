"""The client of every NBIA server: it works with a generation's table."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from downloader.archive.nbia.decoding import (
    attributes_of,
    read_collection,
    read_description,
    read_patient,
    read_series_size,
    read_sop_instance_uid,
)
from downloader.archive.nbia.deployments import REFUSALS_NEEDED, RouteEvidence, list_missing
from downloader.archive.nbia.endpoints import CARTS, Endpoint, Generation, ImageRoute
from downloader.archive.nbia.error_replies import READ_BYTES, quote_text, says_not_offered
from downloader.archive.nbia.json_rows import Row, RowReader
from downloader.archive.nbia.requests import Asker, explained_for_carts, read_refusal
from downloader.archive.nbia.series_queries import SeriesRows
from downloader.archive.nbia.studies import Studies, lacking
from downloader.archive.nbia.transfers import SingleImageTransfer, ZipTransfer, expect_images
from downloader.archive.port import (
    NO_STUDY_NEEDS,
    Capabilities,
    CollectionDescription,
    Md5Lists,
    NoteUnreadable,
    SeriesSize,
    StudyCount,
    StudyNeeds,
)
from downloader.archive.question import Topic
from downloader.errors import ArchiveError, ArchiveFaultError, TciadError, UnexpectedReplyError
from downloader.model import Md5Mode, Series, SeriesQuery

DESCRIBED_SINGLY: Final = 3
_MOST_ROWS: Final = 1_000_000
_MD5: Final = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
_log = structlog.get_logger(__name__)


class NbiaArchive:
    """One NBIA server, used through one generation of its API. Implements `Source`.

    Args:
        name: the archive's name in logs and receipts.
        generation: the table to work with.
        asker: sends the requests.
        evidence: the knowledge about this deployment's routes to images.
        needs: the study attributes that rows must have, although getSeries may lack them.
        attempts: the attempts per series, at least one.
    """

    def __init__(
        self,
        name: str,
        *,
        generation: Generation,
        asker: Asker,
        evidence: RouteEvidence,
        needs: StudyNeeds = NO_STUDY_NEEDS,
        attempts: int = REFUSALS_NEEDED,
    ) -> None:
        self.name = name
        self.generation = generation.name
        self._table = generation
        self._asker = asker
        self._evidence = evidence
        self._attempts = attempts
        self._known_capabilities: Capabilities | None = None
        untold = lacking(needs, generation.series.attributes)
        self._studies = Studies(name, asker=asker, query=generation.queries[Topic.STUDIES], needs=untold)
        listing = generation.listed_series
        self._rows = SeriesRows(
            name,
            generation=generation,
            asker=asker,
            studies=self._studies,
            lists_completely=listing is not None and not lacking(needs, listing.attributes).all,
        )

    @property
    def capabilities(self) -> Capabilities:
        """The features of the generation; a deployment that refuses getPatientStudy has fewer."""
        if self._known_capabilities is None or self._known_capabilities.counts_with_rows != self._studies.are_asked:
            self._known_capabilities = self._find_capabilities()
        return self._known_capabilities

    def _find_capabilities(self) -> Capabilities:
        listing, queries = self._table.listed_series, self._table.queries
        columns = (*self._table.series.attributes, *(listing.attributes if listing else ()))
        return Capabilities(
            absent_attributes=frozenset(Series.__dataclass_fields__) - attributes_of(columns) - self._studies.told,
            counts_with_rows=self._studies.are_asked,
            patients_by_modality=Topic.PATIENTS_BY_MODALITY in queries,
            single_images=self._table.single_image is not None and Topic.IMAGES in queries,
            original_bytes=True,
        )

    def md5_lists(self, series_instance_uid: str) -> Md5Lists:
        """See the port."""
        lists = [number for number, route in enumerate(self._table.image_routes) if route.md5_list]
        return self._evidence.md5_lists(lists, series_instance_uid, self._attempts)

    def note_md5_lists(self) -> None:
        """See the port."""
        self._evidence.note_lists()

    def find_series(self, query: SeriesQuery, note: NoteUnreadable | None = None) -> AsyncGenerator[Series, None]:
        """Send getSeries, and getPatientStudy if rows need its attributes; yield each row, parsed as it arrives.

        Raises:
            UnexpectedReplyError: a row does not match the query: the archive ignored the filter (docs/faults.md, trap 10).
        """
        return self._rows.find_series(query, note)

    def find_listed_series(
        self, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None
    ) -> AsyncGenerator[Series, None]:
        """Yield the catalogue's row of each of these series that it lists; others are left out."""
        return self._rows.find_listed_series(series_instance_uids, note)

    async def find_own_rows(self, series: Sequence[Series]) -> Sequence[Series]:
        """Send getSeriesMetadata, and getSeries for each series that it lacks; without either, getSeries for their studies."""
        return await self._rows.find_own_rows(series)

    async def find_study_counts(self, query: SeriesQuery) -> Sequence[StudyCount]:
        """Send getPatientStudy, unless find_series has just sent it for the same studies."""
        return await self._studies.count(query)

    async def find_patients(self, collection: str, modality: str | None = None) -> Sequence[str]:
        """Send getPatient, or getPatientByCollectionAndModality; without duplicates.

        Raises:
            UnexpectedReplyError: this generation has no such query.
        """
        topic = Topic.PATIENTS_BY_MODALITY if modality else Topic.PATIENTS
        if topic not in self._table.queries:
            raise UnexpectedReplyError(f"{self.name} has no query {topic} in generation {self.generation}")
        filters = {"collection": collection, **({"modality": modality} if modality else {})}
        return list(dict.fromkeys(map(read_patient, await self._ask_rows(topic, filters))))

    async def find_shared_cart(self, name: str) -> Sequence[str]:
        """Send getContentsByName for the series of a cart; without duplicates.

        Raises:
            UnexpectedReplyError: this generation, or this deployment, has no carts.
        """
        query = self._table.queries.get(Topic.SHARED_CART)
        if query is None:
            raise UnexpectedReplyError(f"{self.name} has no shared carts in generation {self.generation}", next_step=CARTS)
        with explained_for_carts(query.endpoint):
            found = await self._rows.read(query.endpoint, query.values_for({"shared_cart": name}))
        return list(dict.fromkeys(series.series_instance_uid for series in found))

    async def find_collections(self) -> Sequence[str]:
        """The names of all collections that the user may see, in the archive's spelling."""
        return [read_collection(row) for row in await self._ask_rows(Topic.COLLECTIONS, {})]

    async def find_descriptions(self, collections: Sequence[str]) -> Mapping[str, CollectionDescription]:
        """Send getCollectionDescriptions: once for each of a few collections, otherwise once for all."""
        if Topic.COLLECTION_DESCRIPTIONS not in self._table.queries:
            return {}
        names = list(dict.fromkeys(collections))
        questions = [{"collection": name} for name in names] if len(names) <= DESCRIBED_SINGLY else [{}]
        told: dict[str, CollectionDescription] = {}
        for filters in questions:
            told |= dict(map(read_description, await self._ask_rows(Topic.COLLECTION_DESCRIPTIONS, filters)))
        return {name: told[name] for name in names if name in told}

    @asynccontextmanager
    async def open_series(self, series: Series, md5: Md5Mode) -> AsyncIterator[ZipTransfer]:
        """Request the images of one series, by the best route that this deployment offers.

        Raises:
            ArchiveFaultError: no route with an MD5 list is available now; more refusals are needed before another route is used.
            UnexpectedReplyError: no route is available, or none with an MD5 list and `md5` is `require`.
        """
        refused: dict[int, ArchiveError] = {}
        if self._rows.asks_by_study:
            self._rows.remember_study(series)
        for number, route in enumerate(self._table.image_routes):
            if self._evidence.is_missing(number) or not route.serves(md5):
                continue
            if refused and not route.md5_list:
                self._expect_concession(series, refused)
            values = {**route.fixed, "SeriesInstanceUID": series.series_instance_uid}
            async with self._asker.ask(route.endpoint, values) as reply:
                refusal = await read_refusal(reply, series.series_instance_uid)
                if refusal is None:
                    await expect_images(reply, series.series_instance_uid)
                    if not route.md5_list:
                        self._note_served(number, series, refused)
                    transfer = ZipTransfer(reply, series, has_md5_list=route.md5_list)
                    try:
                        yield transfer
                    finally:
                        # proxies and failing servers reply 200, too: only a list shows that lists are offered
                        if route.md5_list and transfer.images.brought_md5_list:
                            self._note_served(number, series, refused)
                    return
                error = self._asker.explain(refusal)
                if not says_not_offered(refusal):
                    raise error
                refused[number] = error
        raise self._no_route(series, md5, refused)

    async def find_series_size(self, series_instance_uid: str) -> SeriesSize:
        """Send getSeriesSize. An unknown series has no row, or an empty one."""
        rows = await self._ask_rows(Topic.SERIES_SIZE, {"series_instance_uid": series_instance_uid})
        return read_series_size(rows[0]) if rows else SeriesSize()

    async def find_sop_instance_uids(self, series_instance_uid: str) -> Sequence[str]:
        """The images that the archive lists for a series, without duplicates; empty if the generation has no such list."""
        if Topic.IMAGES not in self._table.queries:
            return []
        rows = await self._ask_rows(Topic.IMAGES, {"series_instance_uid": series_instance_uid})
        return list(dict.fromkeys(read_sop_instance_uid(row) for row in rows))

    @asynccontextmanager
    async def open_image(self, series_instance_uid: str, sop_instance_uid: str) -> AsyncIterator[SingleImageTransfer]:
        """Request one image; enter when status and headers show that it follows.

        Raises:
            UnexpectedReplyError: this generation has no single images.
        """
        if self._table.single_image is None:
            raise UnexpectedReplyError(
                f"{self.name} does not offer single images in generation {self.generation}",
                series_instance_uid=series_instance_uid,
            )
        values = {"SeriesInstanceUID": series_instance_uid, "SOPInstanceUID": sop_instance_uid}
        async with self._asker.ask(self._table.single_image, values) as reply:
            await self._asker.expect_answer(reply, series_instance_uid)
            await expect_images(reply, series_instance_uid)
            yield SingleImageTransfer(reply, sop_instance_uid)

    async def find_image_md5(self, sop_instance_uid: str) -> str:
        """The archive's MD5 of one image; empty if it, or the generation, has none."""
        if self._table.image_md5 is None:
            return ""
        return await self._ask_md5(self._table.image_md5, {self._table.image_md5_parameter: sop_instance_uid})

    async def find_series_md5(self, series_instance_uid: str) -> str:
        """The MD5 over a series' image MD5s; empty if the archive, or the generation, has none."""
        if self._table.series_md5 is None:
            return ""
        return await self._ask_md5(self._table.series_md5, {"SeriesInstanceUID": series_instance_uid})

    def _note_served(self, number: int, series: Series, refused: Mapping[int, ArchiveError]) -> None:
        """Record which routes this deployment offers, after one of them has shown that the archive works."""
        route = self._table.image_routes[number]
        settled = self._evidence.note_served(number, series.series_instance_uid, has_list=route.md5_list, refused=refused.keys())
        for other in settled:
            _log.warning(
                "the archive does not offer this way to get images",
                archive=self.name,
                endpoint=_describe(self._table.image_routes[other]),
                answer=refused[other].what,
            )

    def _expect_concession(self, series: Series, refused: Mapping[int, ArchiveError]) -> None:
        """Use a route without an MD5 list only if there is evidence that this deployment has none with a list.

        Raises:
            ArchiveFaultError: there is not enough evidence.
        """
        self._evidence.note_refused_lists(series.series_instance_uid)
        if self._evidence.is_conceded(refused.keys(), series.series_instance_uid, self._attempts):
            return
        raise list_missing(self.name, series, list(refused.values())[-1], sent_before=self._evidence.sent_lists)

    def _no_route(self, series: Series, md5: Md5Mode, refused: Mapping[int, ArchiveError]) -> TciadError:
        if md5 is not Md5Mode.REQUIRE:
            return list(refused.values())[-1]
        if refused:
            self._expect_concession(series, refused)
        return UnexpectedReplyError(
            f"{self.name} offers no MD5 list with its images",
            series_instance_uid=series.series_instance_uid,
            next_step="set md5: auto to accept images without one",
        )

    async def _ask_rows(self, topic: Topic, filters: dict[str, str]) -> list[Row]:
        """All rows of a reply that is always small."""
        query = self._table.queries[topic]
        endpoint, values = query.endpoint, query.values_for(filters)
        reader = RowReader(endpoint.name)
        rows: list[Row] = []
        async with self._asker.ask(endpoint, values) as reply:
            await self._asker.expect_answer(reply)
            async for chunk in reply.chunks():
                rows += reader.feed(chunk)
                if len(rows) > _MOST_ROWS:
                    raise ArchiveFaultError(
                        f"{endpoint.name}: received more than {_MOST_ROWS:,} rows", next_step="check base_url if this persists"
                    )
        reader.finish()
        return rows

    async def _ask_md5(self, endpoint: Endpoint, values: dict[str, str]) -> str:
        async with self._asker.ask(endpoint, values) as reply:
            await self._asker.expect_answer(reply)
            text = await reply.text(READ_BYTES)
        digits = text.strip().lower()
        if not digits:
            return ""
        if not _MD5.fullmatch(digits):
            raise ArchiveFaultError(f"{endpoint.name}: received {quote_text(text)} instead of an MD5")
        # hashes stored before 2021 have lost their leading zeros (docs/archives.md#md5s)
        return digits.rjust(32, "0")


def _describe(route: ImageRoute) -> str:
    return "&".join([route.endpoint.path, *(f"{name}={value}" for name, value in route.fixed.items())])
