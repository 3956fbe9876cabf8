"""`query`: every query of every generation as one verb."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from downloader.archive.nbia.generations import GENERATIONS
from downloader.archive.question import Topic
from downloader.sandbox import API_KEY, Fault, FaultKind
from tests.acceptance.archives import ServedArchive, serve_archive, small_catalogue
from tests.acceptance.command import Ended, run_command
from tests.archive.full_catalogue import CART, COLLECTION, DOI, FULL, KNOWN, PATIENT_ID, STUDY

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

FILTERS = {
    "collection": COLLECTION,
    "patient_id": PATIENT_ID,
    "modality": KNOWN.modality,
    "since": "1999-12-31",
    "shared_cart": CART,
    "doi": DOI,
    "series_instance_uid": KNOWN.series_instance_uid,
}
# The return-value tables of the guide of 2013, by the query that has them: what the sandbox knows of one series, study, patient.
PATIENT = {
    "PatientName": "Döe^Jane",
    "PatientBirthDate": "1950-06-07 00:00:00.0",
    "PatientSex": "F",
    "EthnicGroup": "2135-2",
    "Collection": COLLECTION,
}
GUIDE: dict[Topic, dict[str, str | int]] = {
    Topic.COLLECTIONS: {"Collection": COLLECTION},
    Topic.MODALITIES: {"Modality": "CT"},
    Topic.BODY_PARTS: {"BodyPartExamined": "ABDOMEN_PELVIS "},
    Topic.MANUFACTURERS: {"Manufacturer": '"GE Healthcare", Ünit & Söhne <GmbH>'},
    Topic.PATIENTS: {"PatientID": PATIENT_ID, **PATIENT},
    Topic.STUDIES: {
        "StudyInstanceUID": STUDY.study_instance_uid,
        "StudyDate": f"{STUDY.study_date} 00:00:00.0",
        "StudyDescription": 'CT, chest "low dose"',
        "AdmittingDiagnosesDescription": "C34.1",
        "StudyID": "42",
        "PatientAge": "071Y",
        "PatientID": PATIENT_ID,
        **PATIENT,
        "SeriesCount": 2,
    },
    Topic.SERIES: {
        "SeriesInstanceUID": KNOWN.series_instance_uid,
        "StudyInstanceUID": STUDY.study_instance_uid,
        "Modality": "CT",
        "ProtocolName": "5'3\" ß/é",
        "SeriesDate": f"{KNOWN.series_date} 00:00:00.0",
        "SeriesDescription": "axial/thin\tµ²",
        "BodyPartExamined": "ABDOMEN_PELVIS ",
        "SeriesNumber": 8,
        "AnnotationsFlag": "true",
        "Collection": COLLECTION,
        "PatientID": PATIENT_ID,
        "Manufacturer": '"GE Healthcare", Ünit & Söhne <GmbH>',
        "ManufacturerModelName": KNOWN.manufacturer_model_name or "",
        "SoftwareVersions": "1.0|2.0",
        "ImageCount": 2,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Queried:
    """An archive, and the verb that asks it."""

    archive: ServedArchive

    def query(self, what: str, *arguments: str, api: str = "v4") -> Ended:
        base_url = self.archive.sandbox.bindaas_url if api == "bindaas" else self.archive.sandbox.base_url
        environment = {"TCIAD_API_KEY": API_KEY} if api == "bindaas" else {}
        return run_command("query", what, "--archive", base_url, "--api", api, *arguments, environment=environment)


@pytest.fixture(scope="module")
def queried() -> Iterator[Queried]:
    with serve_archive(FULL) as archive:
        yield Queried(archive=archive)


def needed(api: str, topic: Topic) -> list[str]:
    """The flags without which the archive does not answer."""
    flags = []
    for name in GENERATIONS[api].queries[topic].required_filters:
        flags += [f"--{name.replace('_', '-')}", FILTERS[name]]
    return flags


@pytest.mark.parametrize("api", GENERATIONS)
def test_the_three_formats_say_the_same(queried: Queried, api: str) -> None:
    """JSON, CSV and table of the series: the same rows under the archive's own names."""
    rows = queried.query("series", "--format", "json", api=api).document
    lines = list(csv.DictReader(io.StringIO(queried.query("series", "--format", "csv", api=api).stdout)))
    table = queried.query("series", "--columns", "SeriesInstanceUID,Modality", api=api).stdout

    assert [{name: value for name, value in line.items() if value} for line in lines] == [
        {name: str(value) for name, value in row.items()} for row in rows
    ]
    assert re.findall(r"^(2\S+) +([A-Z]+) *$", table, re.MULTILINE) == [
        (row["SeriesInstanceUID"], row["Modality"]) for row in rows if "Modality" in row
    ]
    assert queried.query("series", "--json", api=api).document == rows


