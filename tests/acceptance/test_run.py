"""A run of everything the sandbox holds: what it prints, what it writes, and that a second one has nothing to do."""

import csv
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.archives import (
    ServedArchive,
    assert_mirrors,
    assert_nothing_staged,
    receipts_of,
    serve_archive,
    small_catalogue,
    write_manifest,
)
from tests.acceptance.command import end_of, run_command, start_command

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
REPORT_KEYS = [
    "manifest",
    "outcome",
    "exit_code",
    "series",
    "images",
    "stored_bytes",
    "received_bytes",
    "elapsed_seconds",
    "failures",
    "proof",
    "warnings",
    "error",
    "presence",
]
SERIES_KEYS = ["selected", "completed", "already_complete", "failed", "withdrawn", "pending"]
DATA_RETRIEVER_COLUMNS = 17


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    with serve_archive() as served:
        yield served


def test_a_run_and_the_run_after_it(archive: ServedArchive, tmp_path: Path) -> None:
    """The first run mirrors everything, proves it and says so; the second finds it all there and downloads nothing."""
    library = tmp_path / "library"
    manifest = write_manifest(tmp_path / "everything.yaml", archive.sandbox.base_url)
    public = archive.public_series()

    first = run_command("run", manifest, "-o", library, "--json")

    assert first.exit_code == 0, first.stderr
    report = first.document
    assert list(report) == REPORT_KEYS
    assert list(report["series"]) == SERIES_KEYS
    assert (report["manifest"], report["outcome"], report["exit_code"]) == ("everything", "complete", 0)
    assert report["series"] == {
        "selected": len(public),
        "completed": len(public),
        "already_complete": 0,
        "failed": 0,
        "withdrawn": 0,
        "pending": 0,
    }
    assert report["images"] == sum(len(archive.sandbox.images_of(series)) for series in public)
    assert report["stored_bytes"] == sum(archive.sandbox.file_size_bytes(series) for series in public)
    assert 0 < report["received_bytes"] < report["stored_bytes"]
    assert report["elapsed_seconds"] > 0
    assert (report["failures"], report["warnings"], report["error"]) == ([], [], "")
    assert_mirrors(library, archive)
    assert_papers(library, archive)
    downloads = archive.downloads

    second = run_command("run", manifest, "-o", library, "--json")

    assert second.exit_code == 0, second.stderr
    assert second.document["outcome"] == "complete"
    assert second.document["received_bytes"] == 0
    assert second.document["series"]["already_complete"] == len(public)
    assert second.document["series"]["completed"] == 0
    assert archive.downloads == downloads == len(public)
    assert_mirrors(library, archive)


def assert_papers(library: Path, archive: ServedArchive) -> None:
    """Beside the images: metadata.csv with a quoted row per series, and the licence of each collection."""
    text = (library / "metadata.csv").read_text(encoding="utf-8")
    assert all(re.fullmatch(r'"(?:[^"]|"")*"(?:,"(?:[^"]|"")*"){16}', line) for line in text.splitlines())
    header, *rows = csv.reader(text.splitlines())
    assert len(header) == DATA_RETRIEVER_COLUMNS
    assert sorted(row[header.index("Series UID")] for row in rows) == sorted(archive.public_series())
    names = {row[header.index("SOP Class UID")]: row[header.index("SOP Class Name")] for row in rows}
    assert names["1.2.840.10008.5.1.4.1.1.2"] == "CT Image Storage"
    assert all(names.values())
    for folder, receipt in receipts_of(library).values():
        assert receipt["archive"] == urlsplit(archive.sandbox.base_url).netloc
        collection_folder = library / folder.relative_to(library).parts[0]
        assert (collection_folder / "LICENSE").read_text().startswith("These images are samples")
    assert len(list(library.glob("*/LICENSE"))) == len(archive.sandbox.catalogue.collections)


def test_the_example_needs_no_archive(tmp_path: Path) -> None:
    """manifests/sandbox.yaml brings its own archive; without --json people get a verdict in a few lines."""
    ended = run_command("run", ROOT / "manifests" / "sandbox.yaml", "-o", tmp_path)

    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith("sandbox: complete\n")
    assert_nothing_staged(tmp_path)


