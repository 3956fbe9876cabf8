"""A process that is killed in mid-stream, and the run after it."""

import os
import sqlite3
import subprocess
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from downloader.sandbox import Fault, FaultKind
from tests.acceptance.archives import ServedArchive, assert_mirrors, receipts_of, serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import COMMAND, clean_environment, run_command, start_command, wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

IMAGES = 16


def noted_images(library: Path) -> int:
    """How many images staging has noted as whole."""
    return sum(path.read_text().count('"image"') for path in (library / ".tciad" / "staging").glob("*.jsonl"))


def serve_stalling() -> AbstractContextManager[ServedArchive]:
    """One series, whose first ZIP stands still in its middle."""
    stall = Fault(kind=FaultKind.STALL, at_bytes=3_200_000, times=1)
    return serve_archive(small_catalogue(1, images=IMAGES, side=512), faults=[stall])


def run_and_kill(archive: ServedArchive, library: Path) -> Path:
    """A run that is killed when the ZIP stands still; returns its manifest."""
    manifest = write_manifest(library.with_name("m.yaml"), archive.sandbox.base_url)
    with start_command("run", manifest, "-o", library) as process:
        archive.wait_for_stall()
        # three MiB of the ZIP have been taken: more than half of the images
        wait_until(lambda: noted_images(library) > IMAGES / 2)
        process.kill()
        process.wait()
    return manifest


def test_a_killed_run_loses_only_the_images_in_flight(tmp_path: Path) -> None:
    """Nothing has its final name; the next run hashes what lies in staging and asks for the rest image by image."""
    library = tmp_path / "library"
    with serve_stalling() as archive:
        manifest = run_and_kill(archive, library)
        assert receipts_of(library) == {}
        staged = noted_images(library)

        ended = run_command("run", manifest, "-o", library, "--json")

        assert ended.exit_code == 0, ended.stderr
        assert_mirrors(library, archive)
        assert archive.downloads == 1
        assert 0 < archive.sandbox.count("getSingleImage") <= IMAGES - staged


def fix_claim_names(state: Path) -> None:
    """Let every claim from now on have the same name, so that a test knows the paths of its staging."""
    with closing(sqlite3.connect(state, isolation_level=None)) as database:
        database.execute(
            """
            CREATE TRIGGER fixed_name AFTER UPDATE OF claim_id ON series WHEN NEW.claim_id <> 'fixed'
            BEGIN UPDATE series SET claim_id = 'fixed' WHERE series_key = NEW.series_key; END
            """
        )


@pytest.mark.needs("strace")
def test_a_staged_image_that_the_disk_does_not_give_back_comes_again(tmp_path: Path) -> None:
    """It is not believed, as one that is not what came: a bad sector in staging does not stop the library for ever."""
    library = tmp_path / "library"
    with serve_stalling() as archive:
        manifest = run_and_kill(archive, library)
        staged = noted_images(library)
        part = min((library / ".tciad" / "staging").glob("*/*.part"))
        fix_claim_names(library / ".tciad" / "state.db")
        # where the next attempt will have it
        part = part.parent.with_name(part.parent.name.partition("@")[0] + "@fixed") / part.name
        traced = ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(part), "-e", "trace=read", "-e", "inject=read:error=EIO"]

        subprocess.run(
            [*traced, *COMMAND, "run", str(manifest), "-o", str(library)],
            env=clean_environment(),
            capture_output=True,
            check=True,
        )

        assert_mirrors(library, archive)
        assert archive.sandbox.count("getSingleImage") == IMAGES - staged + 1
