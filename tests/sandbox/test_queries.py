"""Every query endpoint of both generations answers with the archive's columns, spelling and habits."""

import csv
import json
from io import StringIO

import pytest

from downloader.sandbox import (
    Catalogue,
    Sandbox,
    SandboxCollection,
    SandboxPatient,
    builtin_catalogue,
    generated_series,
    serve_sandbox,
    study_of,
)
from downloader.sandbox.nbia_v1 import NBIA_V1
from downloader.sandbox.nbia_v4 import NBIA_V4
from tests.sandbox.conftest import Client

pytestmark = pytest.mark.anyio

LUNG = "Sandbox-Lung"
BUILTIN = builtin_catalogue()
SERIES = next(iter(BUILTIN.holdings))
STUDY = BUILTIN.holdings[SERIES].study.study_instance_uid
PATIENT_V1 = "PatientId,PatientName,PatientBirthDate,PatientSex,EthnicGroup,Collection,Phantom,SpeciesCode,SpeciesDescription"
PATIENT_V4 = "PatientId,PatientName,PatientSex,EthnicGroup,Collection,Phantom,SpeciesCode,SpeciesDescription,Authorized"
STUDY_V1 = (
    "StudyInstanceUID,StudyDate,StudyDescription,AdmittingDiagnosesDescription,StudyID,PatientAge,PatientID,PatientName,PatientBirthDate,"
    "PatientSex,EthnicGroup,Collection,SeriesCount,LongitudinalTemporalEventType,LongitudinalTemporalOffsetFromEvent"
)
STUDY_V4 = STUDY_V1.replace("PatientBirthDate,", "") + ",Authorized"
UP_TO_COUNT = (
    "SeriesInstanceUID,StudyInstanceUID,Modality,ProtocolName,SeriesDate,SeriesDescription,BodyPartExamined,SeriesNumber,AnnotationsFlag,"
    "Collection,PatientID,Manufacturer,ManufacturerModelName,SoftwareVersions,ImageCount"
)
SERIES_V1 = (
    UP_TO_COUNT + ",TimeStamp,LicenseName,LicenseURI,CollectionURI,FileSize,DateReleased,StudyDesc,StudyDate,ThirdPartyAnalysis"
)
SERIES_V4 = (
    "SeriesInstanceUID,StudyInstanceUID,Modality,ProtocolName,SeriesDate,SeriesDescription,BodyPartExamined,SeriesNumber,AnnotationsFlag,"
    "Collection,Site,PatientID,PatientSex,PatientAge,AdmittingDiagnosisDescription,Manufacturer,ManufacturerModelName,SoftwareVersions,"
    "ImageCount,MaxSubmissionTimestamp,LicenseName,LicenseURI,DataDescriptionURI,FileSize,ReleasedStatus,DateReleased,StudyDesc,StudyDate,"
    "ThirdPartyAnalysis,Authorized"
)
METADATA_V1 = (
    "Series UID,Collection,3rd Party Analysis,Data Description URI,Subject ID,Study UID,Study Description,Study Date,"
    "Series Description,Manufacturer,Modality,SOP Class UID,Number of Images,File Size,File Location,Series Number,"
    "License Name,License URL,Annotation Size,Date Released,Series Date,Protocol Name,Body Part Examined,Annotations Flag,"
    "Manufacturer Model Name,Software Versions,TimeStamp"
)

