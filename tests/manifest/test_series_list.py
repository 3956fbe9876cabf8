"""Series lists are read however they were saved, and refused when they are something else."""

# ruff: noqa: E501 - a table reads best with one case on a line

from pathlib import Path

import pytest

from downloader.errors import ManifestError
from downloader.manifest import SeriesList, load_series_list
from tests.manifest.conftest import Write

HEADER = """\
downloadServerUrl=https://public.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet
includeAnnotation=true
noOfrRetry=4
databasketId=manifest-1561766528292.tcia
manifestVersion=3.0
"""
CART = f"{HEADER}ListOfSeriesToDownload=\n1.2.3\n1.2.4\n"
LISTED = ("1.2.3", "1.2.4")


def refusal(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        load_series_list(path)
    return str(caught.value)


def test_a_cart_gives_its_series_and_where_it_comes_from(write: Write) -> None:
    """The plain case, as the archive's portal writes it."""
    path = write("cart.tcia", CART)
    assert load_series_list(path) == SeriesList(
        path=path,
        series_instance_uids=LISTED,
        archive_hint="https://public.cancerimagingarchive.net/nbia-download/servlet/DownloadServlet",
        duplicates=0,
        wants_annotations=True,
    )


@pytest.mark.parametrize(
    "text",
    [
        CART.replace("\n", "\r\n"),
        CART.replace("\n", "\r"),
        "\ufeff" + CART,
        CART.rstrip("\n"),
        CART.replace("1.2.3\n", "\n  1.2.3 ,\n\n\t"),
        CART.replace("1.2.3\n", "1.2.3,1.2.4\n"),
        CART.replace("1.2.3\n", "\"1.2.3\",\n'1.2.4';\n"),
        CART.replace("1.2.3\n", "# the first\n1.2.3 # and only\n! as properties say\n"),
        "listofseriestodownload=\n1.2.3\n1.2.4",
        "ListOfSeriesToDownload = 1.2.3,\n1.2.4",
        "manifestVersion=3.0\nListOfSeriesToDownload=\n1.2.3\n1.2.4\nnoOfrRetry=10\n" + HEADER,
        CART.replace("manifestVersion=3.0", "manifestVersion=3.1\ndataType=DICOM\nsomethingNew=1"),
        "1.2.3\n1.2.4\n" + HEADER + "ListOfSeriesToDownload=\n",
        CART.replace("=https:", "=https\\:").replace("=", " = "),
        CART.replace("=", ": ").replace("List", "  List"),
        CART.replace("=", " "),
        CART.replace("https://", "https\\://\\\n   "),
        CART.replace("ToDownload=\n1.2.3\n1.2.4", "ToDownload=1.2.3,\\\n  1.2.4"),
    ],
)
def test_carts_from_all_kinds_of_tools_are_read(write: Write, text: str) -> None:
    """Only what a line says counts, never how many lines there are."""
    assert load_series_list(write("cart.tcia", text)).series_instance_uids == LISTED


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("downloadServerUrl=https\\://host.example\\:8443/nbia", "https://host.example:8443/nbia"),
        ("downloadServerUrl: https://host.example/nbia", "https://host.example/nbia"),
        ("  downloadserverurl = https://host.example/nbia ,", "https://host.example/nbia"),
        ("downloadServerUrl\thttps://host.example/n\\u0062ia", "https://host.example/nbia"),
        ("downloadServerUrl=https://host.example/\\\n    nbia", "https://host.example/nbia"),
    ],
)
def test_a_header_is_read_as_java_writes_properties(write: Write, line: str, address: str) -> None:
    """Escapes, either separator, lines that go on in the next."""
    found = load_series_list(write("cart.tcia", f"{line}\nmanifestVersion=3.0\nListOfSeriesToDownload=\n1.2.3\n"))
    assert (found.archive_hint, found.series_instance_uids) == (address, ("1.2.3",))


@pytest.mark.parametrize(
    ("header", "wants_annotations", "needs_login"),
    [
        ("includeAnnotation=true\ndatabasketId=manifest-1561766528292.tcia\n", True, False),
        ("includeAnnotation=false\ndatabasketId=manifest-1561766528292-x.tcia\n", False, True),
        ("databasketId: manifest-1561766528292-x\n", False, True),
        ("databasketId=manifest-x-1.tcia\n", False, False),
    ],
)
def test_a_cart_says_what_it_expects(write: Write, header: str, wants_annotations: bool, needs_login: bool) -> None:
    """Annotations beside the images, or an account first (docs/archives.md#tcia-manifests)."""
    found = load_series_list(write("cart.tcia", f"{header}ListOfSeriesToDownload=\n1.2.3\n"))
    assert (found.wants_annotations, found.needs_login) == (wants_annotations, needs_login)


