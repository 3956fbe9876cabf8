"""Manifests, flags and variables as users get them wrong: exit 2 and one sentence that says where, what, and what was meant."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.archives import serve_archive, write_manifest
from tests.acceptance.command import Ended, run_command

pytestmark = pytest.mark.acceptance

SOUND = "version: 1\narchive: sandbox\nselect:\n  - collection: Sandbox-Lung\n"


def assert_refused(ended: Ended, *told: str) -> None:
    """Exit 2, one sentence on stderr that holds every part of `told`, nothing on stdout, and no trace of a fault of ours."""
    assert ended.exit_code == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.startswith("tciad: ")
    for part in told:
        assert part in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", ("m.yaml:1:", "empty"), id="empty"),
        pytest.param("version: 1\nselect: [unclosed\n", ("m.yaml:3:1:", "not YAML"), id="no YAML"),
        pytest.param(SOUND.replace("select", "selekt"), ("m.yaml:3: selekt:", "did you mean 'select'?"), id="unknown key"),
        pytest.param(
            SOUND.replace("archive: sandbox", "archive: ticia"),
            ("m.yaml:2: archive:", "did you mean 'tcia'?"),
            id="unknown archive",
        ),
        pytest.param(
            SOUND + "download:\n  concurrency: many\n", ("m.yaml:6: download.concurrency:", "not 'many'"), id="wrong type"
        ),
        pytest.param(
            SOUND.replace("collection: Sandbox-Lung", "image_count: {min: 9, max: 2}"),
            ("m.yaml:4: select[0].image_count:", "nothing could match"),
            id="impossible range",
        ),
        pytest.param(
            SOUND.replace("collection: Sandbox-Lung", "series_list: cart.tcia"),
            ("m.yaml:4: select[0].series_list:", "no such file"),
            id="missing series list",
        ),
        pytest.param(
            SOUND + 'output: {layout: "{collction}/{series_instance_uid}"}\n',
            ("m.yaml:5: output.layout:", "did you mean 'collection'?"),
            id="unknown field of a layout",
        ),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_line(text: str, told: tuple[str, ...], tmp_path: Path) -> None:
    """Before anything is asked of the archive: file, line, path, what is wrong, and the name that was meant."""
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")

    ended = run_command("run", "m.yaml", "-o", "library", "--json", directory=tmp_path)

    assert_refused(ended, *told)
    assert not (tmp_path / "library").exists()


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    """A path that is not there, a folder, and bytes that are no text each get a sentence of their own."""
    (tmp_path / "image.yaml").write_bytes(bytes(range(256)))

    assert_refused(run_command("run", "nowhere.yaml", directory=tmp_path), "nowhere.yaml", "no such file")
    assert_refused(run_command("run", tmp_path, directory=tmp_path), "is a folder")
    assert_refused(run_command("plan", "image.yaml", "--json", directory=tmp_path), "image.yaml:2:", "UTF-8")


def test_a_misspelt_collection_is_refused_after_asking(tmp_path: Path) -> None:
    """What only the archive can know is asked; the answer is the same kind of sentence, and the one document says it too."""
    with serve_archive() as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url, collection="Sandbox-Lnug")
        ended = run_command("run", manifest, "-o", tmp_path / "library", "--json")

    assert ended.exit_code == 2
    assert (ended.document["outcome"], ended.document["exit_code"]) == ("failed", 2)
    assert "m.yaml:4: collection:" in ended.document["error"]
    assert "did you mean 'Sandbox-Lung'?" in ended.document["error"]
    assert "Traceback" not in ended.stderr


@dataclass(frozen=True, slots=True)
class Slip:
    """A command line with one mistake."""

    arguments: tuple[str, ...]
    told: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


@pytest.mark.parametrize(
    "slip",
    [
        Slip(("get", "1.2.x"), ("'1.2.x' is not a UID",)),
        Slip(("get", "1.2.3", "--archive", "ticia"), ("--archive", "did you mean 'tcia'?")),
        Slip(("run", "m.yaml", "--max-shrink", "much", "--concurrency", "0"), ("--max-shrink: 'much'", "--concurrency: 0")),
        Slip(("run", "m.yaml", "--concurrency", "many"), ("--concurrency", "many")),
        Slip(("run", "m.yaml", "--jsn"), ("--jsn", "--json")),
        Slip(("rum", "m.yaml"), ("'rum'", "'run'")),
        Slip(("run",), ("MANIFEST",)),
        Slip(("run", "m.yaml", "-o", ""), ("--output", "the path is empty")),
        Slip(("run", ""), ("MANIFEST", "the path is empty")),
        Slip(("store", "backup", ""), ("TO", "the path is empty")),
        Slip(("query", "collections", "--archive", ""), ("--archive: '' is not tcia",)),
        Slip(("run", "m.yaml"), ("TCIAD_CONCURENCY", "did you mean 'TCIAD_CONCURRENCY'?"), {"TCIAD_CONCURENCY": "3"}),
        Slip(("run", "m.yaml"), ("TCIAD_ATTEMPTS", "'x'"), {"TCIAD_ATTEMPTS": "x"}),
        Slip(("sandbox", "--script", "m.yaml"), ("m.yaml", "collections")),
    ],
    ids=lambda slip: " ".join([*slip.environment, *slip.arguments]),
)
def test_a_slip_in_flags_or_environment_is_refused(slip: Slip, tmp_path: Path) -> None:
    """Flags, verbs and variables get the same care as manifests."""
    (tmp_path / "m.yaml").write_text(SOUND, encoding="utf-8")

    ended = run_command(*slip.arguments, directory=tmp_path, environment=slip.environment)

    assert_refused(ended, *slip.told)
    assert [path.name for path in tmp_path.iterdir()] == ["m.yaml"]
