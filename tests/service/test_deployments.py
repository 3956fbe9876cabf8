"""What a service remembers of the archives that it asks."""

from pathlib import Path

import anyio
import pytest

from downloader.sandbox import serve_sandbox
from tests.service.scene import HOUR_SECONDS, ServiceScene, running_service, small_catalogue, write_manifest
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio


async def completed_by_both(scene: ServiceScene) -> dict[str, int]:
    """What the next cycle of each of the two manifests brought, whichever ends first."""
    with anyio.fail_after(LONGEST_WAIT_SECONDS):
        ends = [await scene.ends.receive() for _ in range(2)]
    await anyio.wait_all_tasks_blocked()
    return {name: ended.completed for name, ended in ends}


async def test_what_a_deployment_lacks_is_found_out_once_for_all_manifests(tmp_path: Path) -> None:
    """Not again with every cycle: a service mirrors for months."""
    async with serve_sandbox(small_catalogue(1, 2, 3), include_md5=False) as sandbox:
        for name in ("m", "n"):
            write_manifest(
                tmp_path / "manifests", sandbox.base_url, name, f"output: {{directory: {name}}}", "schedule: {every: 6h}"
            )
        async with running_service(tmp_path, sandbox) as scene:
            assert await completed_by_both(scene) == {"m": 3, "n": 3}
            found_out = [request for request in sandbox.requests if "IncludeMD5" in request.parameters]
            sandbox.replace_catalogue(small_catalogue(1, 2, 3, 4, 5))
            await scene.clock.pass_time(6 * HOUR_SECONDS)
            assert await completed_by_both(scene) == {"m": 2, "n": 2}
        refused = [request for request in sandbox.requests if "IncludeMD5" in request.parameters]

    assert 3 <= len(found_out) <= 6  # three series show it; both begin at once, and may ask before it is shown
    assert refused == found_out
