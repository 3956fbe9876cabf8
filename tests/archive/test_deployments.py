"""What deployments turned out not to offer, and for how long that is believed."""

import itertools

import pytest

from downloader.archive.nbia.deployments import Deployments
from downloader.archive.registry import open_archive
from downloader.model import Md5Mode, Series
from downloader.transport.client import TransportSettings, open_transport
from tests.archive.transfers import read_images, zip_of
from tests.fakes.clock import FakeClock
from tests.fakes.scripted_archive import ScriptedArchive, ScriptedReply, ScriptedRequest, serve_script

pytestmark = pytest.mark.anyio


def without_md5(request: ScriptedRequest) -> ScriptedReply:
    """A deployment from before November 2025."""
    if "IncludeMD5" in request.parameters:
        return ScriptedReply(status=400, body=b"Invalid query parameter: 'IncludeMD5'.")
    return ScriptedReply(
        body=zip_of({"1-1.dcm": b"pixels", "md5hashes.csv": b"Filename,MD5Hash\n1-1.dcm,\n"}),
        content_type="application/octet-stream",
    )


async def test_clients_of_one_deployment_share_what_they_found_out() -> None:
    """For a day: then a way is tried again, since deployments are brought up to date, and one refusal is enough."""
    clock = FakeClock()
    deployments = Deployments()
    numbers = itertools.count()

    async def opens(server: ScriptedArchive, base_url: str) -> int:
        """How many requests the images of one series take a new client."""
        before = len(server.requests)
        async with open_transport(TransportSettings(), FakeClock()) as transport:
            archive = open_archive("test", base_url, api="v4", transport=transport, clock=clock, deployments=deployments)
            async with archive.open_series(Series(series_instance_uid=f"1.3.{next(numbers)}"), Md5Mode.AUTO) as transfer:
                await read_images(transfer)
        return len(server.requests) - before

    async with serve_script(without_md5) as server:
        assert [await opens(server, server.base_url) for _ in range(5)] == [2, 2, 2, 1, 1]
        assert await opens(server, f"{server.base_url}/") == 1
        assert await opens(server, f"{server.base_url}/elsewhere") == 2
        clock.elapsed_seconds = 86_400.0
        assert [await opens(server, server.base_url) for _ in range(2)] == [2, 1]
