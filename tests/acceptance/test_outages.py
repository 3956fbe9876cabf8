"""The service as a process while its archive is out: it waits, tries again, and remembers to over a restart."""

import signal
from pathlib import Path

import pytest

from downloader.sandbox import EVERY, Fault, FaultKind
from tests.acceptance.archives import assert_mirrors, serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import end_of, run_command
from tests.acceptance.test_serve import serving

pytestmark = pytest.mark.acceptance
OUT = Fault(kind=FaultKind.STATUS, status=500, endpoints=(EVERY,))
NOT_NBIA = Fault(kind=FaultKind.STATUS, status=404, endpoints=(EVERY,))


@pytest.mark.long
def test_an_archive_that_is_out_at_the_start_costs_less_than_a_minute(tmp_path: Path) -> None:
    """With a schedule of a day: the first cycle waits, and completes once the archive answers."""
    folder, library = tmp_path / "manifests", tmp_path / "library"
    folder.mkdir()
    with serve_archive(small_catalogue(2), [OUT]) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url, "schedule: {every: 1d}")
        with serving(folder, library) as served:
            served.until("archive unreachable")
            archive.sandbox.faults.clear()
            ended = served.until("run ended")
            assert (ended["outcome"], ended["completed"]) == ("complete", 2)
            assert ended["elapsed_seconds"] < 60
        assert_mirrors(library, archive)


def test_a_failed_cycle_is_tried_again_soon_and_after_a_restart(tmp_path: Path) -> None:
    """With a schedule of a day, which is not waited for."""
    folder, library = tmp_path / "manifests", tmp_path / "library"
    folder.mkdir()
    schedule = "schedule: {every: 1d, retry_after: 1s, max_retry_after: 1s}"
    with serve_archive(small_catalogue(2), [NOT_NBIA]) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url, schedule)
        with serving(folder, library) as served:
            for failed_cycles in (1, 2):
                assert served.until("run ended")["outcome"] == "failed"
                assert served.until("cycle retry scheduled")["failed_cycles"] == failed_cycles
            served.process.send_signal(signal.SIGKILL)
            end_of(served.process)
        assert run_command("status", "-o", library, "--json").document["manifests"][0]["last_cycle"]["outcome"] == "failed"
        archive.sandbox.faults.clear()
        with serving(folder, library) as served:
            assert served.until("run ended")["outcome"] == "complete"
        assert_mirrors(library, archive)