@pytest.mark.parametrize("topic", GUIDE)
def test_every_attribute_of_the_guide_is_there(queried: Queried, topic: Topic) -> None:
    """For each query of the guide of 2013, its whole return-value table, with the values, in a row of the JSON and of the CSV."""
    known = GUIDE[topic]
    as_json = queried.query(topic, "--json", *needed("bindaas", topic), api="bindaas")
    as_csv = queried.query(topic, "--format", "csv", *needed("bindaas", topic), api="bindaas")
    assert (as_json.exit_code, as_csv.exit_code) == (0, 0), as_json.stderr + as_csv.stderr

    assert known in [{name: row.get(name) for name in known} for row in as_json.document]
    lines = csv.DictReader(io.StringIO(as_csv.stdout, newline=""))
    told = [{name: line.get(name) for name in known} for line in lines]
    assert {name: str(value) for name, value in known.items()} in told


@pytest.mark.parametrize("form", ["csv", "html", "xml", "json"])
def test_raw_is_what_the_archive_writes(queried: Queried, form: str) -> None:
    """Byte by byte, in each of its formats."""
    ended = queried.query("collections", "--raw", form)

    assert ended.exit_code == 0
    signs = {"csv": "Collection", "html": "<table", "xml": "<?xml", "json": "[{"}
    assert signs[form].casefold() in ended.stdout.casefold()
    assert COLLECTION in ended.stdout


def test_filters_narrow_the_rows(queried: Queried) -> None:
    """They are sent where the generation has them, and applied to the rows where it has not."""
    for api in GENERATIONS:
        rows = queried.query("series", "--json", "--series-instance-uid", KNOWN.series_instance_uid, api=api).document
        assert [row["SeriesInstanceUID"] for row in rows] == [KNOWN.series_instance_uid], api


@pytest.mark.parametrize("api", ["v4", "v2", "v1"])
@pytest.mark.parametrize("what", ["series-size", "images", "series-metadata"])
def test_series_without_rows_are_named(queried: Queried, what: str, api: str) -> None:
    """Each row says which series it is about, and the reply names series that the archive does not know."""
    named = ("--series-instance-uid", KNOWN.series_instance_uid, "--series-instance-uid", "1.2.3")
    ended = queried.query(what, *named, "--json", api=api)

    assert ended.exit_code == 0, ended.stderr
    assert {row.get("SeriesInstanceUID", row.get("Series UID")) for row in ended.document} == {KNOWN.series_instance_uid}
    assert "returned no row for series 1.2.3" in ended.stderr
    assert KNOWN.series_instance_uid not in ended.stderr


def test_a_cart_can_be_asked_for(queried: Queried) -> None:
    """Of v4 as of the others; the API of 2013 says which have carts."""
    for api in ("v4", "v2", "v1"):
        rows = queried.query("shared-cart", "--shared-cart", CART, "--json", api=api).document
        assert [row["SeriesInstanceUID"] for row in rows] == [KNOWN.series_instance_uid]
    refused = queried.query("shared-cart", "--shared-cart", CART, api="bindaas")
    assert (refused.exit_code, "api v4, v2 or v1 has it" in refused.stderr) == (2, True)