def test_the_log_tells_attempts_and_the_run_by_the_same_name(tmp_path: Path) -> None:
    """As the service does: `run` is when it began."""
    with serve_archive(small_catalogue(2)) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        ran = run_command("run", manifest, "-o", tmp_path / "library", "-v", environment={"TCIAD_LOG_FORMAT": "json"})
    lines = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    assert sorted(line["event"] for line in lines) == ["run ended", "series completed", "series completed"]
    assert {line["manifest"] for line in lines} == {"m"}
    assert len({line["run"] for line in lines}) == 1
    assert len({line["series_instance_uid"] for line in lines if line["event"] == "series completed"}) == 2


def test_several_manifests_print_one_list(archive: ServedArchive, tmp_path: Path) -> None:
    """With several manifests --json prints a list in their order, and series that two of them want are fetched once."""
    lung = write_manifest(tmp_path / "lung.yaml", archive.sandbox.base_url, collection="Sandbox-Lung")
    both = write_manifest(tmp_path / "both.yaml", archive.sandbox.base_url, collection="Sandbox-*")

    ended = run_command("run", lung, both, "-o", tmp_path / "library", "--json")

    assert ended.exit_code == 0, ended.stderr
    assert [(report["manifest"], report["outcome"]) for report in ended.document] == [("lung", "complete"), ("both", "complete")]
    assert all(list(report) == REPORT_KEYS for report in ended.document)
    asked = [request.series_instance_uid for request in archive.sandbox.requests if request.endpoint == "getImage"]
    assert len(asked) == len(set(asked)) == ended.document[1]["series"]["selected"]


def test_get_needs_no_manifest(archive: ServedArchive, tmp_path: Path) -> None:
    """`get` mirrors just the series that it is given."""
    wanted = archive.public_series()[:2]

    ended = run_command("get", *wanted, "--archive", archive.sandbox.base_url, "-o", tmp_path, "--json")

    assert ended.exit_code == 0, ended.stderr
    assert ended.document["series"]["completed"] == len(wanted)
    assert sorted(receipts_of(tmp_path)) == sorted(wanted)


def test_plan_changes_nothing(archive: ServedArchive, tmp_path: Path) -> None:
    """`plan` says what a run would fetch, and leaves no trace of having been asked."""
    manifest = write_manifest(tmp_path / "everything.yaml", archive.sandbox.base_url)

    ended = run_command("plan", manifest, "-o", tmp_path / "library", "--json")

    assert ended.exit_code == 0, ended.stderr
    assert ended.document["manifest"] == "everything"
    assert archive.downloads == 0
    assert not (tmp_path / "library").exists()


def test_the_sandbox_command_serves_a_file(tmp_path: Path) -> None:
    """`tciad sandbox --script` serves the catalogue and the faults of a file until a signal ends it, with exit code 0."""
    script = tmp_path / "script.yaml"
    document = {
        "collections": [
            {
                "name": "Tiny",
                "patients": [
                    {
                        "patient_id": "T-1",
                        "studies": [{"series": [{"images": 2, "rows": 16, "columns": 16, "copies": 3}]}],
                    }
                ],
            }
        ],
        "faults": [{"kind": "short-zip", "times": 1}],
    }
    script.write_text(json.dumps(document), encoding="utf-8")
    with start_command("sandbox", "--port", "0", "--script", script, "--json") as process:
        assert process.stdout
        # the document is written over several lines, its last one is the brace
        told = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        manifest = write_manifest(tmp_path / "tiny.yaml", told["base_url"], collection="tiny")
        mirrored = run_command("run", manifest, "-o", tmp_path / "library", "--json", "-v")
        process.send_signal(signal.SIGTERM)
        served = end_of(process)

    assert mirrored.exit_code == 0, mirrored.stderr
    assert mirrored.document["series"]["completed"] == 3
    assert "IncompleteSeriesError" in mirrored.stderr
    assert served.exit_code == 0, served.stderr
