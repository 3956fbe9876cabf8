"""`relayout`: a library gets another layout without a download, and survives a kill at any rename of it."""

import csv
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.archives import assert_mirrors, receipts_of, serve_archive, small_catalogue
from tests.acceptance.command import COMMAND, Ended, clean_environment, end_of, run_command, start_command
from tests.acceptance.crashes import KILLED, Mirror, how_many, mirror_of

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
SERIES = 4
CALLS = ("rename", "renameat", "renameat2", "fsync", "rmdir", "fdatasync")


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    """A whole mirror in the classic layout."""
    with serve_archive(small_catalogue(SERIES)) as archive:
        mirror = mirror_of(archive, tmp_path)
        assert mirror.run().exit_code == 0
        yield mirror


def relayout(mirror: Mirror, layout: str, *flags: str) -> Ended:
    return run_command("relayout", layout, "-o", mirror.library, "--json", *flags)


def files_of(library: Path) -> dict[str, bytes]:
    """Everything but tciad's own."""
    own = library / ".tciad"
    return {
        str(path.relative_to(library)): path.read_bytes()
        for path in library.rglob("*")
        if path.is_file() and own not in path.parents
    }


def assert_laid_out(mirror: Mirror, depth: int) -> None:
    """Every series has this depth of folders; library, store and metadata.csv agree, and no folder is empty."""
    assert_mirrors(mirror.library, mirror.archive)
    folders = {str(folder.relative_to(mirror.library)) for folder, _ in receipts_of(mirror.library).values()}
    assert {folder.count("/") + 1 for folder in folders} == {depth}
    header, *rows = csv.reader((mirror.library / "metadata.csv").read_text().splitlines())
    assert {row[header.index("File Location")] for row in rows} == {f"./{folder}" for folder in folders}
    own = mirror.library / ".tciad"
    folders_kept = [path for path in mirror.library.rglob("*") if path.is_dir() and own not in (path, *path.parents)]
    assert all(any(folder.iterdir()) for folder in folders_kept)


def test_a_library_gets_another_layout_and_its_own_back(mirror: Mirror) -> None:
    """Nothing is downloaded, and in the end every file is where it was."""
    before, downloads = files_of(mirror.library), mirror.archive.downloads
    for layout, depth in (("flat", 1), ("descriptive", 4), ("{modality}/{series_instance_uid}", 2), ("idc", 4)):
        ended = relayout(mirror, layout)
        assert ended.exit_code == 0, ended.stderr
        assert ended.document["series"] == {"moved": SERIES, "in_place": 0, "left": 0}
        assert_laid_out(mirror, depth)
        assert relayout(mirror, layout).document["series"] == {"moved": 0, "in_place": SERIES, "left": 0}
    relayout(mirror, "classic")
    assert files_of(mirror.library) == before
    assert mirror.run().document["series"]["already_complete"] == SERIES
    assert mirror.archive.downloads == downloads


def test_a_dry_run_changes_nothing(mirror: Mirror) -> None:
    """It tells each move, for people and for programs; it needs no lock."""
    before = files_of(mirror.library)
    told = relayout(mirror, "flat", "--dry-run").document
    assert (told["dry_run"], told["series"]["moved"], len(told["moves"])) == (True, SERIES, SERIES)
    assert {move["target"] for move in told["moves"]} == set(mirror.archive.public_series())
    shown = run_command("relayout", "flat", "-o", mirror.library, "--dry-run")
    assert f"{SERIES} series would be moved to flat" in shown.stdout
    assert files_of(mirror.library) == before
    assert mirror.run().document["warnings"] == []


def test_the_layout_of_a_library_is_its_own(mirror: Mirror, tmp_path: Path) -> None:
    """A manifest that says nothing follows it; one that says another leaves what is complete, and says what would move it."""
    relayout(mirror, "flat")
    with serve_archive(small_catalogue(SERIES + 1)) as grown:
        text = mirror.manifest.read_text().replace(mirror.archive.sandbox.base_url, grown.sandbox.base_url)
        manifest = tmp_path / "all.yaml"
        manifest.write_text(text)
        followed = run_command("run", manifest, "-o", mirror.library, "--json")
        assert (followed.exit_code, followed.document["warnings"]) == (0, [])
        assert all((mirror.library / name).is_dir() for name in grown.public_series())

    with serve_archive(small_catalogue(SERIES + 2)) as more:
        manifest.write_text(text.replace(grown.sandbox.base_url, more.sandbox.base_url) + "output: {layout: idc}\n")
        said = run_command("run", manifest, "-o", mirror.library, "--json")
        (warning,) = said.document["warnings"]
        assert said.exit_code == 0
        assert said.document["series"]["completed"] == 1
        assert "the layout of the library is flat: complete series stay where they are" in warning
        assert f"`tciad relayout idc -o {mirror.library}` moves all of them" in warning
        new = more.public_series()[-1]
        assert {
            name: len(folder.relative_to(mirror.library).parts) for name, (folder, _) in receipts_of(mirror.library).items()
        } == {name: 4 if name == new else 1 for name in more.public_series()}
        assert relayout(mirror, "idc").document["series"] == {"moved": SERIES + 1, "in_place": 1, "left": 0}
        assert run_command("run", manifest, "-o", mirror.library, "--json").document["warnings"] == []
        assert_mirrors(mirror.library, more)


