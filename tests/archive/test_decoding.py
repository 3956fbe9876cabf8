"""What becomes of the archive's rows, whatever the chunks they arrive in."""

import json
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloader.archive.nbia.decoding import (
    SeriesReader,
    read_collection,
    read_series_size,
    read_sop_instance_uid,
)
from downloader.archive.nbia.json_rows import Row, RowReader
from downloader.archive.port import SeriesSize, UnreadableRow
from downloader.errors import ArchiveFaultError, Verdict
from downloader.model import LARGEST_FIGURE, Series

SERIES_UID = "1.3.6.1.4.1.14519.5.2.1.1"


def read_chunks(chunks: Sequence[bytes]) -> list[Series]:
    """The series of one reply."""
    reader = SeriesReader("getSeries")
    found = [series for chunk in chunks for series in reader.feed(chunk)]
    reader.finish()
    return found


def read_series(**attributes: object) -> Series:
    """The series of a reply with one row."""
    (series,) = read_chunks([json.dumps([{"SeriesInstanceUID": SERIES_UID, **attributes}]).encode()])
    return series


def test_a_row_of_v1() -> None:
    """Columns and dates as v1 writes them (docs/archives.md#series-queries, #dates)."""
    series = read_series(
        StudyInstanceUID="1.2.3",
        Modality="CT",
        SeriesDate="2006-09-07 00:00:00.0",
        SeriesNumber=8,
        AnnotationsFlag=False,
        Collection="LIDC-IDRI",
        PatientID="LIDC-IDRI-0001",
        ImageCount=213,
        TimeStamp="2011-06-27 13:14:15.0",
        CollectionURI="https://doi.org/10.7937/x",
        FileSize=112104924,
        DateReleased="2012-02-12 00:00:00.0",
        StudyDesc="CT thorax",
        Unheard="of",
    )
    assert series == Series(
        series_instance_uid=SERIES_UID,
        study_instance_uid="1.2.3",
        modality="CT",
        series_date=date(2006, 9, 7),
        series_number="8",
        annotations_flag="false",
        collection="LIDC-IDRI",
        patient_id="LIDC-IDRI-0001",
        image_count=213,
        submitted_at=datetime(2011, 6, 27, 13, 14, 15, tzinfo=UTC),
        data_description_uri="https://doi.org/10.7937/x",
        file_size_bytes=112104924,
        date_released=date(2012, 2, 12),
        study_description="CT thorax",
    )


def test_a_row_of_v4() -> None:
    """The columns that v4 renamed, and its dates."""
    series = read_series(
        SeriesDate="09-07-2006",
        MaxSubmissionTimestamp="06-27-2011",
        DataDescriptionURI="https://doi.org/10.7937/x",
        ReleasedStatus="Yes",
        DateReleased="02-12-2012",
        StudyID="7",
    )
    assert series.series_date == date(2006, 9, 7)
    assert series.submitted_at == datetime(2011, 6, 27, tzinfo=UTC)
    assert series.data_description_uri == "https://doi.org/10.7937/x"
    assert (series.released_status, series.study_id) == ("Yes", "7")
    assert series.date_released == date(2012, 2, 12)


@pytest.mark.parametrize("count", [12, "12", 12.0, "12.000000", " 12 ", "12."])
def test_numbers_come_in_many_forms(count: object) -> None:
    """docs/faults.md, trap 24."""
    series = read_series(ImageCount=count, FileSize=count, SeriesNumber=count)
    assert (series.image_count, series.file_size_bytes, series.series_number) == (12, 12, "12")


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_a_count_may_be_missing(nothing: object) -> None:
    """Nothing, null and blanks all mean that the archive does not know."""
    assert read_series(ImageCount=nothing).image_count is None
    assert read_series().image_count is None


@pytest.mark.parametrize("number", ["A-1", "1.5", "", "1e3"])
def test_a_series_number_that_is_none_stays_text(number: str) -> None:
    """It is shown, never computed with."""
    assert read_series(SeriesNumber=number).series_number == number


@pytest.mark.parametrize(
    ("text", "day"),
    [("2006-09-07", date(2006, 9, 7)), ("2006-09-07T01:02:03Z", date(2006, 9, 7)), ("", None), (None, None)],
)
def test_dates_come_in_many_forms(text: str | None, day: date | None) -> None:
    """docs/archives.md#dates."""
    assert read_series(StudyDate=text).study_date == day


