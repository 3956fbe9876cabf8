"""CITATION.txt, from the archive's words to the file."""

from pathlib import Path

import pytest

from downloader.sandbox import Catalogue, SandboxCollection, SandboxPatient, study_of
from tests.acceptance.archives import serve_archive, small_series, write_manifest
from tests.acceptance.command import run_command

pytestmark = pytest.mark.acceptance


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
    assert "Licence: not told by the archive" in lines
    assert run_command("verify", "-o", tmp_path / "library").exit_code == 0
    assert run_command("relayout", "flat", "-o", tmp_path / "library").exit_code == 0
    assert (tmp_path / "library" / "CITATION.txt").read_text(encoding="utf-8").splitlines() == lines
