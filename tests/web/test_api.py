"""The API: what it tells, the orders that it takes, and the document that describes it."""

import json
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from openapi_spec_validator import validate

from downloader.sandbox import Fault, FaultKind
from downloader.web.api import ENDPOINTS, PREFIX
from downloader.web.openapi import openapi_document
from tests.service.scene import small_catalogue
from tests.waiting import LONGEST_WAIT_SECONDS
from tests.web.scene import HttpScene, served

pytestmark = pytest.mark.anyio


async def ask(http: HttpScene, path: str, method: str = "GET", status: int = 200) -> Any:  # noqa: ANN401 - JSON
    """The document at a path below the prefix."""
    async with http.client.request(method, f"{PREFIX}{path}") as reply:
        assert reply.status == status, await reply.text()
        assert reply.content_type == "application/json"
        return await reply.json()


async def test_the_service_its_manifests_and_series(tmp_path: Path) -> None:
    """After a cycle everything is complete and told; pages follow one another."""
    async with served(tmp_path, small_catalogue(1, 2, 3)) as http:
        status = await ask(http, "/status")
        assert status["ready"]
        assert status["summary"]["sentence"] == "Complete: all 3 series of 1 manifest."
        assert status["status"]["libraries"][0]["tally"]["complete"] == 3
        assert [archive["problem"] for archive in status["status"]["archives"]] == [""]
        (manifest,) = (await ask(http, "/manifests"))["manifests"]
        assert (manifest["name"], manifest["state"], manifest["last_cycle"]["outcome"]) == ("m", "idle", "complete")
        first = await ask(http, "/series?state=complete&limit=2")
        rest = await ask(http, f"/series?state=complete&limit=2&after={first['next_after']}")
        uids = [row["series"]["series_instance_uid"] for row in first["series"] + rest["series"]]
        assert (len(first["series"]), set(uids), rest["next_after"]) == (2, http.scene.held(), None)
        named = await ask(http, f"/series?text={uids[0]}&manifest=m&collection=Sandbox")
        assert [row["series"]["series_instance_uid"] for row in named["series"]] == uids[:1]
        assert (await ask(http, "/series?state=failed"))["series"] == []
        runs = await ask(http, "/runs?manifest=m")
        assert [run["outcome"] for run in runs["records"]] == ["complete"]
        changes = await ask(http, "/changes")
        assert len(changes["records"]) == 1
        (cycle,) = (await ask(http, "/cycles?manifest=m"))["cycles"]
        assert (cycle["manifest"], cycle["outcome"], cycle["counts"]["new"]) == ("m", "complete", 3)
        assert cycle["began_at"] <= cycle["ended_at"]
        assert (await ask(http, "/throughput"))["samples"] == []


async def test_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    """One series by its UID; the cycle that follows completes it."""
    bad = Fault(kind=FaultKind.WRONG_CRC, times=2)
    async with served(tmp_path, small_catalogue(1), faults=(bad,)) as http:
        (failure,) = (await ask(http, "/failures"))["series"]
        uid = failure["series"]["series_instance_uid"]
        assert (failure["series"]["error"], failure["failed_rounds"]) == ("CorruptZipError", 1)
        assert failure["rests_until_at"]
        assert await ask(http, f"/retry?series_instance_uid={uid}", "POST") == {"retried": 1}
        assert (await http.scene.cycle_of("m")).summary.outcome == "complete"
        assert (await ask(http, "/failures?manifest=m"))["series"] == []
        assert http.scene.stored() == {uid}


async def test_failures_are_grouped_and_retried_by_group(tmp_path: Path) -> None:
    """Counts, not rows; a group's own series; a retry of one group leaves the others."""
    async with served(tmp_path, small_catalogue(1, 2), faults=(Fault(kind=FaultKind.WRONG_CRC, times=4),)) as http:
        groups = await ask(http, "/failures/groups?manifest=m")
        (group,) = groups["groups"]
        assert (groups["series"], group["series"], group["error"], group["collection"]) == (2, 2, "CorruptZipError", "Sandbox")
        assert group["first_retry_at"]
        summary = (await ask(http, "/status"))["summary"]
        assert (summary["state"], summary["sentence"]) == ("attention", "1 manifest needs attention: 2 series failed.")
        assert len((await ask(http, "/failures?error=CorruptZipError&collection=Sandbox"))["series"]) == 2
        assert (await ask(http, "/failures?error=CutTransferError"))["series"] == []
        assert await ask(http, "/retry?error=CutTransferError", "POST") == {"retried": 0}
        assert await ask(http, "/retry?error=CorruptZipError&collection=Sandbox", "POST") == {"retried": 2}