def test_a_date_that_is_none_loses_no_series_and_is_counted() -> None:
    """Zero dates and free text occur; the client writes one line about them."""
    reader = SeriesReader("getSeries")
    rows = [{"SeriesInstanceUID": SERIES_UID, "StudyDate": text} for text in ("0000-00-00", "13-32-2000", "soon", 20060907)]
    found = reader.feed(json.dumps(rows).encode())
    reader.finish()
    assert [series.study_date for series in found] == [None] * 4
    assert (reader.unreadable_dates.count, reader.unreadable_dates.first) == (4, 'StudyDate "0000-00-00"')


@given(st.text())
def test_text_is_never_changed(text: str) -> None:
    """Blanks at its ends, quotes, control characters: filters compare with exactly this (docs/archives.md#json-replies)."""
    (series,) = read_chunks([json.dumps([{"SeriesInstanceUID": SERIES_UID, "SeriesDescription": text}]).encode()])
    assert series.series_description == text


ODD_REPLY = json.dumps(
    [{}, {"SeriesInstanceUID": "1.2", "SeriesDescription": 'µ/[{\\"]'}, {}, {"SeriesInstanceUID": "1.3", "ImageCount": "7.0"}]
).encode()


@given(st.lists(st.integers(min_value=0, max_value=len(ODD_REPLY))))
def test_chunks_may_fall_anywhere(cuts: list[int]) -> None:
    """Any split of a reply gives the same series, and `{}` is no series (docs/archives.md#json-replies)."""
    edges = [0, *sorted(cuts), len(ODD_REPLY)]
    chunks = [ODD_REPLY[start:end] for start, end in pairwise(edges)]
    assert [(series.series_instance_uid, series.image_count) for series in read_chunks(chunks)] == [("1.2", None), ("1.3", 7)]


@pytest.mark.parametrize("end", range(1, len(ODD_REPLY)))
def test_a_reply_cut_anywhere_is_a_fault(end: int) -> None:
    """No cut reply passes for a whole one."""
    with pytest.raises(ArchiveFaultError, match="is truncated after row"):
        read_chunks([ODD_REPLY[:end]])


@pytest.mark.parametrize("body", [b"", b" \r\n ", b"[]", b"[{}]", b"\n[ ]\n", b"\xef\xbb\xbf[]"])
def test_no_rows(body: bytes) -> None:
    """All the ways to say nothing (docs/archives.md#empty-replies, #second-json-path)."""
    assert read_chunks([body]) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Unable to map to JSON", 'expected a list of rows, received a text: "Unable to map to JSON"'),
        (b"<html><head><title>502</title><style>b{}</style></head><body>Bad <b>Gateway</b></body>", '"502 Bad Gateway"'),
        (b'{"errorMessage":"java.lang.X"}', "expected a list of rows, received an object"),
        (b"\xff\xfe", "expected a list of rows, received a text"),
        (b'[{"a":1},]', "not valid JSON after row"),
        (b'[{"SeriesInstanceUID":"1.2"}] trailing', "not valid JSON after row 1"),
        (b"[1]", "row 1 is not an object"),
        (b'[{}, ["x"]]', "row 2 is not an object"),
    ],
)
def test_what_is_no_list_of_rows_is_a_fault(body: bytes, message: str) -> None:
    """HTTP 200 with a page, a text, an object, broken JSON (docs/faults.md, traps 6 and 35): asked again."""
    with pytest.raises(ArchiveFaultError, match=r".*") as caught:
        read_chunks([body])
    assert message in str(caught.value)
    assert caught.value.verdict is Verdict.RETRY


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("99999999999999999999999999", "too large"),
        ("1e999", "too large"),
        ("NaN", "is not a number"),
        ("-Infinity", "is not a number"),
        ('"a\\udc80b"', "half a surrogate pair"),
        ("[" * 300_000 + "]" * 300_000, "is nested too deeply"),
        ('{"a":' * 300_000 + "1" + "}" * 300_000, "is nested too deeply"),
    ],
    ids=["too large", "endless", "not a number", "infinite", "half a pair", "deep lists", "deep objects"],
)
def test_values_that_no_row_can_hold_are_told(value: str, message: str) -> None:
    """No memory is spent on them, the rows before them are not lost, and the user learns whom to tell."""
    reader = SeriesReader("getSeries")
    assert [series.series_instance_uid for series in reader.feed(b'[{"SeriesInstanceUID":"1.1"},')] == ["1.1"]
    with pytest.raises(ArchiveFaultError, match=f"after row 1.*{message}|{message}.* after row 1") as caught:
        reader.feed(f'{{"SeriesInstanceUID":"1.2","Modality":{value}}}]'.encode())
    assert "tell the archive's help desk" in str(caught.value)


