"""Two processes on one store and one library, without the lock that keeps ordinary runs apart: neither harms the other."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import assert_mirrors, serve_archive, small_catalogue
from tests.acceptance.command import clean_environment, end_of, wait_until
from tests.acceptance.crashes import Mirror, mirror_of

pytestmark = pytest.mark.acceptance

IMAGES = 16
STALL = Fault(kind=FaultKind.STALL, at_bytes=3_200_000, times=1)
DAY_SECONDS = 86_400


@contextmanager
def start_beside(mirror: Mirror, *, ahead_seconds: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A run beside others, whose store is so far ahead that it takes every earlier session for dead."""
    program = [sys.executable, "-m", "tests.acceptance.beside", str(mirror.manifest), str(mirror.library), str(ahead_seconds)]
    environment = clean_environment()
    with subprocess.Popen(
        program, env=environment, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def noted_images(library: Path) -> int:
    """How many images staging has noted as whole."""
    return sum(path.read_text().count('"image"') for path in (library / ".tciad" / "staging").glob("*.jsonl"))


def tree_of(library: Path) -> dict[str, bytes]:
    """Every file outside of `.tciad`."""
    files = [path for path in library.rglob("*") if path.is_file() and ".tciad" not in path.parts]
    return {str(path.relative_to(library)): path.read_bytes() for path in files}


def test_a_worker_that_was_stopped_past_its_lease_harms_nothing(tmp_path: Path) -> None:
    """Another one takes its series over, with the images that it staged. When it goes on, its word and its files are refused."""
    with serve_archive(small_catalogue(1, images=IMAGES, side=512), faults=[STALL]) as archive:
        mirror = mirror_of(archive, tmp_path)
        with start_beside(mirror) as late:
            archive.wait_for_stall()
            wait_until(lambda: noted_images(mirror.library) > IMAGES / 2)
            late.send_signal(signal.SIGSTOP)
            with start_beside(mirror, ahead_seconds=DAY_SECONDS) as successor:
                ended = end_of(successor)
            assert ended.exit_code == 0, ended.stderr
            before = tree_of(mirror.library)

            archive.release()
            late.send_signal(signal.SIGCONT)

            ended = end_of(late)
            assert ended.exit_code == 0, ended.stderr
            assert "lease lost" in ended.stderr
        assert tree_of(mirror.library) == before
        assert archive.downloads == 1, "the images that the stopped worker had staged were used"
        assert mirror.run().exit_code == 0
        assert_mirrors(mirror.library, archive)


def test_a_second_process_works_beside_the_first(tmp_path: Path) -> None:
    """It leaves the claims and the staging of the first alone, and does the rest."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=0, times=1)
    with serve_archive(small_catalogue(5), faults=[stall]) as archive:
        mirror = mirror_of(archive, tmp_path, "download: {concurrency: 1}")
        with start_beside(mirror) as first:
            archive.wait_for_stall()
            with start_beside(mirror) as second:
                # one series is still under way elsewhere
                ended = end_of(second)
            assert ended.exit_code == 3, ended.stderr
            archive.release()
            ended = end_of(first)
            assert ended.exit_code == 0, ended.stderr
        assert archive.downloads == 5
        assert mirror.run().exit_code == 0
        assert_mirrors(mirror.library, archive)
