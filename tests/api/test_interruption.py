"""An interrupted run from Python leaves the library as an interrupted command does."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from downloader import api as tciad
from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import assert_mirrors, serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import clean_environment
from tests.waiting import LONGEST_WAIT_SECONDS

PROGRAM = "import sys; from downloader import api; api.run(sys.argv[1], output=sys.argv[2], progress=False)"


def test_an_interruption_sets_back_what_is_in_flight(tmp_path: Path) -> None:
    """KeyboardInterrupt is raised once the record is kept, and the next run completes."""
    stall = Fault(kind=FaultKind.STALL, endpoints=("getImageWithMD5Hash", "getImage"), times=1)
    library = tmp_path / "library"
    with serve_archive(small_catalogue(3), faults=[stall]) as archive:
        manifest = write_manifest(tmp_path / "all.yaml", archive.sandbox.base_url)
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(manifest), str(library)],
            env=clean_environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            archive.wait_for_stall()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=LONGEST_WAIT_SECONDS)
        archive.release()

        assert process.returncode != 0
        assert "KeyboardInterrupt" in said
        (record,) = (library / ".tciad" / "runs").iterdir()
        assert json.loads(record.read_text())["outcome"] == "interrupted"
        assert tciad.run(manifest, output=library, progress=False).is_complete
        assert_mirrors(library, archive)
