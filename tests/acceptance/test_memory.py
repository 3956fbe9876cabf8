"""Memory does not grow with the size of an image, nor with their number."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from downloader.sandbox import SandboxSeries, catalogue_of, generated_series
from tests.acceptance.archives import serve_archive, write_manifest
from tests.acceptance.command import COMMAND, clean_environment

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

MOST_RESIDENT_BYTES = 200 * 1024 * 1024
# The whole gigabyte takes most of a minute; a quarter of it already is more than all memory that a run may use.
FULL_SIZE = os.environ.get("TEST_TCIAD_FULL_SIZE") == "1"
MEASURE = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False).returncode
print(json.dumps([code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
"""


@pytest.mark.parametrize(
    "series",
    [
        generated_series(seed=1, images=1, rows=16_384 if not FULL_SIZE else 32_768, columns=8_192 if not FULL_SIZE else 16_384),
        generated_series(seed=2, images=2_000, rows=128 if not FULL_SIZE else 512, columns=128 if not FULL_SIZE else 512),
    ],
    ids=["one-large-image", "two-thousand-images"],
)
@pytest.mark.timeout(600)
def test_a_large_series_stays_under_200_mib(tmp_path: Path, series: SandboxSeries) -> None:
    """At concurrency 4, with every proof."""
    with serve_archive(catalogue_of([series])) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        run = [*COMMAND, "run", str(manifest), "-o", str(tmp_path / "library"), "--concurrency", "4", "--json"]
        measured = subprocess.run(
            [sys.executable, "-c", MEASURE, *run], capture_output=True, text=True, check=True, env=clean_environment()
        )
    exit_code, resident_bytes = json.loads(measured.stdout)
    assert exit_code == 0, measured.stderr
    assert resident_bytes < MOST_RESIDENT_BYTES
