"""Queries that come by the archive's second JSON path: pages, DOIs, and what is no reply of theirs."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest

from downloader.archive.nbia.search_pages import read_page
from downloader.archive.question import ArchiveQueries, Attributes, Question, ReplyFormat, Topic
from downloader.archive.registry import open_queries
from downloader.clock import SystemClock
from downloader.errors import AccessDeniedError, ArchiveFaultError, SettingsError
from downloader.sandbox import (
    Catalogue,
    Fault,
    FaultKind,
    SandboxCollection,
    SandboxPatient,
    generated_series,
    serve_sandbox,
    study_of,
)
from downloader.transport.client import TransportSettings, open_transport
from tests.archive.full_catalogue import COLLECTION, DOI, FULL, KNOWN
from tests.transport.raw_server import reply, serve_raw

pytestmark = pytest.mark.anyio
SECOND = (Topic.COLLECTION_DESCRIPTIONS, Topic.DOI_COLLECTIONS, Topic.DOI_SERIES, Topic.DICOM_TAGS, Topic.PATIENT_SEARCH)


@asynccontextmanager
async def asking(base_url: str) -> AsyncIterator[ArchiveQueries]:
    """A client of v4."""
    clock = SystemClock()
    async with open_transport(TransportSettings(), clock) as transport:
        yield open_queries("sandbox", base_url, api="v4", transport=transport, clock=clock)


async def rows_of(queries: ArchiveQueries, question: Question) -> list[Attributes]:
    """All rows."""
    async with aclosing(queries.find_rows(question)) as rows:
        return [row async for row in rows]


def question(topic: Topic, **more: Any) -> Question:  # noqa: ANN401 - the fields of a Question
    """The question, with what the topic needs."""
    needs = {"doi": DOI} if topic in {Topic.DOI_COLLECTIONS, Topic.DOI_SERIES} else {}
    series = {"series_instance_uids": (KNOWN.series_instance_uid,)} if topic is Topic.DICOM_TAGS else {}
    return Question(topic=topic, **{**needs, **series, **more})


def many_patients(count: int) -> Catalogue:
    """A collection of patients with an image each."""
    patients = [
        SandboxPatient(
            patient_id=f"P-{seed:05}", studies=(study_of(generated_series(seed=seed, images=1, rows=8, columns=8), seed=seed),)
        )
        for seed in range(1, count + 1)
    ]
    return Catalogue(collections=(SandboxCollection(name="Many", patients=tuple(patients)),))


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (499, 1), (500, 1), (501, 2)])
async def test_a_search_reads_all_pages_and_none_behind_the_last(count: int, pages: int) -> None:
    """The archive falls over when it is asked for more than there is."""
    async with serve_sandbox(many_patients(count)) as sandbox, asking(sandbox.base_url) as queries:
        rows = await rows_of(queries, question(Topic.PATIENT_SEARCH, collection="many"))
        assert [row["subjectId"] for row in rows] == [f"P-{seed:05}" for seed in range(1, count + 1)]
        assert len(sandbox.requests) == pages
        assert all("tool" not in request.parameters for request in sandbox.requests)
        assert await rows_of(queries, question(Topic.PATIENT_SEARCH, collection="none such")) == []
        with pytest.raises(SettingsError, match="replies in pages"):
            async with queries.open_reply(question(Topic.PATIENT_SEARCH), ReplyFormat.JSON):
                pass


async def test_a_total_that_is_never_reached_ends() -> None:
    """An archive that says one thing and sends another, or the same page for ever."""
    sent = {"resultSet": [{"subjectId": f"P-{number}"} for number in range(500)], "totalPatients": 10**9}
    pages = [json.dumps(sent).encode()] * 3 + [json.dumps({**sent, "resultSet": []}).encode()]

    def answer(request: str) -> Iterable[bytes]:
        start = int(parse_qs(request.partition("\r\n\r\n")[2])["start"][0])
        return reply(pages[start // 500], headers=["Content-Type: application/json"])

    async with serve_raw(lambda request: list(answer(request))) as server, asking(server.url) as queries:
        assert len(await rows_of(queries, question(Topic.PATIENT_SEARCH))) == 1500
        assert len(server.requests) == 4


@pytest.mark.parametrize("doi", [DOI, DOI.removeprefix("https://doi.org/"), "doi:" + DOI.removeprefix("https://doi.org/")])
async def test_a_doi_is_written_as_the_archive_keeps_it(doi: str) -> None:
    """It compares letter by letter, and keeps addresses."""
    async with serve_sandbox(FULL) as sandbox, asking(sandbox.base_url) as queries:
        rows = await rows_of(queries, question(Topic.DOI_COLLECTIONS, doi=doi))
    assert [row["collection"] for row in rows] == [COLLECTION]


@pytest.mark.parametrize("topic", SECOND)
@pytest.mark.parametrize("kind", [FaultKind.UNMAPPABLE, FaultKind.HTML, FaultKind.JSON_TEXT])
async def test_what_is_no_reply_is_a_fault(topic: Topic, kind: FaultKind) -> None:
    """Status 200, labelled as JSON or not: no rows were told (docs/archives.md#second-json-path)."""
    async with serve_sandbox(FULL, faults=[Fault(kind=kind, endpoints=("*",))]) as sandbox, asking(sandbox.base_url) as queries:
        with pytest.raises(ArchiveFaultError, match=r"expected a (page|list) of rows, received"):
            await rows_of(queries, question(topic))


@pytest.mark.parametrize("topic", SECOND)
async def test_nothing_is_no_rows(topic: Topic) -> None:
    """Whether the archive writes `[]` or nothing at all."""
    for body in (b"", b" \n") if topic is Topic.PATIENT_SEARCH else (b"[]", b""):
        async with serve_raw(lambda _, body=body: reply(body)) as server, asking(server.url) as queries:  # type: ignore[misc]
            assert await rows_of(queries, question(topic)) == []


async def test_tags_of_a_series_that_may_not_be_had_blame_the_series() -> None:
    """Not the credentials."""
    async with serve_sandbox(FULL) as sandbox, asking(sandbox.base_url) as queries:
        with pytest.raises(AccessDeniedError, match=r"series 1\.2\.3: "):
            await rows_of(queries, question(Topic.DICOM_TAGS, series_instance_uids=("1.2.3",)))


@pytest.mark.parametrize(
    "page",
    [
        "[]",
        "{}",
        '{"resultSet": {}, "totalPatients": 1}',
        '{"resultSet": [], "totalPatients": "many"}',
        '{"resultSet": [], "totalPatients": true}',
        '{"resultSet": [1], "totalPatients": 1}',
        "[" * 100_000,
        '{"resultSet": ' + '[{"a":' * 50_000,
        '{"resultSet": [{"a": 1}], "totalPatients": 1',
    ],
)
def test_what_is_no_page_is_a_fault(page: str) -> None:
    """However it looks."""
    with pytest.raises(ArchiveFaultError, match="getSimpleSearch: "):
        read_page("getSimpleSearch", page.encode())


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"subjectId": "P", "modalities": ["MR", "CT"]}, {"subjectId": "P", "modalities": "CT, MR"}),
        ({"totalNumberOfSeries": 3, "bodyParts": []}, {"totalNumberOfSeries": 3}),
        ({"id": 7, "studyIdentifiers": [{"a": 1}], "timepoints": {}, "project": None, "subjectId": "P"}, {"subjectId": "P"}),
    ],
)
def test_a_row_of_a_page_is_flat(row: Mapping[str, object], told: Mapping[str, object]) -> None:
    """Words are joined, and numbers of the archive's database left out."""
    page = read_page("x", json.dumps({"resultSet": [row], "totalPatients": 1}).encode())
    assert page.rows == (told,)