TABLES = [
    ("v1/getCollectionValues", {}, "Collection", 4),
    ("v4/getCollectionValues", {}, "Collection", 4),
    ("v1/getModalityValues", {"Collection": LUNG}, "Modality", 1),
    ("v4/getModalityValues", {}, "Modality", 8),
    ("v1/getBodyPartValues", {"Modality": "CT"}, "BodyPartExamined", 3),
    ("v4/getBodyPartValues", {"Collection": LUNG}, "BodyPartExamined", 3),
    ("v1/getManufacturerValues", {"Collection": LUNG}, "Manufacturer", 4),
    ("v4/getManufacturerValues", {"BodyPartExamined": "BRAIN"}, "Manufacturer", 2),
    ("v1/getPatient", {"Collection": LUNG}, PATIENT_V1, 3),
    ("v4/getPatient", {"PatientId": "patient 01"}, PATIENT_V4, 1),
    ("v1/getPatientByCollectionAndModality", {"Collection": LUNG, "Modality": "CT"}, "PatientId", 3),
    ("v4/getPatientByCollectionAndModality", {"Collection": LUNG, "Modality": "ct"}, "PatientId,Authorized", 3),
    ("v1/NewPatientsInCollection", {"Collection": LUNG, "Date": "2024/01/01"}, PATIENT_V1, 1),
    ("v4/NewPatientsInCollection", {"Collection": LUNG, "fromDate": "01-01-2024"}, PATIENT_V4, 1),
    ("v1/getPatientStudy", {"PatientID": "Patient 01"}, STUDY_V1, 2),
    ("v4/getPatientStudy", {"StudyInstanceUID": STUDY}, STUDY_V4, 1),
    ("v1/NewStudiesInPatientCollection", {"Collection": LUNG, "Date": "2024/01/01", "PatientID": "SL-0002"}, STUDY_V1, 1),
    ("v4/NewStudiesInPatientCollection", {"Collection": LUNG, "fromDate": "01-01-2024"}, STUDY_V4, 1),
    ("v1/getSeries", {"Collection": LUNG}, SERIES_V1, 4),
    ("v4/getSeries", {"SeriesInstanceUID": SERIES}, SERIES_V4, 1),
    ("v1/getUpdatedSeries", {"fromDate": "01/01/2024"}, UP_TO_COUNT + ",DateReleased", 1),
    ("v4/getUpdatedSeries", {"fromDate": "01-01-2024"}, SERIES_V4, 1),
    ("v1/getSeriesSize", {"SeriesInstanceUID": SERIES}, "TotalSizeInBytes,ObjectCount", 1),
    ("v4/getSeriesSize", {"SeriesInstanceUID": SERIES}, "TotalSizeInBytes,ObjectCount", 1),
    ("v1/getSeriesMetaData", {"SeriesInstanceUID": SERIES}, METADATA_V1, 1),
    ("v1/getSOPInstanceUIDs", {"SeriesInstanceUID": SERIES}, "SOPInstanceUID", 24),
    ("v4/getSOPInstanceUIDs", {"SeriesInstanceUID": SERIES}, "SOPInstanceUID", 24),
]


@pytest.mark.parametrize(("path", "parameters", "columns", "rows"), TABLES)
async def test_columns_and_rows(client: Client, path: str, parameters: dict[str, str], columns: str, rows: int) -> None:
    """CSV names every column in order; JSON has the same rows, without the attributes that are absent."""
    async with serve_sandbox(BUILTIN) as sandbox:
        as_csv = await client.get(sandbox, path, **parameters, format="csv")
        as_json = await client.get(sandbox, path, **parameters)
    assert as_csv.headers["Content-Type"] == "text/csv"
    assert as_json.headers["Content-Type"] == "application/json"
    header = as_csv.text.splitlines()[0].replace('"', "")
    assert header == columns
    listed = json.loads(as_json.body)
    assert len(listed) == rows
    assert all(set(row) <= set(columns.split(",")) and None not in row.values() for row in listed)


@pytest.mark.parametrize(
    ("path", "parameters", "column", "rows"),
    [
        ("v4/getCollectionValuesAndCounts", {}, "Collection", 4),
        ("v4/getModalityValuesAndCounts", {"Collection": LUNG}, "Modality", 1),
        ("v4/getBodyPartValuesAndCounts", {"Modality": "MR"}, "BodyPart", 2),
        ("v4/getManufacturerValuesAndCounts", {"Modality": "MR"}, "Manufacturer", 3),
    ],
)
async def test_counts_come_as_json_only(client: Client, path: str, parameters: dict[str, str], column: str, rows: int) -> None:
    """They know no `format`; the values come with the number of patients."""
    async with serve_sandbox(BUILTIN) as sandbox:
        listed = await _json(client, sandbox, path, **parameters)
        refused = await client.get(sandbox, path, **parameters, format="csv")
    assert len(listed) == rows
    assert all(set(row) <= {column, "Count", "Authorized"} for row in listed)
    assert (refused.status, "Invalid query parameter: 'format'" in refused.text) == (400, True)


def test_no_query_endpoint_is_left_out() -> None:
    """The table above names every endpoint that answers rows to a GET, but the shared list."""
    declared = {
        f"{generation.name}/{endpoint.name}"
        for generation in (NBIA_V1, NBIA_V4)
        for endpoint in generation.endpoints
        if endpoint.method == "GET" and endpoint.has_format
    }
    assert declared - {path for path, *_ in TABLES} == {"v1/getContentsByName"}


