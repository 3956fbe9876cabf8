"""A process that is killed in mid-stream, and the run after it."""

from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import assert_mirrors, receipts_of, serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import run_command, start_command, wait_until

pytestmark = pytest.mark.acceptance

IMAGES = 16


def noted_images(library: Path) -> int:
    """How many images staging has noted as whole."""
    return sum(path.read_text().count('"image"') for path in (library / ".tciad" / "staging").glob("*.jsonl"))


def test_a_killed_run_loses_only_the_images_in_flight(tmp_path: Path) -> None:
    """Nothing has its final name; the next run hashes what lies in staging and asks for the rest image by image."""
    library = tmp_path / "library"
    stall = Fault(kind=FaultKind.STALL, at_bytes=3_200_000, times=1)
    with serve_archive(small_catalogue(1, images=IMAGES, side=512), faults=[stall]) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        with start_command("run", manifest, "-o", library) as process:
            archive.wait_for_stall()
            # three MiB of the ZIP have been taken: more than half of the images
            wait_until(lambda: noted_images(library) > IMAGES / 2)
            process.kill()
            process.wait()
        assert receipts_of(library) == {}
        staged = noted_images(library)

        ended = run_command("run", manifest, "-o", library, "--json")

        assert ended.exit_code == 0, ended.stderr
        assert_mirrors(library, archive)
        assert archive.downloads == 1
        assert 0 < archive.sandbox.count("getSingleImage") <= IMAGES - staged
