"""kill -9 at the very calls that make a series durable: each sync, rename and removal of a run (strace hits them)."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from downloader.sandbox import catalogue_of
from tests.acceptance.archives import ServedArchive, receipts_of, serve_archive, small_catalogue, small_series
from tests.acceptance.command import COMMAND, clean_environment
from tests.acceptance.crashes import KILLED, Mirror, how_many, mirror_of

CALLS = ("fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "rmdir", "ftruncate")
SERIES = 4
EXIT_KILLED = 128 - KILLED
# two of them are more than a series that is held may have, and more than one batch of a body
LARGE_SIDE = 1100
# two of the four series have an image more than before
NEWER = catalogue_of([*small_series(2, images=3), *small_series(2, first_seed=3)])
ONE_BY_ONE = ("--concurrency", "1")
_CALL = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)
_PATH = re.compile(r'"([^"]*)"')


pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.crash,
    pytest.mark.timeout(3600),
    pytest.mark.needs("strace"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the killed run does: `replaces` two series of a whole library by newer versions, or fills an empty one.

    Images are squares of `side` pixels: series of small ones are stored in one step, those of large ones by way of staging.
    """

    storage: str
    replaces: bool
    sampled: int
    side: int = 16

    def prepare(self, archive: ServedArchive, folder: Path) -> Mirror:
        """A mirror as it is before the run."""
        mirror = mirror_of(archive, folder, storage=self.storage)
        archive.replace(small_catalogue(SERIES, side=self.side))
        if self.replaces:
            assert mirror.run().exit_code == 0
            archive.replace(NEWER)
        return mirror


CASES = {
    "images": Case(storage="images", replaces=False, sampled=10),
    "large images": Case(storage="images", replaces=False, sampled=6, side=LARGE_SIDE),
    "zip": Case(storage="zip", replaces=False, sampled=6),
    "newer images": Case(storage="images", replaces=True, sampled=4),
    "newer zip": Case(storage="zip", replaces=True, sampled=6),
}


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    """Each case in turn."""
    chosen: Case = request.param
    return chosen


@pytest.fixture(scope="module")
def archive() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(SERIES)) as served:
        yield served


def trace_of(mirror: Mirror, trace: Path, *more: str) -> str:
    """Every call that makes something durable, as strace tells it of a whole run."""
    traced = ["strace", "-f", "-qq", "-e", "signal=none", "-e", f"trace={','.join(CALLS)}", "-o", str(trace)]
    subprocess.run(
        [*traced, *COMMAND, "run", str(mirror.manifest), "-o", str(mirror.library), *more],
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    mirror.assert_whole()
    return trace.read_text()


@pytest.fixture(scope="module")
def points(case: Case, archive: ServedArchive, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    """Every call that a run makes, as strace counts them: by name, from 1, in each thread."""
    folder = tmp_path_factory.mktemp("points")
    trace = trace_of(case.prepare(archive, folder), folder / "trace")
    counts = Counter(_CALL.findall(trace))
    most = {call: max((count for (_, name), count in counts.items() if name == call), default=0) for call in CALLS}
    found = [(call, number) for call, count in most.items() for number in range(1, count + 1)]
    assert {"fsync", "fdatasync", "rename"} <= {call for call, _ in found}
    return found


def test_a_run_killed_at_a_call_is_finished_by_the_next(
    case: Case, archive: ServedArchive, tmp_path: Path, points: list[tuple[str, int]]
) -> None:
    """A seeded sample of all calls; `make soak` takes every one."""
    count = min(how_many(case.sampled, "TEST_TCIAD_CRASH_POINTS"), len(points))
    killed = 0
    before = case.prepare(archive, tmp_path / "before")
    for call, number in sorted(Random(7).sample(points, count)):
        mirror = copy_of(before, tmp_path / f"{call}-{number}")
        code = mirror.run_traced(f"{call}:signal=KILL:when={number}")
        # in another order of threads a call may not come as often again
        assert code in {0, KILLED, EXIT_KILLED}
        killed += code != 0
        mirror.assert_goes_on()
    assert killed >= count // 2


def test_a_kill_between_the_rename_and_the_words_of_it(case: Case, archive: ServedArchive, tmp_path: Path) -> None:
    """The series has its final name, whole and of the newest version, and the store does not know it yet: no second fetch."""
    before = case.prepare(archive, tmp_path / "before")
    traced = copy_of(before, tmp_path / "traced")
    call, number = call_after_rename(trace_of(traced, tmp_path / "trace", *ONE_BY_ONE), set(archive.public_series()))
    mirror = copy_of(before, tmp_path / "killed")
    arrived_before = arrived(mirror)

    code = mirror.run_traced(f"{call}:signal=KILL:when={number}", *ONE_BY_ONE)

    assert code in {KILLED, EXIT_KILLED}
    assert len(arrived(mirror) - arrived_before) == 1
    assert set(receipts_of(mirror.library)) >= set(receipts_of(before.library))
    mirror.assert_goes_on()


def copy_of(mirror: Mirror, folder: Path) -> Mirror:
    """The same mirror with a library of its own."""
    folder.mkdir()
    copied = replace(mirror, library=folder / "library")
    if mirror.library.exists():
        shutil.copytree(mirror.library, copied.library)
    return copied


def arrived(mirror: Mirror) -> set[str]:
    """The series that lie in the library as the archive has them now."""
    receipts = receipts_of(mirror.library).items()
    return {name for name, (_, receipt) in receipts if mirror.archive.holds(name, receipt)}


def call_after_rename(trace: str, series: set[str]) -> tuple[str, int]:
    """The call that follows, in its thread, the first rename of a series to its final name; how often that came there before."""
    counts: Counter[tuple[str, str]] = Counter()
    renaming = ""
    for line in trace.splitlines():
        if not (found := _CALL.match(line)):
            continue
        thread, call = found.groups()
        counts[thread, call] += 1
        if thread == renaming:
            return call, counts[thread, call]
        *_, target = _PATH.findall(line) or [""]
        if call.startswith("rename") and "/.tciad/" not in target and Path(target).name in series:
            renaming = thread
    raise AssertionError("no series was renamed into the library")


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
