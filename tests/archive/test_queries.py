"""Every query of every generation, against the sandbox: what is asked, what comes, and in which format."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date

import pytest

from downloader.archive.nbia.authentication import ApiKey, Guest, GuestToken
from downloader.archive.nbia.generations import GENERATIONS
from downloader.archive.nbia.table_rows import parse_rows
from downloader.archive.question import ArchiveQueries, Attributes, Question, ReplyFormat, Topic
from downloader.archive.registry import open_queries
from downloader.clock import SystemClock
from downloader.errors import ArchiveFaultError, SettingsError, UnexpectedReplyError
from downloader.sandbox import API_KEY, Fault, FaultKind, Sandbox, serve_sandbox
from downloader.transport.client import TransportSettings, open_transport
from tests.archive.full_catalogue import BARE, CART, COLLECTION, DOI, FULL, KNOWN, OTHER, PATIENT_ID

pytestmark = pytest.mark.anyio
SERIES = KNOWN.series_instance_uid
EVERY_QUERY = [(api, topic) for api, table in GENERATIONS.items() for topic in table.queries]
EVERY_FORMAT = [(api, topic, form) for api, topic in EVERY_QUERY for form in GENERATIONS[api].queries[topic].formats]
AUTHENTICATION = {"v4": Guest(), "v2": GuestToken(), "v1": Guest(), "bindaas": ApiKey(API_KEY)}
LONG_AGO = date(1999, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A client and the sandbox it asks."""

    queries: ArchiveQueries
    sandbox: Sandbox

    async def rows(self, question: Question, form: ReplyFormat = ReplyFormat.JSON) -> list[Attributes]:
        """Ask and read it all."""
        async with aclosing(self.queries.find_rows(question, form)) as rows:
            return [row async for row in rows]

    async def raw(self, question: Question, form: ReplyFormat) -> bytes:
        """Ask and keep it as it came."""
        async with self.queries.open_reply(question, form) as reply:
            return b"".join([b"".join(batch) async for batch in reply.batches()])


@asynccontextmanager
async def asking(api: str, *faults: Fault) -> AsyncIterator[Asked]:
    """A client of this generation, and a sandbox that knows everything."""
    clock = SystemClock()
    async with serve_sandbox(FULL, faults=faults) as sandbox, open_transport(TransportSettings(), clock) as transport:
        queries = open_queries(
            "sandbox",
            sandbox.bindaas_url if api == "bindaas" else sandbox.base_url,
            api=api,
            transport=transport,
            clock=clock,
            authentication=AUTHENTICATION[api],
        )
        yield Asked(queries=queries, sandbox=sandbox)


def sufficient(api: str, topic: Topic) -> Question:
    """The question with no more filters than the generation needs."""
    needed = GENERATIONS[api].queries[topic].required_filters
    return Question(
        topic=topic,
        collection=COLLECTION if "collection" in needed else None,
        modality="CT" if "modality" in needed else None,
        since=LONG_AGO if "since" in needed else None,
        shared_cart=CART if "shared_cart" in needed else None,
        doi=DOI if "doi" in needed else None,
        series_instance_uids=(SERIES,) if "series_instance_uid" in needed else (),
    )


def sorted_rows(rows: Sequence[Attributes]) -> list[Attributes]:
    """Rows in an order of their own."""
    return sorted(rows, key=lambda row: sorted((name, str(value)) for name, value in row.items()))


@pytest.mark.parametrize(("api", "topic"), EVERY_QUERY)
async def test_every_attribute_of_the_table_comes(api: str, topic: Topic) -> None:
    """Names and order are the archive's; no attribute comes that the table does not know; the series is always told."""
    async with asking(api) as here:
        rows = await here.rows(sufficient(api, topic))
    known = here.queries.offers[topic].row_attributes
    assert {name for row in rows for name in row} == set(known)
    assert max(rows, key=len).keys() == dict.fromkeys(known).keys()


@pytest.mark.parametrize(("api", "topic", "form"), EVERY_FORMAT)
async def test_all_formats_hold_the_same_rows(api: str, topic: Topic, form: ReplyFormat) -> None:
    """Read by the client, and read from what a client passes on as it came."""
    async with asking(api) as here:
        question = sufficient(api, topic)
        as_json = await here.rows(question)
        assert as_json
        assert sorted_rows(await here.rows(question, form)) == sorted_rows(as_json)
        if GENERATIONS[api].queries[topic].paging is not None:
            return
        own = [{name: row[name] for name in row if name in here.queries.offers[topic].attributes} for row in as_json]
        assert sorted_rows(parse_rows("raw", await here.raw(question, form), form)) == sorted_rows(own)


