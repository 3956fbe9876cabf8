"""What `status` and the end of a run tell people: whole names and figures, however wide the terminal is."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.archives import serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import COMMAND, LONGEST_RUN_SECONDS, clean_environment, run_command

pytestmark = pytest.mark.acceptance

NAME = "a-collection-with-a-name-that-is-a-good-deal-longer-than-a-column"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that a manifest of a long name has filled, and then could not ask for any more."""
    folder = tmp_path_factory.mktemp("status")
    with serve_archive(small_catalogue(1)) as archive:
        manifest = write_manifest(folder / f"{NAME}.yaml", archive.sandbox.base_url)
        ended = run_command("run", manifest, "-o", folder / "library")
        assert f"\n  library: {folder / 'library'}\n" in ended.stdout
    assert run_command("run", manifest, "-o", folder / "library", "--deadline", "1s").exit_code != 0
    return folder / "library"


def test_off_a_terminal_nothing_is_cut_or_folded(library: Path) -> None:
    """So that `grep` finds a manifest, and the line that says how its last run ended is one line."""
    lines = run_command("status", "-o", library).stdout.splitlines()

    assert lines[0] == str(library)
    assert [line for line in lines if f" {NAME} " in line]
    assert [line for line in lines if line.startswith(f"{NAME}: last run incomplete, ")]
    assert "…" not in "".join(lines)


def test_on_a_narrow_terminal_nothing_is_cut(library: Path) -> None:
    """Half a figure would be another figure."""
    ours, its = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with os.fdopen(its, "wb") as end:
            environment = clean_environment(COLUMNS="40", TERM="xterm")
            subprocess.run(
                [*COMMAND, "status", "-o", library], env=environment, stdout=end, timeout=LONGEST_RUN_SECONDS, check=True
            )
        shown = terminal.read(100_000).decode()

    assert "…" not in shown
