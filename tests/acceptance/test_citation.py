"""CITATION.txt, from the archive's words to the file."""

from pathlib import Path

import pytest

from downloader.sandbox import Catalogue, Fault, FaultKind, SandboxCollection, SandboxPatient, study_of
from tests.acceptance.archives import ServedArchive, serve_archive, small_series, write_manifest
from tests.acceptance.command import run_command

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def collection(name: str, seed: int, **more: str) -> SandboxCollection:
    """A collection of one small series."""
    patient = SandboxPatient(patient_id=f"P-{seed}", studies=(study_of(*small_series(1, first_seed=seed), seed=seed),))
    return SandboxCollection(name=name, patients=(patient,), **more)


def test_every_collection_says_how_it_is_to_be_cited(tmp_path: Path) -> None:
    """With the address that the archive gives, and nothing made up where it gives none; texts cannot forge a line."""
    told = {
        "data_description_uri": "https://doi.org/10.7937/EXAMPLE",
        "license_name": "CC BY 4.0",
        "license_uri": "https://example.org/by",
    }
    forged = {"data_description_uri": "x\nCollection: forged", "license_name": "", "license_uri": ""}
    catalogue = Catalogue(collections=(collection("Told", 1, **told), collection("Forged", 2, **forged)))
    with serve_archive(catalogue) as archive:
        manifest = write_manifest(tmp_path / "m.yaml", archive.sandbox.base_url)
        assert run_command("run", manifest, "-o", tmp_path / "library").exit_code == 0
    lines = (tmp_path / "library" / "CITATION.txt").read_text(encoding="utf-8").splitlines()
    start = lines.index("Collection: Told (1 series)")
    assert lines[start + 1 : start + 3] == [
        "Cite as: https://doi.org/10.7937/EXAMPLE",
        "Licence: CC BY 4.0 https://example.org/by",
    ]
    assert [line for line in lines if line.startswith("Collection: ")] == [
        "Collection: Forged (1 series)",
        "Collection: Told (1 series)",
    ]
    assert "Licence: not given by the archive" in lines
    assert run_command("verify", "-o", tmp_path / "library").exit_code == 0
    assert run_command("relayout", "flat", "-o", tmp_path / "library").exit_code == 0
    assert (tmp_path / "library" / "CITATION.txt").read_text(encoding="utf-8").splitlines() == lines


def lines_of(library: Path) -> list[str]:
    """What CITATION.txt says."""
    return (library / "CITATION.txt").read_text(encoding="utf-8").splitlines()


def run_for(archive: ServedArchive, folder: Path, name: str) -> Path:
    """A run for one collection of the archive, into a library that all of them share."""
    manifest = write_manifest(folder / f"{name}.yaml", archive.sandbox.base_url, collection=name)
    ended = run_command("run", manifest, "-o", folder / "library")
    assert ended.exit_code == 0, ended.stderr
    return folder / "library"


def test_a_collection_is_described_where_the_archive_describes_it(tmp_path: Path) -> None:
    """In plain text that can forge no line, asked for once; the address of the data comes from it where no series has one."""
    described = {"description": "<p>Scans of <b>lungs</b>.</p><p>Collection: forged</p><script>x</script>"}
    catalogue = Catalogue(collections=(collection("A", 1, **described), collection("B", 2), collection("C", 3)))
    with serve_archive(catalogue) as archive:
        library = run_for(archive, tmp_path, "A")
        text = lines_of(library)
        start = text.index("    Scans of lungs.")
        assert text[start - 1 : start + 2] == ["", "    Scans of lungs.", "    Collection: forged"]
        assert [line for line in text if line.startswith("Collection: ")] == ["Collection: A (1 series)"]
        run_for(archive, tmp_path, "B")
        run_for(archive, tmp_path, "B")
        run_for(archive, tmp_path, "C")
        asked = [request.parameters for request in archive.sandbox.requests if request.endpoint == "getCollectionDescriptions"]

    assert asked == [{"collectionName": [name]} for name in "ABC"]
    assert lines_of(library).count("    Scans of lungs.") == 1
    assert [line for line in lines_of(library) if line.startswith("Collection: ")] == [
        f"Collection: {name} (1 series)" for name in "ABC"
    ]
    assert run_command("relayout", "flat", "-o", library).exit_code == 0
    assert "    Scans of lungs." in lines_of(library)
    assert run_command("verify", "-o", library).exit_code == 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, status=500, endpoints=("getCollectionDescriptions",)),
        Fault(kind=FaultKind.STATUS, status=503, endpoints=("getCollectionDescriptions",)),
        Fault(kind=FaultKind.STATUS, status=404, endpoints=("getCollectionDescriptions",)),
        Fault(kind=FaultKind.STATUS, status=401, endpoints=("getCollectionDescriptions",)),
        Fault(kind=FaultKind.UNMAPPABLE, endpoints=("getCollectionDescriptions",)),
        Fault(kind=FaultKind.HTML, endpoints=("getCollectionDescriptions",)),
        Fault(kind=FaultKind.CUT, endpoints=("getCollectionDescriptions",)),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
def test_a_description_that_is_not_to_be_had_fails_nothing(tmp_path: Path, fault: Fault) -> None:
    """The run ends complete, reports so, and asks again when it next stores something."""
    catalogue = Catalogue(collections=(collection("A", 1, description="<p>Lungs</p>"), collection("B", 2)))
    with serve_archive(catalogue, faults=[fault]) as archive:
        library = run_for(archive, tmp_path, "A")
        assert "Collection: A (1 series)" in lines_of(library)
        assert archive.sandbox.count("getCollectionDescriptions") == 1
        archive.sandbox.faults.clear()
        run_for(archive, tmp_path, "B")
    assert "    Lungs" in lines_of(library)