@pytest.mark.parametrize(("api", "topic"), EVERY_QUERY)
async def test_every_filter_is_asked_and_obeyed(api: str, topic: Topic) -> None:
    """Each filter of the table makes the request with its parameter, and what matches is found."""
    given = {
        # a description is kept under the collection's exact name
        "collection": COLLECTION if topic is Topic.COLLECTION_DESCRIPTIONS else COLLECTION.lower(),
        "patient_id": PATIENT_ID,
        "study_instance_uid": FULL.collections[0].patients[0].studies[0].study_instance_uid,
        "modality": "CT",
        "body_part_examined": "ABDOMEN_PELVIS ",
        "manufacturer": KNOWN.manufacturer,
        "manufacturer_model_name": KNOWN.manufacturer_model_name,
        "since": LONG_AGO,
        "shared_cart": CART,
        "doi": DOI,
    }
    offer = GENERATIONS[api].queries[topic]
    question = Question(topic=topic, **{name: value for name, value in given.items() if name in offer.filters})  # type: ignore[arg-type]  # each fits
    if "series_instance_uid" in offer.filters:
        question = replace(question, series_instance_uids=(SERIES,))
    async with asking(api) as here:
        assert await here.rows(question)
        (request,) = here.sandbox.requests
    sent = {name: values[0] for name, values in request.parameters.items() if name != "format"}
    assert sent.keys() == offer.values_for(dict.fromkeys(offer.filters, "x")).keys() - {"format"}
    asked = sent.values() if offer.paging else sent.keys()
    assert set(offer.filters.values()) <= set(asked)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_filters_that_a_generation_lacks_are_applied_to_the_rows(api: str) -> None:
    """Getting one series by its UID means the same everywhere; in the archive's own words it cannot be had everywhere."""
    question = Question(topic=Topic.SERIES, series_instance_uids=(OTHER.series_instance_uid,), manufacturer=OTHER.manufacturer)
    async with asking(api) as here:
        (row,) = await here.rows(question)
        assert row["SeriesInstanceUID"] == OTHER.series_instance_uid
        if api == "bindaas":
            with pytest.raises(SettingsError, match=r"getSeries of api bindaas has no filter (manufacturer|series)"):
                await here.raw(question, ReplyFormat.CSV)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_what_a_generation_cannot_do_is_refused_before_it_is_asked(api: str) -> None:
    """Each refusal says what can be done."""
    async with asking(api) as here:
        for question, words in (
            (Question(topic=Topic.SERIES_SIZE), "needs the filter series_instance_uid"),
            (
                Question(topic=Topic.PATIENTS, modality="CT"),
                "getPatient of api .* has no filter modality; its filters are collection",
            ),
            (Question(topic=Topic.COLLECTIONS, modality="CT"), "it has no filters"),
        ):
            with pytest.raises(SettingsError, match=words):
                await here.rows(question)
        if Topic.SHARED_CART not in here.queries.offers:
            with pytest.raises(
                SettingsError, match=f"api {api} has no query shared-cart; api v4, v2 or v1 has it; the queries of this one"
            ):
                await here.rows(Question(topic=Topic.SHARED_CART, shared_cart=CART))
        else:
            with pytest.raises(SettingsError, match="does not return getContentsByName as csv; its formats are json"):
                await here.rows(Question(topic=Topic.SHARED_CART, shared_cart=CART), ReplyFormat.CSV)
        assert here.sandbox.requests == []


@pytest.mark.parametrize(("api", "requests"), [("v4", 1), ("v2", 2), ("v1", 2)])
async def test_many_series_take_as_many_requests_as_the_generation_needs(api: str, requests: int) -> None:
    """v4 takes a list; a raw reply is one reply or none."""
    question = Question(topic=Topic.SERIES_METADATA, series_instance_uids=(SERIES, BARE.series_instance_uid, SERIES))
    async with asking(api) as here:
        assert len(await here.rows(question)) == 2
        assert len(here.sandbox.requests) == requests
        if requests > 1:
            with pytest.raises(SettingsError, match="takes 1 series per request"):
                await here.raw(question, ReplyFormat.JSON)


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("topic", [Topic.SERIES_SIZE, Topic.IMAGES])
async def test_rows_about_several_series_say_which(api: str, topic: Topic) -> None:
    """Sizes and images do not name their series themselves."""
    if topic not in GENERATIONS[api].queries:
        return
    async with asking(api) as here:
        rows = await here.rows(Question(topic=topic, series_instance_uids=(SERIES, "1.2.3", OTHER.series_instance_uid)))
    assert list(dict.fromkeys(row["SeriesInstanceUID"] for row in rows)) == [SERIES, OTHER.series_instance_uid]
    assert all(next(iter(row)) == "SeriesInstanceUID" and len(row) > 1 for row in rows)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_modalities_are_asked_for_in_capitals(api: str) -> None:
    """v1 compares them exactly (docs/archives.md#parameters), and a run writes them so."""
    async with asking(api) as here:
        assert len(await here.rows(Question(topic=Topic.SERIES, modality="mr"))) == 1