@pytest.mark.parametrize("api", ["v4", "v2", "v1"])
def test_a_built_in_archive_may_be_asked_in_another_generation(api: str) -> None:
    """One server answers all of them; the API of 2013 is elsewhere."""
    ended = run_command("query", "patients", "--archive", "sandbox", "--api", api, "--collection", "Sandbox Brain", "--json")
    assert ended.exit_code == 0, ended.stderr
    assert ("Authorized" in ended.document[0]) == (api == "v4")
    refused = run_command("query", "patients", "--archive", "tcia", "--api", "bindaas")
    assert (refused.exit_code, "tcia has the API v4, v2 or v1, not 'bindaas'" in refused.stderr) == (2, True)


def test_a_missing_key_is_said_to_be_missing(queried: Queried) -> None:
    """And how to give one; a wrong one is not called missing."""
    command = ("query", "collections", "--archive", queried.archive.sandbox.bindaas_url, "--api", "bindaas")
    missing, wrong = run_command(*command), run_command(*command, environment={"TCIAD_API_KEY": "wrong-key"})

    assert (missing.exit_code, wrong.exit_code) == (4, 4)
    assert "no API key was given: set its file in archive.auth.api_key_file, or set TCIAD_API_KEY_FILE" in missing.stderr
    assert "check the API key" in wrong.stderr
    assert "wrong-key" not in wrong.stdout + wrong.stderr


def test_no_rows_are_said(queried: Queried) -> None:
    """An empty table is a sentence, empty JSON a list, empty CSV a header; none of it is an error."""
    arguments = ("--collection", "none such")
    assert queried.query("series", *arguments).stdout == "no rows\n"
    assert queried.query("series", *arguments, "--json").document == []
    assert len(queried.query("series", *arguments, "--format", "csv").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("modality",), "did you mean 'modalities'?"),
        (("series", "--format", "xml"), "--format: 'xml' is not table, json or csv"),
        (("series", "--raw", "yaml"), "--raw: 'yaml' is not json, csv, html or xml"),
        (("series", "--columns", "Modalty"), "did you mean 'Modality'?"),
        (("series-size",), "needs the filter series_instance_uid"),
        (("new-patients", "--collection", "x", "--since", "yesterday"), "--since: 'yesterday' is not a date such as 2026-01-31"),
        (("series", "--series-instance-uid", "1.2.x"), "--series-instance-uid: "),
        (("series", "--series-instance-uid", ""), "--series-instance-uid: the text is empty"),
        (("series", "--collection", ""), "--collection: the text is empty; leave the filter out to select all"),
        (("series", "--since", ""), "--since: "),
        (("collections", "--collection", "x", "--raw", "json"), "has no filter"),
        (("shared-cart",), "needs the filter shared_cart"),
        (
            ("collections", "--raw", "json", "--json"),
            "--raw prints the reply as the archive writes it, and --json would change it",
        ),
        (("collections", "--raw", "csv", "--format", "csv"), "and --format would change it"),
        (("collections", "--raw", "csv", "--columns", "Collection"), "and --columns would change it"),
        (("collections", "--json", "--format", "csv"), "--json and --format csv contradict each other"),
    ],
)
def test_a_wrong_question_is_refused(queried: Queried, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2, one sentence, nothing on stdout."""
    ended = queried.query(*arguments)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_breaks_off_is_not_shown_as_if_it_were_all() -> None:
    """A list that is cut: exit 3, nothing on stdout."""
    faults = [Fault(kind=FaultKind.CUT_LIST, endpoints=("getSeries",))]
    with serve_archive(small_catalogue(5), faults=faults) as archive:
        ended = Queried(archive=archive).query("series", "--format", "csv")

    assert ended.exit_code == 3
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_terminal_escapes_are_shown_and_not_obeyed() -> None:
    """Whatever the archive puts into its texts."""
    catalogue = small_catalogue(1)
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    (collection,) = catalogue.collections
    with serve_archive(replace(catalogue, collections=(replace(collection, name=f"a{evil}"),))) as archive:
        told = Queried(archive=archive).query("collections").stdout

    assert "\\x1b" in told
    assert not set("\x1b\x07\u202e") & set(told)
