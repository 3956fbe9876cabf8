"""Replies in CSV, HTML, XML and JSON: the same rows out of each, and no rows out of what is broken."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloader.archive.nbia.table_rows import parse_rows
from downloader.archive.question import ReplyFormat
from downloader.errors import ArchiveFaultError
from downloader.sandbox.answers import Table
from downloader.sandbox.formats import render

COLUMNS = ("Series UID", "PixelSpacing(mm)-Row", "Manufacturer")
# a no-break space alone is how HTML writes "no value"
TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: text != "\xa0")
VALUE = st.none() | TEXT
NUMBER = st.none() | st.integers(min_value=0, max_value=2**63 - 1)


def body_of(table: Table, form: ReplyFormat) -> bytes:
    """The reply as the sandbox writes it."""
    return b"".join(map(bytes, render(table, form.value).chunks or ()))


@given(st.lists(st.tuples(VALUE.filter(lambda text: not (text or "").startswith(',"')), VALUE, VALUE, NUMBER)))
def test_the_four_formats_agree_on_any_text(rows: list[tuple[str | None, str | None, str | None, int | None]]) -> None:
    """Text comes to the letter, numbers are numbers, and what has no value is absent.

    One text cannot be told from a missing value, by anybody: a first column that begins with a comma and a quote.
    """
    table = Table(columns=(*COLUMNS, "ImageCount"), rows=rows)
    names = table.columns
    expected = [{name: value for name, value in zip(names, row, strict=True) if value not in (None, "")} for row in rows]
    for form in ReplyFormat:
        assert parse_rows("x", body_of(table, form), form) == [row for row in expected if row]


@given(st.lists(st.none() | TEXT.filter(lambda text: not re.search(r"[\r\n]", text) and not text.startswith('"'))))
def test_lists_of_one_column_agree_too(values: list[str | None]) -> None:
    """Their CSV has no quotes: commas and quotes stand for themselves, and line breaks end a value."""
    table = Table(columns=("Manufacturer",), rows=[(value,) for value in values])
    for form in ReplyFormat:
        assert parse_rows("x", body_of(table, form), form) == [{"Manufacturer": value} for value in values if value]


@pytest.mark.parametrize(
    ("form", "body", "words"),
    [
        (ReplyFormat.CSV, '"a","b"\n"1"\n', "row 1 has 1 values for 2 columns"),
        (ReplyFormat.CSV, '"a","b"\n"1","2', "the CSV is truncated"),
        (ReplyFormat.CSV, '"a","b"\n"1",', "the CSV is truncated"),
        (ReplyFormat.CSV, "a\nb", "the CSV is truncated"),
        (ReplyFormat.CSV, "a,b\n1,2\n", "CSV without quotes is ambiguous"),
        (ReplyFormat.CSV, "<html>busy</html>", "the reply is not CSV"),
        (ReplyFormat.HTML, "<html>busy</html>", "the reply is not an HTML table"),
        (ReplyFormat.HTML, "<TABLE><TR><TH>a</TH></TR><TR><TD>1</TD>", "the table is truncated"),
        (ReplyFormat.HTML, "<TABLE><TR><TH>a</TH></TR><TR><TD>1</TD><TD>2</TD></TR></TABLE>", "row 1 has 2 values for 1 columns"),
        (ReplyFormat.XML, "<html>busy</html>", "the reply is not XML with rows"),
        (ReplyFormat.XML, "<Results><Row><a>1</a></Row>", "the XML is truncated"),
        (ReplyFormat.XML, "<Results><Row><a>1</b></Row></Results>", "the XML is not valid in row 1"),
        (ReplyFormat.XML, "<Results><Row><a>1</a></Row><Row></Results>", "the XML is not valid after row 1"),
        (ReplyFormat.JSON, "Unable to map to JSON", "expected a list of rows, received a text"),
        (ReplyFormat.JSON, '[{"a": [1]}]', "a is"),
    ],
)
def test_what_is_broken_is_a_fault(form: ReplyFormat, body: str, words: str) -> None:
    """It says what is wrong, and quotes the archive."""
    with pytest.raises(ArchiveFaultError, match=words):
        parse_rows("getThing", body.encode(), form)


@pytest.mark.parametrize("form", ReplyFormat)
def test_blank_bodies_have_no_rows(form: ReplyFormat) -> None:
    """docs/archives.md#empty-replies."""
    assert parse_rows("x", b" \r\n", form) == []


def test_what_other_servers_may_write_is_read() -> None:
    """The API of 2013 had other writers: quotes around a single column, lower case, line breaks between the rows."""
    assert parse_rows("x", b'"Collection"\r\n"A, B"\r\n', ReplyFormat.CSV) == [{"Collection": "A, B"}]
    assert parse_rows("x", b"\xef\xbb\xbfCollection\r\nA\r\n", ReplyFormat.CSV) == [{"Collection": "A"}]
    page = b"<table>\n<tr><th>Collection</th></tr>\n<tr><td>A &amp; B</td></tr>\n</table>"
    assert parse_rows("x", page, ReplyFormat.HTML) == [{"Collection": "A & B"}]
    text = b"<Results>\n <Row>\n  <Collection>A</Collection>\n </Row>\n</Results>"
    assert parse_rows("x", text, ReplyFormat.XML) == [{"Collection": "A"}]
