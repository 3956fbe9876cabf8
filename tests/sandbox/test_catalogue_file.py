"""A catalogue file makes a catalogue and a script of faults, or says what is wrong with it."""

import json
import re
from pathlib import Path

import pytest

from downloader.errors import SettingsError
from downloader.sandbox import Access, FaultKind, GeneratedImages, SampleImages, TokenStyle, read_catalogue_file
from downloader.sandbox.faults import RULES

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"
GOOD = """
collections:
  - name: Demo
    license_name: CC BY 4.0
    license_text: Cite us.
    patients:
      - patient_id: P 1
        patient_sex: F
        studies:
          - study_description: first
            study_date: 2020-01-02
            series:
              - {images: 2, rows: 32, columns: 48, modality: MR, series_description: µ}
              - samples: [CT_small.dcm, MR_small.dcm]
                faults:
                  - {kind: cut, at_bytes: 100, times: 2}
              - {images: 3, copies: 4, body_part_examined: CHEST}
              - {series_instance_uid: "1.2.3", seed: 50}
shared_carts:
  cart: ["1.2.3"]
faults:
  - {kind: status, status: 503, endpoints: [getSeries], after: 1}
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "catalogue.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file(tmp_path: Path) -> None:
    """Everything it says is in the catalogue; what it leaves out is what the builders give."""
    read = read_catalogue_file(_write(tmp_path, GOOD))
    holdings = list(read.catalogue.holdings.values())
    contents = [held.series.content for held in holdings]
    assert contents[0] == GeneratedImages(seed=1, image_count=2, rows=32, columns=48)
    assert contents[1] == SampleImages(file_names=("CT_small.dcm", "MR_small.dcm"))
    seeds = [content.seed for content in contents[2:] if isinstance(content, GeneratedImages)]
    assert seeds == [3, 4, 5, 6, 50]
    assert holdings[0].series.modality == "MR"
    assert holdings[0].series.manufacturer == "Sandbox Instruments"
    assert holdings[0].study.study_description == "first"
    assert holdings[0].patient.patient_id == "P 1"
    assert holdings[0].collection.license_text == "Cite us."
    assert read.catalogue.shared_carts == {"cart": ("1.2.3",)}
    cut, status = read.faults
    assert (cut.kind, cut.at_bytes, cut.times) == (FaultKind.CUT, 100, 2)
    assert cut.series_instance_uid == holdings[1].series.series_instance_uid
    assert (status.kind, status.endpoints, status.after, status.series_instance_uid) == (
        FaultKind.STATUS,
        ("getSeries",),
        1,
        None,
    )


def test_who_may_ask_can_be_said(tmp_path: Path) -> None:
    """What is not said stays as it is; a lifetime can be left out of the answers."""
    assert read_catalogue_file(_write(tmp_path, GOOD)).access == Access()
    said = "access: {accounts: {me: p}, api_keys: [k], style: spring, expires_in_seconds: null}\n"
    read = read_catalogue_file(_write(tmp_path, GOOD + said)).access
    assert read == Access(accounts={"me": "p"}, api_keys=frozenset({"k"}), style=TokenStyle.SPRING, expires_in_seconds=None)


def test_json_will_do(tmp_path: Path) -> None:
    """JSON is YAML."""
    patient = {"patient_id": "P", "studies": [{"series": [{"images": 1}]}]}
    text = json.dumps({"collections": [{"name": "C", "patients": [patient]}]})
    assert len(read_catalogue_file(_write(tmp_path, text)).catalogue.holdings) == 1


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    """What users copy is what we read."""
    page = PAGE.read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    read = read_catalogue_file(_write(tmp_path, example))
    assert read.catalogue.holdings
    assert read.faults


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_is_documented(kind: FaultKind) -> None:
    """One row of the table for each kind, with every figure it takes."""
    page = PAGE.read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{kind}` \|.*$", page, re.MULTILINE)
    for figure in RULES[kind].takes:
        assert f"`{figure}`" in row


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kind: cut", "kind: cutt"), r"unknown fault 'cutt'; did you mean 'cut'\?"),
        (("at_bytes: 100", "images: 100"), "fault 'cut' has no parameter images; its parameters are at_bytes"),
        (("rows: 32", "row: 32"), r"collections.0.patients.0.studies.0.series.0.row: Extra inputs"),
        (("rows: 32", "visibility: null"), "visibility: Input should be a valid integer"),
        (("rows: 32", "rows: 70000"), "1 to 65535 rows and columns"),
        (("modality: MR", "modality: PT"), "images of modality PT cannot be generated"),
        (("CT_small.dcm", "none.dcm"), "pydicom has no sample file 'none.dcm'"),
        (('series_instance_uid: "1.2.3", seed: 50', "seed: 1"), "is defined twice"),
        (("copies: 4", "copies: 4, series_instance_uid: '1.9'"), "cannot share its series_instance_uid"),
        (("collections:", "collection:"), "collections: Field required"),
        (("collections:", "collections: ["), "cannot be read"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """With the file, and what to do where that is known."""
    with pytest.raises(SettingsError, match=message) as caught:
        read_catalogue_file(_write(tmp_path, GOOD.replace(*change)))
    assert str(tmp_path / "catalogue.yaml") in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """As any other mistake."""
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        read_catalogue_file(tmp_path / "none.yaml")
