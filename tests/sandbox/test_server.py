"""Routes, methods, headers and the record of requests."""

import socket
from datetime import UTC, datetime

import anyio
import pytest

from downloader.errors import SettingsError
from downloader.sandbox import Catalogue, Fault, FaultKind, catalogue_of, generated_series, serve_sandbox
from tests.sandbox.conftest import Client, first_uid

pytestmark = pytest.mark.anyio


async def test_both_roots_lead_to_the_same(client: Client, small: Catalogue) -> None:
    """With and without `services`, as the archive maps its servlet."""
    async with serve_sandbox(small) as sandbox:
        assert sandbox.base_url.endswith("/nbia-api/services")
        with_services = await client.get(sandbox, "v4/getSeries")
        without = await client.get(sandbox, "../v4/getSeries")
        assert with_services.body == without.body != b""
        assert (await client.get(sandbox, "up")).text == "up"
        assert (await client.get(sandbox, "v1/status")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "v4/getSerie", 404),
        ("GET", "v5/getSeries", 404),
        ("POST", "v4/getSeries", 405),
        ("GET", "v4/getMD5Hierarchy", 405),
    ],
)
async def test_no_such_endpoint(client: Client, method: str, path: str, status: int) -> None:
    """An HTML page, as Tomcat would send."""
    async with serve_sandbox() as sandbox:
        reply = await client.ask(method, sandbox, path)
    assert (reply.status, reply.headers["Content-Type"]) == (status, "text/html")


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("v4/getImage", "application/zip", 406),
        ("v4/getImage", "application/json", 406),
        ("v4/getImage", "application/octet-stream", 200),
        ("v4/getImage", "application/*;q=0.5, text/html", 200),
        ("v4/getSeries", "application/json", 200),
        ("v4/getSeries", "text/plain", 406),
    ],
)
async def test_accept_must_have_room_for_a_declared_type(
    client: Client, small: Catalogue, path: str, accept: str, status: int
) -> None:
    """Jersey checks the header although `format` alone chooses."""
    async with serve_sandbox(small) as sandbox:
        reply = await client.ask(
            "GET", sandbox, path, headers={"Accept": accept}, parameters={"SeriesInstanceUID": first_uid(small)}
        )
    assert reply.status == status


async def test_every_reply_is_dressed_alike(client: Client, small: Catalogue) -> None:
    """Nginx in front, CORS open."""
    async with serve_sandbox(small) as sandbox:
        for path in ("v4/getSeries", "v4/none", "v4/getImage"):
            reply = await client.get(sandbox, path)
            assert (reply.headers["Server"], reply.headers["Access-Control-Allow-Origin"]) == ("nginx", "*")


async def test_head_runs_the_download_and_is_counted(client: Client, small: Catalogue) -> None:
    """It costs the archive as much as a GET, and sends nothing."""
    uid = first_uid(small)
    async with serve_sandbox(small) as sandbox:
        reply = await client.ask("HEAD", sandbox, "v4/getImage", parameters={"SeriesInstanceUID": uid})
        assert (reply.status, reply.body) == (200, b"")
        assert sandbox.count("getImage", method="HEAD", series_instance_uid=uid) == 1


async def test_requests_are_remembered_in_order(client: Client, small: Catalogue) -> None:
    """Each with its generation, parameters, headers and the fault that struck it."""
    uid = first_uid(small)
    fault = Fault(kind=FaultKind.STATUS, status=500, times=1)
    async with serve_sandbox(small, faults=[fault]) as sandbox:
        await client.get(sandbox, "v4/getSeries", Collection="Sandbox")
        await client.get(sandbox, "v1/getImage", SeriesInstanceUID=uid)
        await client.get(sandbox, "v1/getImage", SeriesInstanceUID=uid)
        asked = [(request.generation, request.endpoint, request.fault) for request in sandbox.requests]
        assert asked == [("v4", "getSeries", None), ("v1", "getImage", fault), ("v1", "getImage", None)]
        assert sandbox.requests[0].parameters == {"Collection": ["Sandbox"]}
        assert "aiohttp" in sandbox.requests[0].headers["User-Agent"]
        assert sandbox.count() == 3
        assert sandbox.count("getImage") == sandbox.count(series_instance_uid=uid) == 2
        assert sandbox.faults.struck(FaultKind.STATUS) == 1


async def test_downloads_under_way_are_counted(client: Client, small: Catalogue) -> None:
    """The peak stays when they are done."""
    async with serve_sandbox(small, faults=[Fault(kind=FaultKind.STALL, times=2)]) as sandbox:
        async with anyio.create_task_group() as group:
            for uid in small.holdings:
                group.start_soon(client.ask, "GET", sandbox, f"v4/getImage?SeriesInstanceUID={uid}")
            await sandbox.wait_for_stall(replies=2)
            assert sandbox.running_downloads == 2
            sandbox.release()
        assert (sandbox.running_downloads, sandbox.peak_downloads) == (0, 2)


async def test_the_catalogue_can_change_while_it_is_served(client: Client, small: Catalogue) -> None:
    """Series come, go and are re-curated from one request to the next."""
    async with serve_sandbox(small) as sandbox:
        before = await client.get(sandbox, "v4/getSeries")
        sandbox.replace_catalogue(catalogue_of([generated_series(seed=1, images=6, rows=64, columns=64)]))
        after = await client.get(sandbox, "v4/getSeries")
    assert (before.text.count('"ImageCount":'), after.text.count('"ImageCount":')) == (2, 1)
    assert '"ImageCount":6' in after.text


async def test_members_get_the_time_of_the_clock(client: Client, small: Catalogue) -> None:
    """Two downloads of one series differ at least in that."""
    noon = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    async with serve_sandbox(small, clock=lambda: noon) as sandbox:
        reply = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=first_uid(small))
    assert {member.date_time for member in reply.zip.infolist()} == {(2026, 11, 23, 12, 0, 0)}


async def test_a_taken_port_is_said() -> None:
    """One sentence, not a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serve_sandbox(port=port):
                pass


async def test_the_end_does_not_wait_for_readers(small: Catalogue) -> None:
    """A client that stands still is cut off when the sandbox closes."""
    uid = first_uid(small)
    async with serve_sandbox(small, faults=[Fault(kind=FaultKind.STALL)]) as sandbox:
        host, _, port = sandbox.base_url.split("/")[2].partition(":")
        stream = await anyio.connect_tcp(host, int(port))
        await stream.send(f"GET /nbia-api/v4/getImage?SeriesInstanceUID={uid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await sandbox.wait_for_stall()
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()
    await stream.aclose()