@given(st.integers(min_value=-(2**80), max_value=2**80), st.booleans())
def test_figures_are_what_a_store_can_add_up_or_told(figure: int, as_text: bool) -> None:
    """Whatever their size, as a number and as text."""
    value = json.dumps(str(figure) if as_text else figure)
    body = f'[{{"SeriesInstanceUID":"1.1","FileSize":{value}}}]'.encode()
    if 0 <= figure <= LARGEST_FIGURE:
        assert [series.file_size_bytes for series in read_chunks([body])] == [figure]
        return
    with pytest.raises(ArchiveFaultError, match=r"cannot read row 1 \(FileSize is|too large"):
        read_chunks([body])


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    """As most readers of JSON have it; what comes of it is judged like any other row."""
    (series,) = read_chunks([b'[{"SeriesInstanceUID":"1.1","Modality":"CT","SeriesInstanceUID":"1.2","Modality":"MR"}]'])
    assert (series.series_instance_uid, series.modality) == ("1.2", "MR")
    with pytest.raises(ArchiveFaultError, match="SeriesInstanceUID is"):
        read_chunks([b'[{"SeriesInstanceUID":"1.1","SeriesInstanceUID":"../x"}]'])


def test_a_row_without_end_does_not_fill_the_memory() -> None:
    """Four megabytes are more than any row has."""
    reader = SeriesReader("getSeries")
    reader.feed(b'[{"SeriesInstanceUID":"1.1"},{"SeriesDescription":"')
    for _ in range(41):
        assert reader.feed(b"x" * 100_000) == []
    with pytest.raises(ArchiveFaultError, match="without another row after row 1"):
        reader.feed(b"x" * 100_000)


def test_a_long_page_is_refused_before_its_end() -> None:
    """The rest is not read, and the message stays short."""
    reader = SeriesReader("getSeries")
    with pytest.raises(ArchiveFaultError) as caught:
        reader.feed(b"x" * 100_000)
    assert len(str(caught.value)) < 400