def test_a_series_that_is_named_twice_is_wanted_once(write: Write) -> None:
    """In the order of its first mention."""
    found = load_series_list(write("cart.tcia", CART + "1.2.3\n1.2.3\n1.2.1"))
    assert found.series_instance_uids == ("1.2.3", "1.2.4", "1.2.1")
    assert found.duplicates == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "SeriesInstanceUID\n1.2.3\n1.2.4\n"),
        ("l.csv", "\ufeffPatient,Series Instance UID\r\nA,1.2.3\r\nB,1.2.4\r\n"),
        ("l.csv", '"Series UID","Collection"\n"1.2.3","A, B"\n"1.2.4","C\nD"\n'),
        ("l.csv", "Collection;series_instance_uid\nA;1.2.3\nA; 1.2.4\n"),
        ("l.csv", "a\tSERIESINSTANCEUID\nx\t1.2.3\ny\t1.2.4\n"),
        ("l.tsv", "a\tSeriesInstanceUID\nx\t1.2.3\n\n \t \ny\t1.2.4\n"),
        ("l.TSV", "SeriesInstanceUID,drs_uri\n1.2.3,drs://x\n1.2.4,drs://y\n"),
        ("l.csv", "\nSeriesInstanceUID,a\n1.2.3\n1.2.4,\n"),
        ("l.txt", "# mine\n1.2.3\n\n1.2.4 # good\n"),
        ("l.txt", "1.2.3, 1.2.4"),
        ("l.txt", CART),
        ("l.csv", "# exported 2026-11-26\n#\n\nSeriesInstanceUID,Collection\n1.2.3,A\n1.2.4,B\n"),
        ("l.csv", "\ufeffsep=;\r\nCollection;Series UID\r\nA, B;1.2.3\r\nC;1.2.4\r\n"),
        ("l.csv", '"sep=;"\n# ours\nSeriesInstanceUID;a,b,c\n1.2.3;x\n1.2.4;y\n'),
        ("l.csv", "SeriesInstanceUID\n1.2.3;\n1.2.4;\n"),
        ("l.csv", "SeriesInstanceUID;\n1.2.3;\n1.2.4;\n"),
        ("l.csv", "SeriesInstanceUID,\n1.2.3,\n1.2.4,\n"),
        ("l.csv", "Series UID\n1.2.3,1.2.4\n"),
        ("l.csv", '"1.2.3"\n"1.2.4"\n'),
        ("l.csv", "a,SeriesInstanceUID\nx,1.2.3\n# the second,\n#1,1.2.4 # good\n"),
        ("l.txt", "SeriesInstanceUID\n1.2.3\n1.2.4\n"),
        ("l.txt", "# mine\n\nSeries UID\r\n1.2.3 # the first\r\n1.2.4,\r\n"),
        ("l.txt", '"Series Instance UID"\n"1.2.3"\n"1.2.4"\n'),
        ("l.txt", "Collection\tSeriesInstanceUID\nA\t1.2.3\nB\t1.2.4\n"),
    ],
)
def test_tables_and_plain_lists_are_read(write: Write, name: str, text: str) -> None:
    """The column is found by its name, the delimiter by the first line."""
    assert load_series_list(write(name, text)).series_instance_uids == LISTED


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.tcia", CART + "abc\n", "c.tcia:9: 'abc' is not a UID, which is numbers joined by dots"),
        ("c.tcia", CART + "1" * 63 + ".1", f"c.tcia:9: '{'1' * 63}.1' is not a UID: it is longer than 64 characters"),
        ("c.tcia", HEADER + "ListOfSeriesToDownload=\n", "c.tcia:1: the list contains no series"),
        ("c.tcia", "", "c.tcia:1: not a cart: the line ListOfSeriesToDownload= is missing; use the extension .txt for a plain list of UIDs"),
        ("c.tcia", "1.2.3\n", "c.tcia:1: not a cart: the line ListOfSeriesToDownload= is missing; use the extension .txt for a plain list of UIDs"),
        (
            "c.tcia",
            CART.replace("=3.0", "=4.0"),
            "c.tcia:5: manifestVersion: version 4.0 is newer than this tciad; it reads version 3",
        ),
        ("c.tcia", CART.replace("=3.0", "=new"), "c.tcia:5: manifestVersion: 'new' is not a version such as 3.0"),
        (
            "c.tcia",
            "databasketId=a.jnlp\ntempLoc=/tmp\n",
            "c.tcia:1: an old cart whose series were stored on a server of the archive that no longer exists; save the cart again",
        ),
        (
            "c.tcia",
            "databasketId=a\nmanifestVersion=2.0\n",
            "c.tcia:2: an old cart whose series were stored on a server of the archive that no longer exists; save the cart again",
        ),
        (
            "c.tcia",
            CART.replace("noOfrRetry=4", "dataType=other"),
            "c.tcia:3: dataType: the cart contains 'other'; tciad mirrors DICOM images",
        ),
        ("c.tcia", "<?xml version='1.0'?><jnlp>", "c.tcia: is XML or HTML: an old Java Web Start file, or an error page saved as a cart"),
        ("c.txt", "cp s3://idc-open-data/x/* .\n", "c.txt:1: lists objects of another kind of archive; a cart (.tcia) or UIDs of series are required"),
        ("c.s5cmd", "1.2.3", "c.s5cmd: lists objects of the Imaging Data Commons for s5cmd, which no NBIA archive serves; export the cart as .tcia"),
        ("c.xlsx", "PK", "c.xlsx: is a workbook; save it as .csv with a column SeriesInstanceUID"),
        ("c.csv", "drs_uri,name\ndrs://x,y\n", "c.csv: lists files by DRS address, which no NBIA archive serves; a column SeriesInstanceUID is required"),
        ("c.tsv", "File ID\tname\nx\ty\n", "c.tsv: lists files by DRS address, which no NBIA archive serves; a column SeriesInstanceUID is required"),
        ("c.csv", "a,b\n1,2\n", "c.csv:1: no column SeriesInstanceUID among 'a', 'b'; use the extension .txt for a plain list of UIDs"),
        ("c.csv", "a,SeriesInstanceUID\n1,1.2.3\n\n2,\n", "c.csv:4: '' is not a UID, which is numbers joined by dots"),
        ("c.csv", "\n# x\nSeriesInstanceUID,a\n" + "x" * 200_000, "c.csv:4: not a table: field larger than field limit (131072)"),
        ("c.csv", "", "c.csv:1: the list contains no series"),
        ("c.csv", "# a\n\nx\n1.2.3\n", "c.csv:3: no column SeriesInstanceUID among 'x'; use the extension .txt for a plain list of UIDs"),
        ("c.csv", "sep=;\na;Series UID\n1;1.2.3;3\nb\n", "c.csv:4: '' is not a UID, which is numbers joined by dots"),
        ("c.csv", "# a\nSeriesInstanceUID\n1.2.3\nabc;\n", "c.csv:4: 'abc' is not a UID, which is numbers joined by dots"),
        ("c.txt", "SeriesInstanceUID\n1.2.3\nSeriesInstanceUID\n", "c.txt:3: 'SeriesInstanceUID' is not a UID, which is numbers joined by dots"),
        ("c.txt", "# nothing\n", "c.txt:1: the list contains no series"),
        ("c.doc", "1.2.3", "c.doc: is not a series list; the known extensions are .tcia, .csv, .tsv, .txt"),
    ],
)  # fmt: skip
def test_what_is_no_series_list_says_why(write: Write, name: str, text: str, message: str) -> None:
    """With the line, where there is one."""
    assert refusal(write(name, text)) == message


def test_every_wrong_line_is_told_until_there_are_too_many(write: Write) -> None:
    """Twenty are enough to see the pattern."""
    lines = refusal(write("c.txt", "1.2.3\nx\n" * 30)).splitlines()
    assert lines[0] == "c.txt:2: 'x' is not a UID, which is numbers joined by dots"
    assert lines[-1] == "c.txt:40: and 10 more such lines"
    assert len(lines) == 21


def test_a_hundred_thousand_series_are_no_trouble(write: Write) -> None:
    """Carts of whole collections are that long."""
    text = CART + "".join(f"1.3.6.1.4.1.14519.5.2.1.7009.2403.{number}\n" for number in range(1, 100_001))
    assert len(load_series_list(write("c.tcia", text)).series_instance_uids) == 100_002
