"""Disks that are full, out of inodes or read-only: a clear error, no attempt lost, nothing half-written; later on it goes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.errors import LibraryError, NoSpaceError, StoreError, TciadError
from downloader.manifest import ApiGeneration
from downloader.model import SeriesState
from downloader.sandbox import Fault, FaultKind, catalogue_of, generated_series
from downloader.store.sqlite.store import open_store
from tests.acceptance.archives import assert_mirrors, serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import clean_environment, run_command
from tests.faults.mounts import mounted, needs_mount, remount
from tests.faults.scene import ATTEMPTS, Scene, open_scene
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
PAGE_BYTES = 4096
ENOUGH = "64m"
UNSIZED = Fault(kind=FaultKind.RECOUNTED, images=0, endpoints=("getSeries",))
"""The catalogue tells no sizes: else a run that cannot fit would not begin."""


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Path]:
    """A library on a disk of its own, alone in its folder."""
    root = tmp_path / "scene"
    root.mkdir()
    with mounted(root / "library", size=ENOUGH):
        yield root / "library"


def options_of(state: Path | None) -> RunOptions:
    return RunOptions(attempts=ATTEMPTS, concurrency=1, state=state)


async def assert_no_attempt_lost(state: Path) -> None:
    """Each series is complete, or waits as if nothing had been."""
    async with open_store(state) as store:
        rows = [row async for row in store.find("m")]
    assert {(row.state, row.attempts) for row in rows if row.state is not SeriesState.COMPLETE} <= {(SeriesState.PENDING, 0)}


async def run_until_it_fits(scene: Scene, disk: Path, kind: str, step: int, options: RunOptions) -> list[TciadError]:
    """Run with ever more room, always going on where the run before ended; the errors on the way."""
    errors: list[TciadError] = []
    for amount in range(1, 100):
        remount(disk, **{kind: amount * step})
        try:
            report = await scene.run(options=options)
        except (LibraryError, StoreError) as error:
            errors.append(error)
            scene.assert_nothing_wrong()
            continue
        assert (report.outcome, report.tally.failed) == ("complete", 0)
        scene.assert_complete(report)
        return errors
    raise AssertionError(f"it never fitted: {errors[-1]}")


@needs_mount
async def test_what_cannot_fit_is_not_begun(library: Path, tmp_path: Path) -> None:
    """The catalogue's sizes are compared with the free space before anything is downloaded."""
    big = catalogue_of([generated_series(seed=1, images=40, rows=1024, columns=1024)])
    async with open_scene(library.parent, catalogue=big) as scene:
        with pytest.raises(
            NoSpaceError, match=r"84 MB are to be fetched, and [0-9.]+ MB are free, of which \d+ (B|MB) must stay free"
        ):
            await scene.run(options=options_of(tmp_path / "state.db"))
        assert scene.sandbox.count("getImage") == 0


@needs_mount
@pytest.mark.parametrize(("kind", "step"), [("size", PAGE_BYTES), ("nr_inodes", 1)])
async def test_a_disk_that_fills_at_any_moment(library: Path, tmp_path: Path, kind: str, step: int) -> None:
    """While images, receipt, licence, folders or lists are written: with a page or inode more it is another moment's turn."""
    state = tmp_path / "state.db"
    async with open_scene(library.parent, UNSIZED) as scene:
        errors = await run_until_it_fits(scene, library, kind, step, options_of(state))
        await assert_no_attempt_lost(state)
    assert len(errors) > 5
    assert {(type(error), error.exit_code) for error in errors} == {(NoSpaceError, 5)}
    assert all(re.search("No space left|bytes are needed", str(error)) and error.next_step for error in errors)


