"""metadata.csv, as scripts for the NBIA Data Retriever read it."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage

from downloader.library.local.library import LocalLibrary
from downloader.library.model import MetadataRow
from downloader.library.spreadsheet_cells import cell_of, text_of
from downloader.model import Series
from tests.library.series_streams import SERIES

pytestmark = pytest.mark.anyio

HEADER = (
    "Series UID,Collection,3rd Party Analysis,Data Description URI,Subject ID,Study UID,Study Description,Study Date,"
    "Series Description,Manufacturer,Modality,SOP Class Name,SOP Class UID,Number of Images,File Size,File Location,"
    "Download Timestamp"
)
FOLDER = PurePosixPath("LIDC-IDRI/LIDC-IDRI-0001/1/2")


def metadata_row(
    size_bytes: int, series_instance_uid: str = SERIES.series_instance_uid, description: str = "chest"
) -> MetadataRow:
    series = replace(SERIES, series_instance_uid=series_instance_uid, series_description=description)
    return MetadataRow(
        series=series,
        folder=FOLDER,
        stored_bytes=size_bytes,
        completed_at=datetime(2026, 11, 23, 12, 30, 15, 250_000, tzinfo=UTC),
        sop_class_uid=CTImageStorage,
    )


async def write(root: Path, *pages: Iterable[MetadataRow]) -> None:
    table = await LocalLibrary(root).index.begin_metadata()
    for page in pages:
        await table.add(page)
    await table.commit()


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+C", "'+C"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("'=1", "''=1"),
        ("-5 mm", "-5 mm"),
        ("-1.5", "-1.5"),
        ("+30°", "+30°"),
        ("chest", "chest"),
        ("'chest", "'chest"),
    ],
)
async def test_no_cell_is_a_formula(text: str, cell: str, tmp_path: Path) -> None:
    """A spreadsheet shows the text; programs take the apostrophe away again."""
    await write(tmp_path, [metadata_row(1, description=text)])
    assert rows(tmp_path)[0]["Series Description"] == cell
    assert text_of(cell) == text


@given(st.one_of(st.text(), st.from_regex("'*[=+@\\t\\r-].*", fullmatch=True)))
def test_every_text_comes_back(text: str) -> None:
    """Whatever it begins with, and no cell begins with a sign that a spreadsheet computes, but for figures."""
    cell = cell_of(text)
    assert text_of(cell) == text
    assert cell[:1] not in {"=", "@", "\t", "\r"}


async def test_the_table_has_the_17_columns(tmp_path: Path) -> None:
    """Every value quoted, lines ended by CRLF."""
    await write(tmp_path, [metadata_row(12_345_678)])
    header, row, end = (tmp_path / "metadata.csv").read_bytes().split(b"\r\n")
    assert header.decode() == '"' + HEADER.replace(",", '","') + '"'
    assert row.decode().startswith(f'"{SERIES.series_instance_uid}","LIDC-IDRI",')
    assert end == b""
    assert rows(tmp_path) == [
        {
            **dict.fromkeys(HEADER.split(","), ""),
            "Series UID": SERIES.series_instance_uid,
            "Collection": "LIDC-IDRI",
            "Subject ID": "LIDC-IDRI-0001",
            "Study UID": SERIES.study_instance_uid,
            "Study Date": "01-31-2000",
            "Series Description": "chest",
            "Modality": "CT",
            "SOP Class Name": "CT Image Storage",
            "SOP Class UID": "1.2.840.10008.5.1.4.1.1.2",
            "Number of Images": "3",
            "File Size": "12.35 MB",
            "File Location": "./LIDC-IDRI/LIDC-IDRI-0001/1/2",
            "Download Timestamp": "2026-11-23T12:30:15+00:00",
        }
    ]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (999_995, "1.00 MB"), (9_120_000_000, "9.12 GB"), (10**18, "1.00 EB")],
)
async def test_sizes_are_for_people(tmp_path: Path, size_bytes: int, text: str) -> None:
    """In units of 1000."""
    await write(tmp_path, [metadata_row(size_bytes)])
    assert rows(tmp_path)[0]["File Size"] == text


@pytest.mark.parametrize("description", ["a, b", 'say "a"', "two\r\nlines", "nul\0", "µ²", ""])
async def test_any_text_survives(tmp_path: Path, description: str) -> None:
    """What is in the catalogue is read back from the table."""
    await write(tmp_path, [metadata_row(1, "1.1", description)])
    assert [row["Series Description"] for row in rows(tmp_path)] == [description]


async def test_unknown_figures_are_blank(tmp_path: Path) -> None:
    """Not `None`."""
    bare = Series(series_instance_uid="1.1")
    await write(tmp_path, [MetadataRow(series=bare, folder=PurePosixPath("1.1"), stored_bytes=1, completed_at=None)])
    (row,) = rows(tmp_path)
    assert (row["Number of Images"], row["Study Date"], row["Download Timestamp"]) == ("", "", "")
    assert (row["SOP Class Name"], row["SOP Class UID"]) == ("", "")


async def test_the_table_is_written_in_pages(tmp_path: Path) -> None:
    """A million series do not fit in memory; an empty page adds nothing."""
    await write(tmp_path, [metadata_row(1, "1.1"), metadata_row(1, "1.2")], [], [metadata_row(1, "1.3")])
    assert [row["Series UID"] for row in rows(tmp_path)] == ["1.1", "1.2", "1.3"]


async def test_the_old_table_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """A reader meanwhile sees the old one; what a dead run left is cleared with the staging."""
    await write(tmp_path, [metadata_row(1, "1.1")])
    library = LocalLibrary(tmp_path)
    await (await library.index.begin_metadata()).add([metadata_row(1, "1.2")])
    assert [row["Series UID"] for row in rows(tmp_path)] == ["1.1"]
    assert await library.leftovers.clear_staging() == 0
    assert list((tmp_path / ".tciad" / "staging").iterdir()) == []


async def test_two_runs_write_two_tables(tmp_path: Path) -> None:
    """Each whole; the one that ends last stays."""
    library = LocalLibrary(tmp_path)
    one, other = await library.index.begin_metadata(), await library.index.begin_metadata()
    await one.add([metadata_row(1, "1.1")])
    await other.add([metadata_row(1, "1.2")])
    await one.commit()
    await other.commit()
    assert [row["Series UID"] for row in rows(tmp_path)] == ["1.2"]
