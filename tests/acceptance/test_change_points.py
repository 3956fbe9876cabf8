"""kill -9 at the calls that change a library: repairs, removals, moved folders, replaced versions (strace hits them).

After each kill the archive may go on changing. The next run leaves one folder for each series, the store tells of it, and nothing
that was complete is lost.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from downloader.sandbox import Catalogue, SandboxCollection, SandboxPatient, catalogue_of, study_of
from tests.acceptance.archives import RECEIPT_NAME, ServedArchive, assert_nothing_staged, serve_archive, small_series
from tests.acceptance.command import COMMAND, Ended, clean_environment, run_command
from tests.acceptance.crashes import KILLED, LONGEST_TRACED_SECONDS, Mirror, how_many, mirror_of, store_says_complete
from tests.acceptance.test_crash_points import CALLS, EXIT_KILLED, copy_of

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.crash,
    pytest.mark.timeout(3600),
    pytest.mark.needs("strace"),
]

OLDER = small_series(2)
NEWER = small_series(2, images=3)
STAYS = small_series(1, first_seed=3)
RUN = ("--max-shrink", "100%", "--concurrency", "1")
LONG_AGO = "2026-01-01T00:00:00.000000+00:00"
NO_EXCHANGE = "renameat2:error=ENOSYS"
_CALL = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)


def under(patient_id: str, images: int) -> Catalogue:
    """Two series of a patient of this name, and one of another that stays."""
    patients = (
        SandboxPatient(patient_id=patient_id, studies=(study_of(*small_series(2, images=images), seed=1),)),
        SandboxPatient(patient_id="other", studies=(study_of(*STAYS, seed=2),)),
    )
    return Catalogue(collections=(SandboxCollection(name="Sandbox", patients=patients),))


def damage(mirror: Mirror) -> None:
    """Of two series an image is not what it was; one of them has a whole copy elsewhere."""
    damaged, copied = sorted(folders_of(mirror.library).values())[:2]
    shutil.copytree(copied[0], mirror.library / "copy")
    for (folder,) in (damaged, copied):
        image = min(folder.glob("*.dcm"))
        image.write_bytes(bytes(image.stat().st_size))


def let_grace_pass(mirror: Mirror) -> None:
    """The archive has withdrawn the first series, and its grace is over."""
    mirror.archive.replace(ONE_LESS)
    assert run(mirror).exit_code == 0
    with closing(sqlite3.connect(mirror.library / ".tciad" / "state.db")) as connection, connection:
        changed = connection.execute("UPDATE series SET withdrawn_at = ? WHERE withdrawn_at IS NOT NULL", [LONG_AGO])
        assert changed.rowcount == 1


def leave(_mirror: Mirror) -> None:
    """Change nothing by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A library as it is `before`, what the archive has at the time of the `verb` that is killed, and what it has afterwards.

    `may_go`: what the archive has withdrawn may leave the library.
    """

    before: Catalogue
    now: Catalogue
    then: Catalogue
    manifest: tuple[str, ...] = ()
    harm: Callable[[Mirror], None] = leave
    verb: tuple[str, ...] = ("run", *RUN)
    injected: tuple[str, ...] = ()
    may_go: bool = False


EVERYTHING = catalogue_of([*OLDER, *STAYS])
ONE_LESS = catalogue_of([*OLDER[1:], *STAYS])
CASES = {
    "no exchange": Case(
        before=EVERYTHING,
        now=catalogue_of([*NEWER, *STAYS]),
        then=catalogue_of([*NEWER, *STAYS]),
        injected=(NO_EXCHANGE,),
    ),
    "no exchange, withdrawn": Case(
        before=EVERYTHING, now=catalogue_of([*NEWER, *STAYS]), then=catalogue_of(STAYS), injected=(NO_EXCHANGE,)
    ),
    "renamed": Case(before=under("before", 2), now=under("after", 3), then=under("after", 3)),
    "renamed, withdrawn": Case(before=under("before", 2), now=under("after", 3), then=catalogue_of(STAYS)),
    "delete": Case(
        before=EVERYTHING,
        now=ONE_LESS,
        then=EVERYTHING,
        manifest=("withdrawn: delete", "withdrawn_grace: 1d"),
        harm=let_grace_pass,
        may_go=True,
    ),
    "quarantine": Case(
        before=EVERYTHING,
        now=ONE_LESS,
        then=ONE_LESS,
        manifest=("withdrawn: quarantine", "withdrawn_grace: 1d"),
        harm=let_grace_pass,
        may_go=True,
    ),
    "repair": Case(before=EVERYTHING, now=EVERYTHING, then=EVERYTHING, harm=damage, verb=("verify", "--deep", "--repair")),
}


@pytest.fixture(scope="module")
def archive() -> Iterator[ServedArchive]:
    with serve_archive(EVERYTHING) as served:
        yield served


def folders_of(library: Path) -> dict[str, list[Path]]:
    """Every folder of each series, outside of `.tciad`."""
    found: dict[str, list[Path]] = {}
    for path in sorted(library.rglob(RECEIPT_NAME)):
        if library / ".tciad" not in path.parents:
            receipt = json.loads(path.read_bytes())
            found.setdefault(receipt["series"]["series_instance_uid"], []).append(path.parent)
    return found


def stored_folders(library: Path) -> dict[str, str]:
    """Where the store says that series lie."""
    with closing(sqlite3.connect(library / ".tciad" / "state.db")) as connection:
        return dict(connection.execute("SELECT series_instance_uid, folder FROM series WHERE folder IS NOT NULL"))


def perform(mirror: Mirror, case: Case, *, log: Path | str = os.devnull, calls: str, injected: Sequence[str] = ()) -> int:
    """Do what the case does under strace, which meddles with the calls that are injected."""
    name, *flags = case.verb
    injects = [part for inject in (*case.injected, *injected) for part in ("-e", f"inject={inject}")]
    traced = ["strace", "-f", "-qq", "-e", "signal=none", "-e", f"trace={calls}", *injects, "-o", str(log)]
    ended = subprocess.run(
        [*traced, *COMMAND, name, str(mirror.manifest), "-o", str(mirror.library), *flags],
        env=clean_environment(),
        capture_output=True,
        timeout=LONGEST_TRACED_SECONDS,
        check=False,
        text=True,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode


def points_of(case: Case, before: Mirror, folder: Path) -> list[tuple[str, int]]:
    """Every call that the verb makes, as strace counts them: by name, from 1, in each thread."""
    mirror = copy_of(before, folder / "traced")
    calls = {*CALLS, *(inject.partition(":")[0] for inject in case.injected)}
    assert perform(mirror, case, log=folder / "trace", calls=",".join(sorted(calls))) == 0
    counts = Counter(_CALL.findall((folder / "trace").read_text()))
    broken = {inject.partition(":")[0] for inject in case.injected}
    most = {call: max((count for (_, name), count in counts.items() if name == call), default=0) for call in CALLS}
    return [(call, number) for call, count in most.items() if call not in broken for number in range(1, count + 1)]


def run(mirror: Mirror) -> Ended:
    return run_command("run", mirror.manifest, "-o", mirror.library, "--json", *RUN)


def verify(mirror: Mirror, *flags: str) -> Ended:
    return run_command("verify", mirror.manifest, "-o", mirror.library, "--deep", "--json", *flags)


def assert_one_truth(mirror: Mirror, kept: set[str]) -> None:
    """One folder for each series, which the store knows; these series are there; no change is under way, nothing is staged."""
    folders = folders_of(mirror.library)
    assert {uid: len(found) for uid, found in folders.items()} == dict.fromkeys(folders, 1)
    lies = {uid: str(found[0].relative_to(mirror.library)) for uid, found in folders.items()}
    assert stored_folders(mirror.library) == lies
    assert kept <= set(lies)
    intents = mirror.library / ".tciad" / "intents"
    assert not intents.exists() or list(intents.iterdir()) == []
    assert_nothing_staged(mirror.library)


@pytest.mark.parametrize("name", CASES)
def test_a_change_that_was_killed_is_finished_or_undone(name: str, archive: ServedArchive, tmp_path: Path) -> None:
    """A seeded sample of all calls; `make soak` takes every one."""
    case = CASES[name]
    archive.replace(case.before)
    before = mirror_of(archive, tmp_path / "before", *case.manifest)
    assert before.run().exit_code == 0
    case.harm(before)
    archive.replace(case.now)
    points = points_of(case, before, tmp_path)
    count = min(how_many(4, "TEST_TCIAD_CRASH_POINTS"), len(points))
    complete = store_says_complete(before.library)
    for call, number in sorted(Random(len(name)).sample(points, count)):
        archive.replace(case.now)
        mirror = copy_of(before, tmp_path / f"{call}-{number}")
        broken = [inject.partition(":")[0] for inject in case.injected]
        code = perform(mirror, case, calls=",".join([call, *broken]), injected=[f"{call}:signal=KILL:when={number}"])
        # in another order of threads a call may not come as often again
        assert code in {0, KILLED, EXIT_KILLED}, (call, number)
        archive.replace(case.then)

        ended = run(mirror)

        assert ended.exit_code == 0, (call, number, ended.stdout, ended.stderr)
        if case.harm is damage:
            assert store_says_complete(mirror.library) <= set(folders_of(mirror.library))
            assert verify(mirror, "--repair").exit_code == 0, (call, number)
        kept = set() if case.may_go else complete
        assert_one_truth(mirror, kept | set(archive.public_series()))
        verified = verify(mirror)
        assert verified.exit_code == 0, (call, number, verified.stdout)
        shutil.rmtree(mirror.library.parent)