@pytest.mark.parametrize(
    ("api", "topic"), [pair for pair in EVERY_QUERY if "since" in GENERATIONS[pair[0]].queries[pair[1]].filters]
)
async def test_dates_are_written_as_each_endpoint_reads_them(api: str, topic: Topic) -> None:
    """Month and day that could be taken for each other, with series on both sides of them."""
    async with asking(api) as here:
        on = {
            day: {row.get("SeriesInstanceUID") for row in await here.rows(replace(sufficient(api, topic), since=day))}
            for day in (date(2022, 6, 8), date(2022, 5, 5), date(2018, 11, 12))
        }
    found = [len(rows) for rows in on.values()]
    assert found[0] < found[2] or not found[0]
    assert found[2] == (2 if topic is Topic.UPDATED_SERIES else 1)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_values_are_numbers_where_they_count_something(api: str) -> None:
    """Whether the archive writes 1, "1" or "1.000000"; other text stays as it came."""
    async with asking(api) as here:
        (size,) = await here.rows(Question(topic=Topic.SERIES_SIZE, series_instance_uids=(SERIES,)))
        (series,) = await here.rows(Question(topic=Topic.SERIES, study_instance_uid="", modality="MR"))
        figures = {"TotalSizeInBytes": here.sandbox.file_size_bytes(SERIES), "ObjectCount": 2}
        assert size == {"SeriesInstanceUID": SERIES, **figures}
    assert (series["ImageCount"], series["SeriesNumber"], series["BodyPartExamined"]) == (1, 1, "HEAD")


@pytest.mark.parametrize("form", [form for form in ReplyFormat if form is not ReplyFormat.CSV])
async def test_a_list_that_breaks_off_is_no_shorter_list(form: ReplyFormat) -> None:
    """Formatters swallow their errors and send what they have (docs/archives.md#json-replies); CSV alone does not show it."""
    kind = FaultKind.UNCLOSED_XML if form is ReplyFormat.XML else FaultKind.CUT_LIST
    async with asking("v4", Fault(kind=kind)) as here:
        with pytest.raises(ArchiveFaultError, match="getSeries"):
            await here.rows(Question(topic=Topic.SERIES), form)


@pytest.mark.parametrize("form", ReplyFormat)
async def test_a_page_in_place_of_rows_is_a_fault(form: ReplyFormat) -> None:
    """Whatever was asked for."""
    async with asking("v4", Fault(kind=FaultKind.HTML, endpoints=("*",))) as here:
        with pytest.raises(ArchiveFaultError, match="getPatient"):
            await here.rows(Question(topic=Topic.PATIENTS), form)


@pytest.mark.parametrize("form", ReplyFormat)
async def test_nothing_found_is_nothing_in_every_format(form: ReplyFormat) -> None:
    """An empty body (docs/archives.md#empty-replies)."""
    async with asking("v1") as here:
        question = Question(topic=Topic.SERIES, collection="No such collection")
        assert await here.rows(question, form) == []
        assert await here.raw(question, form) == b""


async def test_a_cart_is_asked_of_v1_of_the_same_host() -> None:
    """v4 has none (docs/archives.md#series-queries); a host that does not answer v1 says where carts are."""
    async with asking("v4") as here:
        rows = await here.rows(Question(topic=Topic.SHARED_CART, shared_cart=CART))
        assert [row["SeriesInstanceUID"] for row in rows] == [SERIES]
        assert [request.generation for request in here.sandbox.requests] == ["v1"]
        assert await here.rows(Question(topic=Topic.SHARED_CART, shared_cart="none such")) == []
    clock = SystemClock()
    async with serve_sandbox(FULL, apis=["v4"]) as sandbox, open_transport(TransportSettings(), clock) as transport:
        queries = open_queries("sandbox", sandbox.base_url, api="v4", transport=transport, clock=clock)
        with pytest.raises(
            UnexpectedReplyError, match=r"does not offer shared carts \(v1/getContentsByName\).*export the cart as a series list"
        ):
            await anext(queries.find_rows(Question(topic=Topic.SHARED_CART, shared_cart=CART)))


async def test_an_endpoint_that_is_not_there_says_so() -> None:
    """The wrong generation for this address."""
    clock = SystemClock()
    async with serve_sandbox(FULL) as sandbox, open_transport(TransportSettings(), clock) as transport:
        queries = open_queries("sandbox", sandbox.base_url, api="bindaas", transport=transport, clock=clock)
        with pytest.raises(UnexpectedReplyError, match="has no such endpoint"):
            await anext(queries.find_rows(Question(topic=Topic.COLLECTIONS)))
