"""A link in place of the library's own folder: every verb refuses it, and what the link leads to stays as it is."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.archives import serve_archive, small_catalogue, write_manifest
from tests.acceptance.command import run_command

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A manifest, `whole`, and `linked`, whose `.tciad` is a link to that of `whole`."""
    folder = tmp_path_factory.mktemp("links")
    with serve_archive(small_catalogue(1)) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url)
        assert run_command("run", "m.yaml", "-o", "whole", directory=folder).exit_code == 0
        (folder / "linked").mkdir()
        (folder / "linked" / ".tciad").symlink_to(folder / "whole" / ".tciad")
        yield folder


def contents(folder: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "verb",
    [
        ("run", "m.yaml"),
        ("plan", "m.yaml"),
        ("get", "1.2.3", "--archive", "http://127.0.0.1:9"),
        ("status",),
        ("failures",),
        ("retry",),
        ("report", "--format", "csv"),
        ("verify",),
        ("verify", "--repair"),
        ("adopt", "whole", "--manifest", "m.yaml"),
        ("relayout", "flat"),
        ("store", "rebuild"),
        ("store", "backup", "copy.db"),
        ("pause",),
        ("resume",),
        ("serve", ".", "--listen", "off"),
    ],
    ids=" ".join,
)
def test_no_verb_follows_a_link_in_place_of_the_own_folder(verb: tuple[str, ...], folder: Path) -> None:
    """Exit code 5, a sentence, and not a byte of the other library is changed."""
    before = contents(folder / "whole")

    ended = run_command(*verb, "-o", "linked", directory=folder)

    assert ended.exit_code == 5, ended
    assert ".tciad is a link, which tciad does not follow" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert contents(folder / "whole") == before
