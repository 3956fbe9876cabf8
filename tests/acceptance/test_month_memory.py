"""Memory of a service over many cycles."""

import json
import resource
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.archives import assert_mirrors, serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import wait_until
from tests.acceptance.test_serve import serving

pytestmark = [pytest.mark.acceptance, pytest.mark.month]
CYCLES = 60
WARM = 5


def resident_bytes(process_id: int) -> int:
    """What the process holds in memory now (proc(5))."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * resource.getpagesize()


def ask(address: str, method: str = "GET") -> Any:  # noqa: ANN401 - JSON
    """What the service answers."""
    with urllib.request.urlopen(urllib.request.Request(address, method=method)) as reply:  # noqa: S310 - ours
        return json.loads(reply.read())


def test_memory_after_many_cycles_is_that_after_a_few(tmp_path: Path) -> None:
    """A growing archive is mirrored by cycles that are ordered over HTTP; whatever a cycle needs is given back."""
    (tmp_path / "manifests").mkdir()
    library = tmp_path / "library"
    with serve_archive(small_catalogue(1)) as archive:
        write_manifest(tmp_path / "manifests" / "m.yaml", archive.sandbox.base_url)
        with serving(tmp_path / "manifests", library) as served:
            address = served.until("listening")["address"]
            served.until("run ended", outcome="complete")
            held = {}
            for cycle in range(1, CYCLES + 1):
                archive.sandbox.replace_catalogue(small_catalogue(cycle + 1))
                wait_until(lambda: ask(f"{address}/api/v1/manifests")["manifests"][0]["state"] == "idle")
                ask(f"{address}/api/v1/manifests/m/start", "POST")
                assert served.until("run ended")["completed"] == 1
                held[cycle] = resident_bytes(served.process.pid)
    assert held[CYCLES] <= 1.2 * held[WARM], held
    assert_mirrors(library, archive)
