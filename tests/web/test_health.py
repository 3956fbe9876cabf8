"""Health and readiness."""

from datetime import timedelta
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from downloader.web.health import BEAT_AGE
from tests.service.scene import HOUR_SECONDS, small_catalogue
from tests.web.scene import HttpScene, served

pytestmark = pytest.mark.anyio


async def health(http: HttpScene, path: str) -> tuple[int, list[str]]:
    """Status and problems."""
    async with http.client.get(path) as reply:
        document = await reply.json()
        assert document["ok"] is (reply.status == 200)
        return reply.status, document["problems"]


async def test_a_service_that_works_is_alive_and_ready(tmp_path: Path) -> None:
    """And one whose loop has not turned for long is not alive."""
    async with served(tmp_path) as http:
        assert await health(http, "/readyz") == (200, [])
        assert await health(http, "/healthz") == (200, [])
        http.scene.clock.elapsed_seconds += BEAT_AGE / timedelta(seconds=1)
        assert await health(http, "/healthz") == (503, ["the service has not turned for half a minute"])


async def test_an_archive_that_is_out_makes_it_unready(tmp_path: Path) -> None:
    """It says which, and stays alive."""
    out = Fault(kind=FaultKind.STATUS, endpoints=("*",), status=503)
    async with served(tmp_path, small_catalogue(1), faults=(out,)) as http:
        status, problems = await health(http, "/readyz")
        assert (status, len(problems)) == (503, 1)
        assert "127.0.0.1" in problems[0]
        http.scene.sandbox.faults.clear()
        await http.scene.clock.pass_time(6 * HOUR_SECONDS)
        assert (await http.scene.cycle_of("m")).summary.outcome == "complete"
        assert await health(http, "/readyz") == (200, [])


async def test_a_library_that_is_gone_makes_it_unready_and_the_metric_tells(tmp_path: Path) -> None:
    """With the reason, for as long as its disk is away; the service stays alive."""
    async with served(tmp_path) as http:
        http.scene.library.rename(tmp_path / "disk")
        status, problems = await health(http, "/readyz")
        assert (status, len(problems)) == (503, 1)
        assert "is not the library any more: its marker is not there" in problems[0]
        assert (await health(http, "/healthz"))[0] == 200
        async with http.client.get("/metrics") as reply:
            assert f'tciad_library_usable{{library="{http.scene.library}"}} 0.0' in await reply.text()
        (tmp_path / "disk").rename(http.scene.library)
        assert await health(http, "/readyz") == (200, [])