@needs_mount
@pytest.mark.parametrize("pages", [2, 8, 20, 30, 50, 70])
async def test_a_disk_that_fills_under_library_and_store(library: Path, pages: int) -> None:
    """One of the two says so, neither is damaged, and no series is given up."""
    async with open_scene(library.parent, UNSIZED) as scene:
        remount(library, size=pages * PAGE_BYTES)
        with pytest.raises((NoSpaceError, StoreError), match=r"not enough space|No space|cannot be read or written") as caught:
            await scene.run(options=options_of(None))
        assert caught.value.exit_code in {5, 6}
        remount(library, size=ENOUGH)
        scene.assert_complete(await scene.run(options=options_of(None)))


@needs_mount
async def test_the_attempt_that_met_a_full_disk_does_not_count(library: Path, tmp_path: Path) -> None:
    """Ten runs on a full disk leave the series with all its attempts."""
    state = tmp_path / "state.db"
    async with open_scene(library.parent, UNSIZED) as scene:
        remount(library, size=8 * PAGE_BYTES)
        for _ in range(ATTEMPTS + 2):
            with pytest.raises(NoSpaceError):
                await scene.run(options=options_of(state))
            await assert_no_attempt_lost(state)
        remount(library, size=ENOUGH)
        scene.assert_complete(await scene.run(options=options_of(state)))


@needs_mount
async def test_a_library_that_becomes_read_only(library: Path, tmp_path: Path) -> None:
    """What is complete stays; the message says what to do."""
    state = tmp_path / "state.db"
    async with open_scene(library.parent) as scene:
        scene.assert_complete(await scene.run(options=options_of(state)))
        remount(library, "ro")
        with pytest.raises(LibraryError, match="Read-only file system") as caught:
            await scene.run(options=options_of(state))
        assert caught.value.exit_code == 5
        assert "mount the file system so that it can be written" in str(caught.value)
        remount(library, "rw")
        scene.assert_complete(await scene.run(options=options_of(state)))


LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
from downloader.__main__ import main
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
sys.exit(main())
"""


@pytest.mark.acceptance
@pytest.mark.long
@pytest.mark.parametrize("limit", [8, 10, 12, 14, 15, 16, 17, 18, 256])
def test_too_few_open_files(tmp_path: Path, limit: int) -> None:
    """Whatever the limit: a sentence and an exit code of ours, never a traceback, never a series given up for it."""
    library = tmp_path / "library"
    with serve_archive(small_catalogue(4)) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        command = ["run", str(manifest), "-o", str(library), "--json", "--attempts", "1"]
        ended = subprocess.run(
            [sys.executable, "-c", LIMITED, str(limit), *command],
            env=clean_environment(TCIAD_MIN_FREE_SPACE="0"),
            capture_output=True,
            text=True,
            timeout=LONGEST_WAIT_SECONDS,
            check=False,
        )
        assert "Traceback" not in ended.stderr
        if limit == 256:
            assert ended.returncode == 0, ended.stdout
            return
        document = json.loads(ended.stdout)
        assert document["series"]["failed"] == 0
        assert ended.returncode == document["exit_code"]
        assert ended.returncode == 0 or "open files" in document["error"] or ended.returncode == 6
        assert run_command("run", manifest, "-o", library).exit_code == 0
        assert_mirrors(library, archive)


@needs_mount
async def test_a_series_of_unknown_size_that_found_no_room_is_not_downloaded_again(tmp_path: Path) -> None:
    """The API of 2013 tells no FileSize: the next runs say how much room is missing, and receive nothing before it is there."""
    catalogue = catalogue_of([generated_series(seed=1, images=6, rows=1024, columns=512)])
    with mounted(tmp_path / "library", size="4m"):
        async with open_scene(tmp_path, catalogue=catalogue) as scene:
            for _ in range(3):
                with pytest.raises(NoSpaceError):
                    await scene.run(ApiGeneration.BINDAAS)
            assert scene.sandbox.count("getImage") == 1
            remount(tmp_path / "library", size="32m")
            scene.assert_complete(await scene.run(ApiGeneration.BINDAAS))
            assert scene.sandbox.count("getImage") == 2