async def _json(client: Client, sandbox: Sandbox, path: str, **parameters: str) -> list[dict[str, str | int]]:
    rows: list[dict[str, str | int]] = json.loads((await client.get(sandbox, path, **parameters)).body)
    return rows


async def test_dates_are_written_as_each_generation_does(client: Client) -> None:
    """v1 writes timestamps, v4 month first; v1's metadata rows are v4-like texts throughout."""
    async with serve_sandbox(BUILTIN) as sandbox:
        (v1,) = await _json(client, sandbox, "v1/getSeries", SeriesInstanceUID=SERIES)
        (v4,) = await _json(client, sandbox, "v4/getSeries", SeriesInstanceUID=SERIES)
        (metadata,) = await _json(client, sandbox, "v1/getSeriesMetaData", SeriesInstanceUID=SERIES)
    assert (v1["TimeStamp"], v1["DateReleased"]) == ("2022-05-06 07:08:09.0", "2022-06-07 00:00:00.0")
    assert (v4["MaxSubmissionTimestamp"], v4["DateReleased"]) == ("05-06-2022", "06-07-2022")
    assert all(isinstance(value, str) for value in metadata.values())
    assert (metadata["Study Date"], metadata["Series Number"]) == ("03-04-2021", "3.000000")
    assert (metadata["File Location"], metadata["Series Description"]) == ("1", "1.5 mthin axial")


async def test_counts_are_those_of_the_images(client: Client) -> None:
    """ImageCount and FileSize are numbers, and those that getSeriesSize tells."""
    async with serve_sandbox(BUILTIN) as sandbox:
        (row,) = await _json(client, sandbox, "v4/getSeries", SeriesInstanceUID=SERIES)
        (size,) = await _json(client, sandbox, "v4/getSeriesSize", SeriesInstanceUID=SERIES)
        assert row["FileSize"] == size["TotalSizeInBytes"] == sandbox.file_size_bytes(SERIES)
        assert row["ImageCount"] == size["ObjectCount"] == 24


async def test_values_come_as_they_are(client: Client) -> None:
    """Trailing blanks, quotes and signs beyond ASCII survive; a slash is escaped; a missing value is an empty object."""
    async with serve_sandbox(BUILTIN) as sandbox:
        parts = await client.get(sandbox, "v1/getBodyPartValues", Collection=LUNG)
        makers = await _json(client, sandbox, "v4/getManufacturerValues")
        series = await client.get(sandbox, "v4/getSeries", Modality="CT")
    assert json.loads(parts.body) == [{}, {"BodyPartExamined": "ABDOMEN_PELVIS "}, {"BodyPartExamined": "CHEST"}]
    assert {} in makers
    assert {"Manufacturer": '"GE Healthcare"'} in makers
    assert {"Manufacturer": "Müller, Söhne & Co"} in makers
    assert "1.5 µm\\/thin, axial" in series.text


@pytest.mark.parametrize(
    ("path", "parameters", "rows"),
    [
        ("v1/getSeries", {"Collection": "sandbox-LUNG"}, 4),
        ("v1/getSeries", {"PatientID": "sl-0001"}, 2),
        ("v1/getSeries", {"Collection": LUNG, "Modality": "ct"}, 0),
        ("v4/getSeries", {"Collection": LUNG, "Modality": "ct"}, 4),
        ("v4/getSeries", {"BodyPartExamined": "abdomen_pelvis"}, 0),
        ("v4/getSeries", {"BodyPartExamined": "abdomen_pelvis "}, 1),
        ("v4/getSeries", {"Collection": ""}, 0),
        ("v1/getSeries", {"PatientId": "SL-0001"}, 16),
    ],
)
async def test_comparison(client: Client, path: str, parameters: dict[str, str], rows: int) -> None:
    """Collection and patient compare without case, the rest as the generation does; v1 ignores what it does not know."""
    async with serve_sandbox(BUILTIN) as sandbox:
        reply = await client.get(sandbox, path, **parameters)
    assert len(json.loads(reply.body or b"[]")) == rows


async def test_nothing_found_is_an_empty_reply(client: Client) -> None:
    """200, Content-Length 0, no body, no Content-Type; whatever the format."""
    async with serve_sandbox(BUILTIN) as sandbox:
        for path in ("v1/getSeries", "v4/getSeries"):
            reply = await client.get(sandbox, path, Collection="none such", format="pdf")
            assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, "0", b"")
            assert "Content-Type" not in reply.headers


