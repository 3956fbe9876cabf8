"""Parses replies in any of the four formats to the same rows (docs/archives.md#reply-formats).

Only JSON distinguishes numbers, and each format has its own form for missing values. So a row has counts and sizes as numbers,
all else as text, and leaves out attributes without a value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from html.parser import HTMLParser
from typing import Final

from downloader.archive.nbia.error_replies import quote_text
from downloader.archive.nbia.json_rows import RowReader
from downloader.archive.question import Attributes, ReplyFormat
from downloader.errors import ArchiveFaultError

_COUNTS: Final = frozenset(
    {
        "Annotation Size",
        "Authorized",
        "Count",
        "File Size",
        "FileSize",
        "ImageCount",
        "Number of Images",
        "ObjectCount",
        "Series Number",
        "SeriesCount",
        "SeriesNumber",
        "TotalSizeInBytes",
        "authorized",
        "count",
        "totalNumberOfSeries",
        "totalNumberOfStudies",
    }
)
_WHOLE: Final = re.compile(r"(-?[0-9]{1,19})(?:\.0*)?", re.ASCII)
_NO_VALUE: Final = "\xa0"  # &nbsp;
_BYTE_ORDER_MARK: Final = "\ufeff"


def parse_rows(what: str, body: bytes, form: ReplyFormat) -> list[Attributes]:
    """The rows of a whole reply; a blank one has none (docs/archives.md#empty-replies).

    Args:
        what: the endpoint, for messages.
        body: the received reply.
        form: its format.

    Raises:
        ArchiveFaultError: it has another format, or is truncated.
    """
    if form is ReplyFormat.JSON:
        reader = RowReader(what)
        rows = [row.attributes for row in reader.feed(body)]
        reader.finish()
        return [read for row in rows if (read := read_attributes(what, row))]
    text = body.decode("utf-8", "replace").removeprefix(_BYTE_ORDER_MARK)
    if not text.strip():
        return []
    try:
        table = _READERS[form](text)
        return [read for row in table if (read := read_attributes(what, row))]
    except _BrokenError as error:
        raise ArchiveFaultError(f"{what}: {error}: {quote_text(text)}", next_step="check base_url if this persists") from error


def read_attributes(what: str, row: Mapping[str, object]) -> Attributes:
    """The attributes of a row that have a value.

    Raises:
        ArchiveFaultError: a value is a list or an object.
    """
    told: dict[str, str | int] = {}
    for attribute, value in row.items():
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, str | int | float):
            text = str(value)
        elif value is None:
            continue
        else:
            raise ArchiveFaultError(f"{what}: {attribute} is {quote_text(str(value))}")
        if text:
            whole = _WHOLE.fullmatch(text.strip()) if attribute in _COUNTS else None
            told[attribute] = int(whole[1]) if whole else text
    return told


class _BrokenError(ValueError):
    """A text that is not in its format, or truncated. Its message goes into the error."""


def _pair(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Mapping[str, str]]:
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise _BrokenError(f"row {number} has {len(row)} values for {len(columns)} columns")
        yield dict(zip(columns, row, strict=True))


_QUOTED: Final = re.compile(r'"((?:[^"]|"")*)"(,|\r?\n|\Z)')
_NULL_FIRST: Final = '","",'


def _read_csv(text: str) -> Iterator[Mapping[str, str]]:
    """Every field is quoted; but lists of one column have no quotes, and their values may contain commas and quotes.

    Source: docs/archives.md#csv-replies.
    """
    if text.lstrip().startswith(("<", "[", "{")):
        raise _BrokenError("the reply is not CSV")
    if text.startswith('"'):
        columns, *rows = _quoted_records(text)
        return _pair(columns, rows)
    if not text.endswith("\n"):
        raise _BrokenError("the CSV is truncated")
    column, *values = text.removesuffix("\n").split("\n")
    if "," in column:
        raise _BrokenError("CSV without quotes is ambiguous")
    return _pair([column.rstrip("\r")], [[value.removesuffix("\r")] for value in values])


def _quoted_records(text: str) -> Iterator[list[str]]:
    record: list[str] = []
    position = 0
    while position < len(text):
        if not record and text.startswith(_NULL_FIRST, position):
            # if the first field has no value, the archive writes the end of a field and a comma instead of its beginning
            position += len('",')
        field = _QUOTED.match(text, position)
        if field is None:
            raise _BrokenError("the CSV is truncated")
        record.append(field[1].replace('""', '"'))
        position = field.end()
        if field[2] != ",":
            yield record
            record = []
    if record:
        raise _BrokenError("the CSV is truncated")


class _Table(HTMLParser):
    """Reads the only table of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: list[str] = []
        self.rows: list[list[str]] = []
        self.is_whole = False
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  the parser's signature
        if tag == "tr":
            self.rows.append([])
        elif tag in {"th", "td"}:
            self._cell = []

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"th", "td"} and self._cell is not None and self.rows:
            text = "".join(self._cell)
            self._cell = None
            target = self.columns if tag == "th" else self.rows[-1]
            target.append("" if text == _NO_VALUE else text)
        elif tag == "table":
            self.is_whole = True


def _read_html(text: str) -> Iterator[Mapping[str, str]]:
    table = _Table()
    table.feed(text)
    table.close()
    if not table.columns:
        raise _BrokenError("the reply is not an HTML table")
    if not table.is_whole:
        raise _BrokenError("the table is truncated")
    return _pair(table.columns, [row for row in table.rows if row])


_BLANK: Final = re.compile(r"\s*")
_ROW: Final = re.compile(r"\s*<Row>(.*?)</Row>", re.DOTALL)
_ELEMENT: Final = re.compile(r"\s*<([^<>]+?)(?: type=(?:'[^']*'|\"[^\"]*\"))?>([^<]*)</\1>")
_RESULTS: Final = re.compile(r"\s*(?:<\?xml[^>]*\?>)?\s*<Results>(.*)</Results>\s*", re.DOTALL)


def _read_xml(text: str) -> Iterator[Mapping[str, str]]:
    """Parsed by hand: element names contain blanks and brackets, and entities are those of HTML, so it is not valid XML."""
    results = _RESULTS.fullmatch(text)
    if results is None:
        raise _BrokenError("the XML is truncated" if "<Results>" in text else "the reply is not XML with rows")
    for number, row in enumerate(_whole_matches(_ROW, results[1]), start=1):
        if row is None:
            raise _BrokenError(f"the XML is not valid after row {number - 1}")
        elements = list(_whole_matches(_ELEMENT, row[1]))
        if None in elements:
            raise _BrokenError(f"the XML is not valid in row {number}")
        yield {element[1]: unescape(element[2]) for element in elements if element}


def _whole_matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str] | None]:
    """Matches with only blanks between them; then None if something else follows."""
    position = 0
    while not _BLANK.fullmatch(text, position):
        found = pattern.match(text, position)
        yield found
        if found is None:
            return
        position = found.end()


_READERS: Final = {ReplyFormat.CSV: _read_csv, ReplyFormat.HTML: _read_html, ReplyFormat.XML: _read_xml}
