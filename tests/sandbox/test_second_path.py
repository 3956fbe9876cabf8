"""The archive's second way to write JSON: descriptions, DOIs, DICOM tags, the simple search.

Source: docs/archives.md#second-json-path.
"""

import json
from typing import Any

import pytest

from downloader.sandbox import Fault, FaultKind, Sandbox, serve_sandbox
from tests.archive.full_catalogue import COLLECTION, DOI, FULL, KNOWN, PATIENT_ID
from tests.sandbox.conftest import Client

pytestmark = pytest.mark.anyio
PLACES = {"v4": ("v4/", "getSimpleSearch"), "advanced": ("", "getSimpleSearchWithModalityAndBodyPartPaged")}
GUEST = {"Authorization": "Bearer undefined"}
ORDER = {"sortField": "subject", "sortDirection": "ascending", "start": "0", "size": "10"}


async def ask(client: Client, sandbox: Sandbox, path: str, method: str = "GET", **values: str) -> Any:  # noqa: ANN401 - JSON
    """What the endpoint writes, labelled as JSON."""
    sent = {"form": values} if method == "POST" else {"parameters": values}
    reply = await client.ask(method, sandbox, path, headers=GUEST, **sent)
    assert reply.headers["Content-Type"] == "application/json"
    return json.loads(reply.body)


@pytest.mark.parametrize("place", PLACES)
async def test_descriptions_are_html_with_nulls(client: Client, place: str) -> None:
    """All, or that of one exact name; an unknown collection has none in v4, and a row of nulls before."""
    prefix, _ = PLACES[place]
    async with serve_sandbox(FULL) as sandbox:
        path = f"{prefix}getCollectionDescriptions"
        rows = await ask(client, sandbox, path)
        one = await ask(client, sandbox, path, collectionName=COLLECTION)
        unknown = await ask(client, sandbox, path, collectionName=COLLECTION.upper())
    assert [row["collectionName"] for row in rows] == [COLLECTION, "Bare"]
    assert one == rows[:1]
    assert one[0]["description"].startswith("<p>")
    assert one[0]["descriptionURI"] == DOI
    assert rows[1]["description"] is None
    assert ("userName" in one[0]) == (place == "advanced")
    assert [row["description"] for row in unknown] == ([] if place == "v4" else [None])


@pytest.mark.parametrize("place", PLACES)
async def test_what_was_published_under_a_doi(client: Client, place: str) -> None:
    """Compared letter by letter; nulls are left out; without a DOI all rows come."""
    path = f"{PLACES[place][0]}getCollectionOrSeriesForDOI"
    async with serve_sandbox(FULL) as sandbox:
        collections = await ask(client, sandbox, path, "POST", DOI=DOI, CollectionOrSeries="collection")
        series = await ask(client, sandbox, path, "POST", DOI=DOI, CollectionOrSeries="series")
        everything = await ask(client, sandbox, path, "POST", CollectionOrSeries="series")
        assert await ask(client, sandbox, path, "POST", DOI="10.7937/x", CollectionOrSeries="collection") == []
    authorized = {"authorized": 1} if place == "v4" else {}
    assert collections == [{"collection": COLLECTION, "thirdPartyAnanlysis": "NO", **authorized}]
    assert KNOWN.series_instance_uid in {row["seriesInstanceUID"] for row in series}
    assert len(everything) == len(FULL.holdings)
    assert any("thirdPartyAnanlysis" not in row for row in everything)


async def test_the_tags_of_an_image(client: Client) -> None:
    """Element by element; a series that may not be had is refused, as its images are."""
    async with serve_sandbox(FULL) as sandbox:
        tags = await ask(client, sandbox, "v4/getDicomTags", SeriesUID=KNOWN.series_instance_uid)
        refused = await client.get(sandbox, "v4/getDicomTags", SeriesUID="1.2.3")
        strange = await client.get(sandbox, "v4/getDicomTags", SeriesUID="1.2.3", format="json")
    assert {"element": "(0008,0060)", "name": "Modality", "data": "CT"} in tags
    assert {"element": "(0020,000E)", "name": "Series Instance UID", "data": KNOWN.series_instance_uid} in tags
    assert (refused.status, "has not been granted the access" in refused.text) == (400, True)
    assert (strange.status, "Invalid query parameter: 'format'" in strange.text) == (400, True)


@pytest.mark.parametrize("place", PLACES)
async def test_a_search_is_a_page_of_patients(client: Client, place: str) -> None:
    """Criteria of one kind are alternatives, of several kinds they add up; it falls over without an order or behind the end."""
    path = "".join(PLACES[place])
    async with serve_sandbox(FULL) as sandbox:
        page = await ask(client, sandbox, path, "POST", **ORDER)
        asked = {"criteriaType0": "PatientCriteria", "value0": PATIENT_ID, "criteriaType1": "ImageModalityCriteria"}
        found = await ask(client, sandbox, path, "POST", **ORDER, **asked, value1="CT")
        none = await ask(client, sandbox, path, "POST", **ORDER, **asked, value1="US")
        without_order = await client.ask("POST", sandbox, path, headers=GUEST, form={"start": "0", "size": "10"})
        behind = await client.ask("POST", sandbox, path, headers=GUEST, form={**ORDER, "start": "3"})
    assert page["totalPatients"] == 2
    assert [row["subjectId"] for row in found["resultSet"]] == [PATIENT_ID]
    assert found["resultSet"][0]["modalities"] == ["CT"]
    assert none["resultSet"] == []
    assert (without_order.status, behind.status) == (500, 500)


async def test_it_fails_with_a_sentence_and_status_200(client: Client) -> None:
    """Labelled as JSON, which it is not."""
    endpoints = ("getCollectionDescriptions", "getSimpleSearch")
    async with serve_sandbox(FULL, faults=[Fault(kind=FaultKind.UNMAPPABLE, endpoints=endpoints)]) as sandbox:
        rows = await client.get(sandbox, "v4/getCollectionDescriptions")
        page = await client.post(sandbox, "v4/getSimpleSearch", **ORDER)
    for reply in (rows, page):
        assert (reply.status, reply.text) == (200, "Unable to map to JSON")
        assert reply.headers["Content-Type"] == "application/json"
