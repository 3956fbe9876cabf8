"""kill -9 at the very calls that make a series durable: each sync, rename and removal of a run (strace hits them)."""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.archives import ServedArchive, assert_mirrors, serve_archive, small_catalogue
from tests.acceptance.command import COMMAND, clean_environment
from tests.acceptance.crashes import KILLED, how_many, mirror_of

CALLS = ("fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "rmdir", "ftruncate")
SERIES = 4
EXIT_KILLED = 128 - KILLED


def can_trace() -> bool:
    """Whether strace is here and may trace."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not can_trace(), reason="strace is not installed, or may not trace here"),
]


@pytest.fixture(scope="module")
def archive() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(SERIES)) as served:
        yield served


@pytest.fixture(scope="module")
def points(archive: ServedArchive, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    """Every call that a run makes, as strace counts them: by name, from 1, in each thread."""
    folder = tmp_path_factory.mktemp("points")
    mirror = mirror_of(archive, folder)
    trace = folder / "trace"
    traced = ["strace", "-f", "-qq", "-e", "signal=none", "-e", f"trace={','.join(CALLS)}", "-o", str(trace)]
    subprocess.run(
        [*traced, *COMMAND, "run", str(mirror.manifest), "-o", str(mirror.library)],
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    assert_mirrors(mirror.library, archive)
    counts = Counter(re.findall(r"^(\d+) +(\w+)\(", trace.read_text(), re.MULTILINE))
    most = {call: max((count for (_, name), count in counts.items() if name == call), default=0) for call in CALLS}
    found = [(call, number) for call, count in most.items() for number in range(1, count + 1)]
    assert {"fsync", "fdatasync", "rename"} <= {call for call, _ in found}
    return found


def test_a_run_killed_at_a_call_is_finished_by_the_next(
    archive: ServedArchive, tmp_path: Path, points: list[tuple[str, int]]
) -> None:
    """A seeded sample of all calls; `make soak` takes every one."""
    count = min(how_many(10, "TCIAD_TEST_CRASH_POINTS"), len(points))
    killed = 0
    for call, number in sorted(Random(7).sample(points, count)):
        mirror = mirror_of(archive, tmp_path / f"{call}-{number}")
        code = mirror.run_traced(f"{call}:signal=KILL:when={number}")
        # in another order of threads a call may not come as often again
        assert code in {0, KILLED, EXIT_KILLED}
        killed += code != 0
        mirror.assert_goes_on()
    assert killed >= count // 2


@pytest.mark.parametrize(
    ("inject", "codes"),
    [
        ("fsync:error=EIO:when=3+", {5, 6}),
        ("fdatasync:error=EIO:when=3+", {5, 6}),
        ("renameat2,rename:error=EIO:when=2+", {5}),
        ("mkdir:error=ENOSPC:when=4+", {5}),
    ],
)
def test_a_disk_that_fails_under_a_call(archive: ServedArchive, tmp_path: Path, inject: str, codes: set[int]) -> None:
    """It ends with an exit code of ours, without a traceback; nothing is believed that the disk did not take."""
    mirror = mirror_of(archive, tmp_path)

    assert mirror.run_traced(inject) in codes
    mirror.assert_goes_on()
