"""Folders that are named after the study: the same whichever way the series was asked for, in every generation."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from downloader.sandbox import API_KEY, Catalogue, SandboxCollection, SandboxPatient, study_of
from tests.acceptance.archives import ServedArchive, receipts_of, serve_archive, small_series
from tests.acceptance.command import Ended, run_command

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
SERIES = small_series(3)
FIRST = SERIES[0].series_instance_uid
LABEL = "03-04-2021-7b-CT-"
ADDRESSES = {
    "v4": "{{base_url: '{base}', api: v4}}",
    "v2": "{{base_url: '{base}', api: v2}}",
    "v1": "{{base_url: '{base}', api: v1}}",
    "bindaas": "{{base_url: '{bindaas}', api: bindaas}}",
}


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    """Three series of one study, which has a date, a StudyID and a description."""
    study = study_of(*SERIES, seed=1, study_id="7b", study_description="CT")
    patient = SandboxPatient(patient_id="P-1", studies=(study,))
    with serve_archive(Catalogue(collections=(SandboxCollection(name="Sandbox", patients=(patient,)),))) as served:
        yield served


def run(folder: Path, archive: ServedArchive, api: str, entry: str, *more: str) -> Ended:
    """Mirror what one entry wants."""
    address = ADDRESSES[api].format(base=archive.sandbox.base_url, bindaas=archive.sandbox.bindaas_url)
    manifest = folder / "m.yaml"
    manifest.write_text(f"version: 1\narchive: {address}\nselect:\n  - {{{entry}}}\n")
    ended = run_command(
        "run",
        manifest,
        "-o",
        folder / "library",
        "--json",
        *more,
        environment={"TCIAD_API_KEY": API_KEY, "TCIAD_MAX_SHRINK": "100%"},
    )
    assert ended.exit_code == 0, ended.stdout + ended.stderr
    return ended


def study_folders(library: Path) -> set[str]:
    return {folder.parent.name for folder, _ in receipts_of(library).values()}


@pytest.mark.parametrize("api", ADDRESSES)
def test_series_by_list_and_by_collection_lie_in_one_folder(tmp_path: Path, archive: ServedArchive, api: str) -> None:
    """First one series by name, then its whole collection; metadata.csv tells of the study too."""
    run(tmp_path, archive, api, f"series_instance_uid: {FIRST}", "--layout", "descriptive")
    ended = run(tmp_path, archive, api, 'collection: "*"')

    assert ended.document["series"]["already_complete"] == 1
    library = tmp_path / "library"
    (study,) = study_folders(library)
    assert study.startswith(LABEL)
    assert len(receipts_of(library)) == 3
    header, *rows = csv.reader((library / "metadata.csv").read_text().splitlines())
    told = {(row[header.index("Study Date")], row[header.index("Study Description")]) for row in rows}
    assert told == {("03-04-2021", "CT")}


@pytest.mark.parametrize("api", ["v4", "v1"])
def test_a_library_is_moved_into_such_folders_once_a_run_has_asked(tmp_path: Path, archive: ServedArchive, api: str) -> None:
    """Series that came under another layout did not need their StudyID; they are neither fetched again nor called changed."""
    library = tmp_path / "library"
    run(tmp_path, archive, api, f"series_instance_uid: {FIRST}")
    assert archive.sandbox.count("getPatientStudy") == 0
    ended = run(tmp_path, archive, api, 'collection: "*"', "--layout", "descriptive")
    assert (ended.document["series"]["already_complete"], ended.document["series"]["completed"]) == (1, 2)

    moved = run_command("relayout", "descriptive", "-o", library, "--json")

    assert moved.document["series"] == {"moved": 1, "in_place": 2, "left": 0}
    (study,) = study_folders(library)
    assert study.startswith(LABEL)


def test_a_choice_by_the_day_of_the_study_works_in_2013_too(tmp_path: Path, archive: ServedArchive) -> None:
    """It is no attribute of getSeries there."""
    ended = run(tmp_path, archive, "bindaas", "collection: Sandbox, study_date: {from: 2021-03-04, to: 2021-03-04}")
    assert ended.document["series"]["selected"] == 3
    after = tmp_path / "after.yaml"
    after.write_text((tmp_path / "m.yaml").read_text().replace("2021-03-04", "2021-03-05"))
    planned = run_command("plan", after, "--json", environment={"TCIAD_API_KEY": API_KEY})
    assert (planned.document["entries"][0]["listed"], planned.document["series"]["selected"]) == (3, 0)