async def test_unknown_size_is_a_row_of_nulls_in_v1(client: Client) -> None:
    """An aggregate has always a row; v4 answers none."""
    async with serve_sandbox(BUILTIN) as sandbox:
        assert (await client.get(sandbox, "v1/getSeriesSize", SeriesInstanceUID="1.2")).text == "[{}]"
        assert (await client.get(sandbox, "v4/getSeriesSize", SeriesInstanceUID="1.2")).body == b""
        assert (await client.get(sandbox, "v1/getSeriesMetaData", SeriesInstanceUID="1.2")).status == 204


@pytest.mark.parametrize(
    ("path", "parameters", "sentence"),
    [
        ("v4/getSeries", {"Date": "x"}, "Invalid query parameter: 'Date'. Allowed parameters are: [Collection, PatientID, "),
        ("v4/getImage", {"format": "zip"}, "Invalid query parameter: 'format'. Allowed parameters are: [SeriesInstanceUID, "),
        ("v4/getSeriesSize", {}, "A parameter, SeriesInstanceUID, is required for this API call."),
        ("v1/getImage", {}, "A parameter, SeriesInstanceUID, is required for this API call."),
    ],
)
async def test_wrong_parameters(client: Client, path: str, parameters: dict[str, str], sentence: str) -> None:
    """400 and an English sentence that calls itself JSON."""
    async with serve_sandbox(BUILTIN) as sandbox:
        reply = await client.get(sandbox, path, **parameters)
    assert (reply.status, reply.headers["Content-Type"]) == (400, "application/json")
    assert reply.text.startswith(sentence)


async def test_metadata_of_a_list(client: Client) -> None:
    """v4 takes the list by POST, one field or many, and answers 40 columns as a CSV attachment; unknown series are missing."""
    uids = list(BUILTIN.holdings)[:3]
    async with serve_sandbox(BUILTIN) as sandbox:
        reply = await client.post(sandbox, "v4/getSeriesMetadata", list=",".join([*uids, "1.2.3"]))
        as_json = await client.post(sandbox, "v4/getSeriesMetadata", list=uids[0], format="json")
        unknown = await client.post(sandbox, "v4/getSeriesMetadata", list="1.2.3")
        strange = await client.post(sandbox, "v4/getSeriesMetadata", list=uids[0], uid="x")
        wrong_method = await client.get(sandbox, "v4/getSeriesMetadata", list=uids[0])
    rows = list(csv.DictReader(StringIO(reply.text)))
    assert [row["SeriesInstanceUID"] for row in rows] == uids
    assert len(rows[0]) == 40
    assert reply.headers["Content-Disposition"] == 'attachment; filename="SeriesMetaData.csv"'
    assert json.loads(as_json.body)[0]["ImageCount"] == 24
    assert (unknown.status, unknown.body) == (200, b"")
    assert strange.text.startswith("Invalid form parameter: 'uid'.")
    assert wrong_method.status == 405


async def test_dates_to_ask_with(client: Client) -> None:
    """v1 reads dd/MM/yyyy leniently and wants later days; v4 reads MM-dd-yyyy; what does not parse finds nothing."""
    series = generated_series(seed=1, images=1, rows=8, columns=8)
    patient = SandboxPatient(patient_id="P", studies=(study_of(series, seed=1),))
    catalogue = Catalogue(collections=(SandboxCollection(name="C", patients=(patient,)),))
    async with serve_sandbox(catalogue) as sandbox:
        for path, name, asked, found in [
            ("v1/getUpdatedSeries", "fromDate", "06/06/2022", True),
            ("v1/getUpdatedSeries", "fromDate", "07/06/2022", False),
            ("v1/getUpdatedSeries", "fromDate", "06/30/2019", True),
            ("v1/getUpdatedSeries", "fromDate", "2021-01-01", False),
            ("v4/getUpdatedSeries", "fromDate", "06-06-2022", True),
            ("v4/getUpdatedSeries", "fromDate", "06/06/2022", False),
            ("v1/NewPatientsInCollection", "Date", "2022/05/05", True),
            ("v1/NewPatientsInCollection", "Date", "2022/05/06", False),
            ("v4/NewPatientsInCollection", "fromDate", "05-06-2022", True),
            ("v4/NewPatientsInCollection", "fromDate", "05-07-2022", False),
        ]:
            collection = {"Collection": "C"} if "Patients" in path else {}
            reply = await client.get(sandbox, path, **collection, **{name: asked})
            assert bool(reply.body) is found, (path, asked)


