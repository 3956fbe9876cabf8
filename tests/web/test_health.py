"""Health and readiness."""

import re
from datetime import timedelta
from pathlib import Path
from threading import Event

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from downloader.sandbox import Fault, FaultKind
from downloader.service.library_look import LibrarySight, look_at_library
from downloader.web.health import BEAT_AGE
from tests.fakes.clock import turning_clock
from tests.service.scene import small_catalogue
from tests.waiting import LONGEST_WAIT_SECONDS
from tests.web.scene import HttpScene, served

pytestmark = pytest.mark.anyio


async def health(http: HttpScene, path: str) -> tuple[int, list[str]]:
    """Status and problems."""
    async with http.client.get(path) as reply:
        document = await reply.json()
        assert document["ok"] is (reply.status == 200)
        return reply.status, document["problems"]


async def archive_figures(http: HttpScene) -> dict[str, float]:
    """What the metrics tell of the only archive."""
    async with http.client.get("/metrics") as reply:
        found = re.findall(r"^tciad_archive_(.+?)(?:_timestamp_seconds)?{.*} (.+)$", await reply.text(), re.MULTILINE)
    return {name: float(value) for name, value in found}


async def test_a_service_that_works_is_alive_and_ready(tmp_path: Path) -> None:
    """And one whose loop has not turned for long is not alive."""
    async with served(tmp_path) as http:
        assert await health(http, "/readyz") == (200, [])
        assert await health(http, "/healthz") == (200, [])
        http.scene.clock.elapsed_seconds += BEAT_AGE / timedelta(seconds=1)
        assert await health(http, "/healthz") == (503, ["the event loop has been blocked for more than 30 s"])


async def test_an_archive_that_is_out_leaves_it_ready_and_has_metrics_of_its_own(tmp_path: Path) -> None:
    """Page and API are needed then most of all."""
    out = Fault(kind=FaultKind.STATUS, endpoints=("*",), status=404)
    async with served(tmp_path, small_catalogue(1), faults=(out,)) as http:
        failed_at = http.scene.clock.now().timestamp()
        assert await health(http, "/readyz") == (200, [])
        assert await archive_figures(http) == {"reachable": 0, "last_answer": 0, "last_failure": failed_at}
        http.scene.sandbox.faults.clear()
        await http.scene.clock.pass_time(300)
        assert (await http.scene.cycle_of("m")).summary.outcome == "complete"
        answered_at = http.scene.clock.now().timestamp()
        assert await archive_figures(http) == {"reachable": 1, "last_answer": answered_at, "last_failure": failed_at}


async def test_an_archive_that_was_not_asked_counts_as_unreachable_without_a_failure(tmp_path: Path) -> None:
    """After a restart, nothing is known of it until the next cycle."""
    async with served(tmp_path):
        pass
    async with served(tmp_path, runs=False) as http:
        assert await archive_figures(http) == {"reachable": 0, "last_answer": 0, "last_failure": 0}


async def test_a_library_that_hangs_is_named_and_stops_nothing_else(tmp_path: Path) -> None:
    """As on a dead NFS server: each question is answered soon, on one thread in all, until the library answers again."""
    may_answer = Event()
    may_answer.set()

    def look(root: Path, identity: str) -> LibrarySight:
        assert may_answer.wait(LONGEST_WAIT_SECONDS)
        return look_at_library(root, identity)

    async with served(tmp_path, look_at_library=look) as http, turning_clock(http.scene.clock):
        assert await health(http, "/readyz") == (200, [])
        may_answer.clear()
        for _ in range(3):
            status, problems = await health(http, "/readyz")
            assert (status, len(problems)) == (503, 1)
            assert f"{http.scene.library} has not answered since" in problems[0]
        async with http.client.get("/metrics") as reply:
            assert f'tciad_library_usable{{library="{http.scene.library}"}} 0.0' in await reply.text()
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        may_answer.set()
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            while (await health(http, "/readyz"))[0] != 200:
                await anyio.lowlevel.checkpoint()


async def test_a_library_that_is_gone_makes_it_unready_and_the_metric_tells(tmp_path: Path) -> None:
    """With the reason, for as long as its disk is away; the service stays alive."""
    async with served(tmp_path) as http:
        http.scene.library.rename(tmp_path / "disk")
        status, problems = await health(http, "/readyz")
        assert (status, len(problems)) == (503, 1)
        assert "is no longer the library: its marker is missing" in problems[0]
        assert (await health(http, "/healthz"))[0] == 200
        async with http.client.get("/metrics") as reply:
            assert f'tciad_library_usable{{library="{http.scene.library}"}} 0.0' in await reply.text()
        (tmp_path / "disk").rename(http.scene.library)
        assert await health(http, "/readyz") == (200, [])