async def test_orders(tmp_path: Path) -> None:
    """Start, pause and resume do what the command line does."""
    async with served(tmp_path) as http:
        await ask(http, "/pause", "POST")
        assert (tmp_path / "library" / ".tciad" / "paused").exists()
        assert (await ask(http, "/status"))["status"]["paused"]
        await ask(http, "/resume", "POST")
        assert not (await ask(http, "/status"))["status"]["paused"]
        await ask(http, "/manifests/m/start", "POST")
        assert (await http.scene.cycle_of("m")).summary.outcome == "complete"


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/series?stat=complete", 400, "did you mean 'state'?"),
        ("GET", "/series?state=done", 400, "'done' is not"),
        ("GET", "/series?limit=0", 400, "not a number from 1 to 1000"),
        ("GET", "/series?limit=9999", 400, "not a number from 1 to 1000"),
        ("GET", "/series?limit=0001001", 400, "not a number from 1 to 1000"),
        ("GET", f"/series?limit={'9' * 5000}", 400, "not a number from 1 to 1000"),
        ("GET", f"/series?after={'9' * 19}:/library", 404, "is not the end of a page"),
        ("GET", "/series?limit=1&limit=2", 400, "limit is given twice"),
        ("GET", "/series?after=x", 404, "is not the end of a page"),
        ("GET", "/status?x=1", 400, "has no parameter 'x'"),
        ("POST", "/manifests/nobody/start", 404, "nobody"),
        ("POST", "/retry?series_instance_uid=1.2.3", 404, "1.2.3"),
        ("GET", "/pause", 405, "Method Not Allowed"),
        ("GET", "/nothing", 404, "Not Found"),
    ],
)
async def test_what_cannot_be_answered_is_explained(tmp_path: Path, method: str, path: str, status: int, said: str) -> None:
    """In one form, with what to do next."""
    async with served(tmp_path) as http:
        refusal = await ask(http, path, method, status)
        assert said in refusal["message"]
        assert set(refusal) == {"error", "message", "next_step"}


async def test_the_document_is_valid_and_the_replies_are_as_it_says(tmp_path: Path) -> None:
    """Every endpoint is in it, and what comes back fits its schema."""
    async with served(tmp_path) as http:
        document = await ask(http, "/openapi.json")
        assert document == openapi_document()
        validate(document)
        assert len(document["paths"]) == len({endpoint.path for endpoint in ENDPOINTS}) + 1
        for endpoint in ENDPOINTS:
            path = endpoint.path.replace("{manifest}", "m")
            reply = await ask(http, path, endpoint.method)
            operation = document["paths"][f"{PREFIX}{endpoint.path}"][endpoint.method.lower()]
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(reply, {**schema, "components": document["components"]})


async def test_live_events(tmp_path: Path) -> None:
    """Progress comes by itself, happenings as they happen, numbered; a listener that goes is forgotten."""
    async with served(tmp_path) as http, http.client.get(f"{PREFIX}/events") as reply:
        assert reply.content_type == "text/event-stream"
        assert await next_event(reply.content) == ("progress", {})
        http.scene.service.reload()
        await ask(http, "/manifests/m/start", "POST")
        happenings: list[dict[str, Any]] = []
        while not happenings or happenings[-1]["kind"] != "cycle ended":
            name, data = await next_event(reply.content)
            if name == "happening":
                happenings.append(data)
        assert "cycle began" in [happening["kind"] for happening in happenings]
        assert [happening["number"] for happening in happenings] == list(
            range(happenings[0]["number"], happenings[0]["number"] + len(happenings))
        )
        assert happenings[-1]["figures"]["outcome"] == "complete"


async def next_event(stream: Any) -> tuple[str, Any]:  # noqa: ANN401 - aiohttp's own
    """The next server-sent event: its name and its data."""
    name = ""
    with anyio.fail_after(LONGEST_WAIT_SECONDS):
        while line := (await stream.readline()).decode():
            if line.startswith("event: "):
                name = line[7:-1]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
    pytest.fail("the stream ended")