async def test_a_listed_series_is_known_to_the_metadata_only(client: Client) -> None:
    """Visibility 12: metadata and image list have it, getSeries and getImage do not."""
    listed = next(uid for uid, held in BUILTIN.holdings.items() if held.series.visibility == 12)
    async with serve_sandbox(BUILTIN) as sandbox:
        assert (await client.get(sandbox, "v1/getSeriesMetaData", SeriesInstanceUID=listed)).status == 200
        assert (await client.post(sandbox, "v4/getSeriesMetadata", list=listed)).body
        assert len(json.loads((await client.get(sandbox, "v4/getSOPInstanceUIDs", SeriesInstanceUID=listed)).body)) == 3
        assert not (await client.get(sandbox, "v4/getSeries", SeriesInstanceUID=listed)).body
        assert (await client.get(sandbox, "v4/getImage", SeriesInstanceUID=listed)).status == 400


async def test_a_shared_cart_is_v1_only(client: Client) -> None:
    """Carts have a blank in their last column, and no v4."""
    async with serve_sandbox(BUILTIN) as sandbox:
        rows = await _json(client, sandbox, "v1/getContentsByName", name="nbia-1000")
        assert [row["SeriesInstanceUID"] for row in rows] == list(BUILTIN.holdings)[:3]
        assert rows[0]["Date Released"] == "2022-06-07 00:00:00.0"
        assert (await client.get(sandbox, "v4/getContentsByName", name="nbia-1000")).status == 404


async def test_formats(client: Client) -> None:
    """CSV quotes every field, html has no line breaks, xml leaves nulls out and encodes text as HTML; anything else is a 500."""
    async with serve_sandbox(BUILTIN) as sandbox:
        table = {"SeriesInstanceUID": SERIES}
        as_html = await client.get(sandbox, "v4/getSeries", **table, format="HTML")
        as_xml = await client.get(sandbox, "v4/getSeriesSize", **table, format="xml")
        parts = await client.get(sandbox, "v1/getManufacturerValues", Collection="Sandbox Brain", format="xml")
        single = await client.get(sandbox, "v1/getBodyPartValues", Collection=LUNG, format="csv")
        download = await client.get(sandbox, "v1/getBodyPartValues", Collection=LUNG, format="csv-download")
        sizes = await client.get(sandbox, "v1/getSeriesSize", SeriesInstanceUID="1.2", format="csvquoted")
        odd = await client.get(sandbox, "v4/getSeries", **table, format="pdf")
    assert as_html.headers["Content-Type"] == "text/html"
    assert as_html.text.startswith("<P ALIGN='center'><TABLE BORDER=1><TR><TH>SeriesInstanceUID</TH>")
    assert "<TD>&nbsp;</TD>" in as_html.text
    assert "\n" not in as_html.text
    assert as_xml.text.endswith("<ObjectCount type='java.lang.Long'>24</ObjectCount></Row></Results>")
    assert "M&uuml;ller, S&ouml;hne &amp; Co" in parts.text
    assert single.text == "BodyPartExamined\n\n\nABDOMEN_PELVIS \nCHEST\n"
    assert download.headers["Content-Type"] == "application/force-download"
    assert sizes.text == '"TotalSizeInBytes","ObjectCount"\n","",""\n'
    assert (odd.status, odd.text) == (500, "Server was not able to process your request")


async def test_hashes(client: Client) -> None:
    """An image's hash by itself, and hashes over series, study, patient and collection; nothing for what is unknown."""
    async with serve_sandbox(BUILTIN) as sandbox:
        image = sandbox.images_of(SERIES)[0]
        v1 = await client.get(sandbox, "v1/getM5HashForImage", SOPInstanceUid=image.sop_instance_uid)
        v4 = await client.get(sandbox, "v4/getMD5HashForImage", SOPInstanceUID=image.sop_instance_uid)
        assert v1.text == v4.text == sandbox.md5(image)
        assert v4.headers["Content-Type"] == "text/plain"
        assert (await client.get(sandbox, "v4/getMD5HashForImage", SOPInstanceUID="1.2")).body == b""
        levels = [
            {"SeriesInstanceUID": SERIES},
            {"StudyInstanceUID": STUDY},
            {"PatientID": "SL-0001", "Collection": LUNG},
            {"Collection": LUNG},
        ]
        digests = [(await client.post(sandbox, "v4/getMD5Hierarchy", **level)).text for level in levels]
        assert len(set(digests)) == 4
        assert all(len(digest) == 32 for digest in digests)
        assert (await client.post(sandbox, "v4/getMD5Hierarchy", SeriesInstanceUID="1.2")).body == b""
