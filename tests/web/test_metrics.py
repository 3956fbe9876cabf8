"""What Prometheus reads."""

import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from downloader import __version__
from downloader.sandbox import Fault, FaultKind
from tests.service.scene import small_catalogue
from tests.web.scene import HttpScene, served

pytestmark = pytest.mark.anyio


async def figures(http: HttpScene) -> dict[str, float]:
    """Every sample, under its name and labels; library and archive have no names of their own here."""
    async with http.client.get("/metrics") as reply:
        text = await reply.text()
    return {
        " ".join(
            [sample.name, *(value for label, value in sorted(sample.labels.items()) if label not in {"library", "archive"})]
        ): (sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_figure_is_told(tmp_path: Path) -> None:
    """Two complete series after three attempts; one that failed after two."""
    wrong = Fault(kind=FaultKind.WRONG_CRC, times=3)
    async with served(tmp_path, small_catalogue(1, 2, 3), faults=(wrong,)) as http:
        told = await figures(http)
        completed = told["tciad_series m complete"]
        failed = told["tciad_series m failed"]
        assert (completed + failed, told["tciad_series m pending"]) == (3, 0)
        assert told["tciad_attempts_total m completed"] == completed
        assert (
            told["tciad_attempts_total m completed"]
            + told.get("tciad_attempts_total m failed", 0.0)
            + told["tciad_attempts_total m set_back"]
            == completed + 3
        )
        assert told["tciad_images_total m"] == 2 * completed
        assert told["tciad_received_bytes_total m"] > 0
        assert told["tciad_attempt_seconds_count m"] == told["tciad_first_byte_seconds_count m"] == completed
        assert sum(value for name, value in told.items() if name.startswith("tciad_cycles_total")) == 1
        assert told["tciad_library_usable"] == 1
        assert told["tciad_free_bytes"] > 0
        assert told["tciad_min_free_bytes"] == 0
        assert told["tciad_archive_reachable"] == 1
        assert told["tciad_breaker_open m"] == told["tciad_running m"] == told["tciad_concurrency m"] == told["tciad_paused"] == 0
        assert told["tciad_queue_age_seconds"] == 0
        assert told["tciad_next_run_timestamp_seconds m"] > told["tciad_started_timestamp_seconds"]
        assert told["process_resident_memory_bytes"] > 0
        assert f"tciad_build_info {__version__}" in told


async def test_the_last_success_outlives_the_service(tmp_path: Path) -> None:
    """So that an alert does not forget at a restart."""
    async with served(tmp_path) as http:
        told = await figures(http)
        before = told["tciad_last_success_timestamp_seconds m"]
        assert told["tciad_manifest_needs_attention m"] == 0
    async with served(tmp_path, runs=False) as http:
        assert (await figures(http))["tciad_last_success_timestamp_seconds m"] == before


async def test_a_mirror_that_never_worked_has_a_last_success_of_zero(tmp_path: Path) -> None:
    """From the start, a broken manifest too, so that an alert can be made of it."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "bad.yaml").write_text("version: 1\n")
    wrong = Fault(kind=FaultKind.WRONG_CRC)
    async with served(tmp_path, small_catalogue(1), faults=(wrong,)) as http:
        told = await figures(http)
        assert told["tciad_last_success_timestamp_seconds m"] == told["tciad_last_success_timestamp_seconds bad"] == 0
        assert (told["tciad_manifest_wrong m"], told["tciad_manifest_wrong bad"]) == (0, 1)
        assert (told["tciad_manifest_needs_attention m"], told["tciad_manifest_needs_attention bad"]) == (1, 1)


async def test_a_manifest_that_is_gone_leaves_no_figures(tmp_path: Path) -> None:
    """A folder whose manifests come and go does not grow the metrics for ever."""
    async with served(tmp_path) as http:
        assert (await figures(http))["tciad_attempts_total m completed"] == 2
        (tmp_path / "manifests" / "m.yaml").unlink()
        await http.scene.look()
        assert not [name for name in await figures(http) if " m" in name]


@pytest.mark.promtool
@pytest.mark.needs("promtool")
async def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    """Names, units and types are as Prometheus wants them."""
    async with served(tmp_path) as http, http.client.get("/metrics") as reply:
        text = await reply.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)  # noqa: ASYNC221
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