def test_a_library_of_zips_is_moved_as_well(tmp_path: Path) -> None:
    """Series are folders in both formats."""
    with serve_archive(small_catalogue(SERIES)) as archive:
        mirror = mirror_of(archive, tmp_path, storage="zip")
        assert mirror.run().exit_code == 0
        assert relayout(mirror, "flat").exit_code == 0
        assert {path.relative_to(mirror.library).parts[0] for path in mirror.library.rglob("*.zip")} == set(
            archive.public_series()
        )
        assert run_command("verify", "-o", mirror.library, "--deep", "--json").document["outcome"] == "sound"


def test_wrong_layouts_and_places_are_refused(mirror: Mirror, tmp_path: Path) -> None:
    """Exit 2 for what cannot be, 6 where there is no store."""
    mistyped = relayout(mirror, "clasic")
    assert (mistyped.exit_code, "LAYOUT: 'clasic' is not classic" in mistyped.stderr) == (2, True)
    assert "--layout" not in mistyped.stderr
    assert relayout(mirror, "{patient_id}").exit_code == 2
    assert run_command("relayout", "flat", "-o", tmp_path / "nowhere").exit_code == 6
    assert not (tmp_path / "nowhere").exists()


def test_a_library_that_is_in_use_is_not_moved(mirror: Mirror) -> None:
    """Exit 6, by the lock that a run holds; a dry run is welcome."""
    before = files_of(mirror.library)
    holder = "import sys, time; from pathlib import Path; from datetime import datetime, UTC\n"
    holder += "from downloader.library.state.lock import lock_library\n"
    holder += "with lock_library(Path(sys.argv[1]), datetime.now(UTC)): print('held', flush=True); time.sleep(60)\n"
    with subprocess.Popen([COMMAND[0], "-c", holder, mirror.library], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            assert relayout(mirror, "flat").exit_code == 6
            assert relayout(mirror, "flat", "--dry-run").exit_code == 0
        finally:
            process.kill()
    assert files_of(mirror.library) == before


def traced(library: Path, layout: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["strace", "-f", "-qq", "-e", "signal=none", *options, *COMMAND, "relayout", layout, "-o", str(library)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def evenly(points: list[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """At most about this many of them, from the first to the last; `make soak` takes all."""
    return points[:: max(1, len(points) // most)]


@pytest.mark.crash
@pytest.mark.needs("strace")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("layout", ["idc", "{series_instance_uid}/images"])
def test_a_kill_at_any_call_loses_nothing(mirror: Mirror, tmp_path: Path, layout: str) -> None:
    """Every series lies whole in one place or the other; a run has nothing to fetch; a second call finishes the move.

    The second layout is reached from the flat one, where each folder has to step aside to go into itself.
    """
    if "/" in layout:
        relayout(mirror, "flat")
    original = tmp_path / "original"
    shutil.copytree(mirror.library, original)
    trace = tmp_path / "trace"
    traced(mirror.library, layout, "-e", f"trace={','.join(CALLS)}", "-o", str(trace))
    wanted, downloads = files_of(mirror.library), mirror.archive.downloads
    calls = [call for call in re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE) if call in CALLS]
    points = [(call, number) for call in CALLS for number in range(1, calls.count(call) + 1)]
    renames = [point for point in points if point[0].startswith("rename")]
    assert len(renames) >= SERIES
    most = how_many(6, "TEST_TCIAD_CRASH_POINTS")
    chosen_renames = evenly(renames, most)
    killed = 0
    for call, number in {*chosen_renames, *evenly(points, most)}:
        shutil.rmtree(mirror.library)
        shutil.copytree(original, mirror.library)
        inject = f"inject={call}:signal=KILL:when={number}"
        ended = traced(mirror.library, layout, "-e", f"trace={call}", "-e", inject, "-o", os.devnull)
        killed += ended.returncode in {KILLED, 128 - KILLED}
        assert sorted(receipts_of(mirror.library)) == sorted(mirror.archive.public_series())

        run = mirror.run()
        assert (run.exit_code, run.document["series"]["already_complete"]) == (0, SERIES), run.stdout + run.stderr
        # that the move was interrupted, and that the store had not heard of those that were moved before
        assert len(run.document["warnings"]) <= 2
        finished = relayout(mirror, layout)

        assert finished.exit_code == 0, finished.stderr
        assert files_of(mirror.library) == wanted, (call, number)
        assert mirror.run().document["warnings"] == []
        assert mirror.archive.downloads == downloads
    assert killed >= len(chosen_renames) / 2
    verified = run_command("verify", "-o", mirror.library, "--deep", "--json")
    assert verified.document["findings"] == [], verified.stdout


def test_an_interrupted_move_says_how_to_finish_it(mirror: Mirror) -> None:
    """SIGTERM between two series: nothing is lost, and the next run tells what to do."""
    with start_command("relayout", "flat", "-o", mirror.library, "--quiet") as process:
        process.terminate()
        ended = end_of(process)
    assert ended.exit_code in {0, 143, -15}, ended.stderr
    assert sorted(receipts_of(mirror.library)) == sorted(mirror.archive.public_series())
    form = mirror.library / ".tciad" / "form.json"
    form.write_text(form.read_text().replace("false", "true"))
    (warning,) = mirror.run().document["warnings"]
    assert "was interrupted" in warning
    assert relayout(mirror, "flat").exit_code == 0
    assert_laid_out(mirror, 1)
