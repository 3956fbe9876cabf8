"""A library that somebody else made for himself: every verb says so in a sentence, with the right exit code."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.archives import serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import COMMAND, LONGEST_RUN_SECONDS, clean_environment, run_command

RIGHTS_OF_ROOT = "-dac_override,-dac_read_search"

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    # root may look into everything
    *([pytest.mark.needs("setpriv")] if os.geteuid() == 0 else []),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A manifest, `open`, and `shut`, a library whose `.tciad` no user may list."""
    folder = tmp_path_factory.mktemp("rights")
    with serve_archive(small_catalogue(1)) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url)
        for name in ("open", "shut"):
            assert run_command("run", "m.yaml", "-o", name, directory=folder).exit_code == 0
        own = folder / "shut" / ".tciad"
        own.chmod(0)
        yield folder
        own.chmod(0o700)


@pytest.mark.parametrize(
    ("verb", "exit_code"),
    [
        (("status", "-o", "shut"), 6),
        (("failures", "-o", "shut"), 6),
        (("retry", "-o", "shut"), 6),
        (("plan", "m.yaml", "-o", "shut"), 6),
        (("verify", "-o", "shut"), 6),
        (("report", "-o", "shut", "--format", "csv"), 6),
        (("relayout", "flat", "-o", "shut"), 6),
        (("doctor", "--manifest", "m.yaml", "-o", "shut"), 6),
        (("store", "backup", "copy.db", "-o", "shut"), 6),
        (("store", "backup", "shut/.tciad/copy.db", "-o", "open"), 6),
        (("store", "rebuild", "-o", "shut"), 5),
        (("store", "rebuild", "-o", "shut/.tciad/library"), 5),
        (("store", "rebuild", "-o", "open", "--state", "shut/.tciad/other.db"), 5),
        (("plan", "m.yaml", "-o", "open", "--state", "shut/.tciad/other.db"), 6),
        (("run", "m.yaml", "-o", "open", "--state", "shut/.tciad/other.db"), 5),
        (("adopt", "shut/.tciad", "-o", "open"), 3),
        (("adopt", "shut/.tciad/tree", "-o", "open"), 2),
        (("serve", "shut/.tciad/manifests"), 2),
        (("run", "shut/.tciad/m.yaml"), 2),
        (("run", "m.yaml", "-o", "shut"), 5),
        (("pause", "-o", "shut"), 5),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else None,
)
def test_what_may_not_be_looked_into_is_said(verb: tuple[str, ...], exit_code: int, folder: Path) -> None:
    """With the path, the system's reason, and no trace of a fault of ours."""
    as_anybody = ("setpriv", f"--bounding-set={RIGHTS_OF_ROOT}", f"--inh-caps={RIGHTS_OF_ROOT}") if os.geteuid() == 0 else ()

    ended = subprocess.run(
        [*as_anybody, *COMMAND, *verb],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(Path(__file__).parents[2])),
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )

    told = ended.stdout + ended.stderr
    assert ended.returncode == exit_code, told
    assert "shut" in told
    assert "Permission denied" in told
    assert "Traceback" not in told