def test_what_the_archive_says_cannot_drive_a_terminal() -> None:
    """Control characters are shown as escapes."""
    with pytest.raises(ArchiveFaultError) as caught:
        read_chunks([b"\x1b[2Joops\x07"])
    assert "\x1b" not in str(caught.value)
    assert r"\x1b[2Joops\x07" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"Modality": "CT"}, "row 2 (no SeriesInstanceUID)"),
        ({"SeriesInstanceUID": "../../etc"}, 'row 2 (SeriesInstanceUID is "../../etc")'),
        ({"SeriesInstanceUID": "1.2", "ImageCount": "many"}, 'row 2 (ImageCount is "many")'),
        ({"SeriesInstanceUID": "1.2", "ImageCount": -1}, 'row 2 (ImageCount is "-1")'),
        ({"SeriesInstanceUID": "1.2", "FileSize": True}, 'row 2 (FileSize is "True")'),
        ({"SeriesInstanceUID": "1.2", "Modality": ["CT"]}, "row 2 (Modality is"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_hides_no_other(row: dict[str, object], message: str) -> None:
    """The others come first, then the error that names it."""
    reader = SeriesReader("getSeries")
    body = json.dumps([{"SeriesInstanceUID": "1.1"}, row, {"SeriesInstanceUID": "1.3"}]).encode()
    assert [series.series_instance_uid for series in reader.feed(body)] == ["1.1", "1.3"]
    with pytest.raises(ArchiveFaultError) as caught:
        reader.finish()
    assert message in str(caught.value)


def test_many_broken_rows_make_a_short_message() -> None:
    """Five are named, the rest are counted."""
    reader = SeriesReader("getSeries")
    reader.feed(json.dumps([{"Modality": "CT"}] * 1_000).encode())
    with pytest.raises(ArchiveFaultError, match="and 995 more"):
        reader.finish()


def noted_rows(*rows: dict[str, object]) -> list[UnreadableRow]:
    """The rows that the reader notes as unreadable."""
    noted: list[UnreadableRow] = []
    reader = SeriesReader("getSeries", noted.append)
    reader.feed(json.dumps(rows).encode())
    reader.finish()
    return noted


@pytest.mark.parametrize(
    ("row", "why", "meant"),
    [
        ({"SeriesInstanceUID": "1.2.3 "}, 'SeriesInstanceUID is "1.2.3 "', "1.2.3"),
        ({"SeriesInstanceUID": "1.2.3."}, 'SeriesInstanceUID is "1.2.3."', "1.2.3"),
        ({"SeriesInstanceUID": "1.2.3\t"}, 'SeriesInstanceUID is "1.2.3\\t"', "1.2.3"),
        ({"SeriesInstanceUID": "../1"}, 'SeriesInstanceUID is "../1"', ""),
        ({"SeriesInstanceUID": ["1.2.3"]}, "SeriesInstanceUID is", ""),
        ({"SeriesInstanceUID": "1.2.3", "ImageCount": -1}, 'ImageCount is "-1"', "1.2.3"),
        ({"SeriesInstanceUID": "1.2.3", "SeriesDescription": ["a", "b"]}, "SeriesDescription is", "1.2.3"),
        ({"Modality": "CT"}, "no SeriesInstanceUID", ""),
    ],
)
def test_an_unreadable_row_is_noted_with_what_is_wrong_and_the_series_that_it_may_mean(
    row: dict[str, object], why: str, meant: str
) -> None:
    """Quoted with its blanks, and without what a terminal would obey."""
    (noted,) = noted_rows({"SeriesInstanceUID": "1.1"}, row)
    assert noted.sentence.startswith(f"getSeries row 2: {why}")
    assert noted.series_instance_uid == meant


@pytest.mark.parametrize("rows", [[{"Name": "x"}], [{"SeriesInstanceUID": "x"}] * 11])
def test_a_list_of_unreadable_rows_is_no_list(rows: list[dict[str, object]]) -> None:
    """Rows that name no series, or more than ten that outnumber the others."""
    with pytest.raises(ArchiveFaultError, match="cannot read row 1"):
        noted_rows(*rows)


def test_memory_does_not_grow_with_the_catalogue() -> None:
    """Ten thousand rows pass through the room of a few hundred."""
    row = json.dumps({"SeriesInstanceUID": SERIES_UID, "SeriesDescription": "x" * 100, "ImageCount": 1}).encode()
    chunk = b",".join([row] * 100)
    reader = SeriesReader("getSeries")
    reader.feed(b"[" + chunk)
    tracemalloc.start()
    try:
        rows = sum(len(reader.feed(b"," + chunk)) for _ in range(100))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == 10_000
    assert peak_bytes < 1_000_000


def rows_of(body: bytes) -> list[Row]:
    """All rows of one reply."""
    reader = RowReader("x")
    rows = reader.feed(body)
    reader.finish()
    return rows


def test_other_rows_are_read_by_their_columns() -> None:
    """Collections, images and sizes."""
    assert [read_collection(row) for row in rows_of(b'[{"Collection":"A "},{"Collection":"B"}]')] == ["A ", "B"]
    for told in ("1.2", "1.2.", "022f82f4-e9df-4533-b237-6ab563dfaf56"):
        assert read_sop_instance_uid(rows_of(b'[{"SOPInstanceUID":"%b"}]' % told.encode())[0]) == told
    (size,) = rows_of(b'[{"TotalSizeInBytes":"149149266.000000","ObjectCount":266}]')
    assert read_series_size(size) == SeriesSize(image_count=266, file_size_bytes=149149266)


def test_other_rows_that_cannot_be_read_are_faults() -> None:
    """Each names its row."""
    (row,) = rows_of(b'[{}, {"Collection":"", "SOPInstanceUID":" ", "ObjectCount":"many"}]')
    for reader in (read_collection, read_sop_instance_uid, read_series_size):
        with pytest.raises(ArchiveFaultError, match="row 2"):
            reader(row)


def test_a_list_without_end_ends() -> None:
    """By its rows, whatever they hold, and by its blanks before the first."""
    reader = RowReader("x", most_rows=1000)
    reader.feed(b"[")
    with pytest.raises(ArchiveFaultError, match="does not end after row"):
        _ = [reader.feed(b"{}," * 100) for _ in range(100)]
    reader = RowReader("x")
    with pytest.raises(ArchiveFaultError, match="begins with more than"):
        _ = [reader.feed(b" " * 65536) for _ in range(100)]
