"""Rows as json, csv, html or xml, with the archive's own habits (docs/archives.md#reply-formats)."""

import json
from collections.abc import Iterator
from html import escape
from html.entities import codepoint2name
from typing import Final

from downloader.sandbox.answers import Table, Value
from downloader.sandbox.replies import Reply, failure, whole

_JAVA_TYPES: Final = {str: "java.lang.String", int: "java.lang.Long", bool: "java.lang.Boolean"}
UNFORMATTED: Final = "Server was not able to process your request"


def render(table: Table, requested: str | None) -> Reply:
    """The reply for a table, in the requested format or the endpoint's first."""
    if not table.rows:
        return Reply(status=200, content_bytes=0)
    name = (requested or table.formats[0]).lower()
    if name not in table.formats:
        return failure(500, UNFORMATTED, content_type="text/plain")
    if name == "json":
        return whole("application/json", _json(table))
    if name == "html":
        return whole("text/html", "".join(_html(table)))
    if name == "xml":
        return whole("application/xml", "".join(_xml(table)))
    return _csv_reply(table, download=name == "csv-download")


def _json(table: Table) -> str:
    """An array of objects as jettison writes it: no nulls, every slash escaped, numbers bare."""
    rows = [{name: value for name, value in zip(table.columns, row, strict=True) if value is not None} for row in table.rows]
    # A slash can stand nowhere in these objects but inside a string.
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def _csv_reply(table: Table, *, download: bool) -> Reply:
    single = len(table.columns) == 1
    text = "".join(_single_csv(table) if single else _csv(table))
    if not download:
        return whole("text/csv", text)
    reply = whole("application/force-download" if single else "text/csv", text)
    return reply.with_headers({"Content-Disposition": 'attachment; filename="SeriesMetaData.csv"'})


def _csv(table: Table) -> Iterator[str]:
    yield ",".join(_quoted(name) for name in table.columns) + "\n"
    for row in table.rows:
        fields = ",".join(_quoted(_plain(value)) for value in row)
        # A null in the first column writes the break between two fields where a field should begin
        # (docs/archives.md#csv-replies).
        yield ('",' + fields if row[0] is None else fields) + "\n"


def _single_csv(table: Table) -> Iterator[str]:
    yield f"{table.columns[0]}\n"
    for (value,) in table.rows:
        yield "\n\n" if value is None else f"{_plain(value)}\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _plain(value: Value) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _html(table: Table) -> Iterator[str]:
    yield "<P ALIGN='center'><TABLE BORDER=1><TR>"
    yield "".join(f"<TH>{_entities(name)}</TH>" for name in table.columns)
    for row in table.rows:
        cells = ("&nbsp;" if value is None else _entities(_plain(value)) for value in row)
        yield "</TR><TR>" + "".join(f"<TD>{cell}</TD>" for cell in cells)
    yield "</TR></TABLE></P>"


def _xml(table: Table) -> Iterator[str]:
    """Elements are named after the columns, blanks and all, and nulls have none.

    Text is encoded for HTML, not for XML: an entity such as &eacute; makes the document ill-formed
    (docs/archives.md#reply-formats).
    """
    yield '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Results>'
    for row in table.rows:
        cells = (
            f"<{name} type='{_JAVA_TYPES[type(value)]}'>{_entities(_plain(value))}</{name}>"
            for name, value in zip(table.columns, row, strict=True)
            if value is not None
        )
        yield "<Row>" + "".join(cells) + "</Row>"
    yield "</Results>"


def _entities(text: str) -> str:
    return "".join(
        f"&{codepoint2name[ord(sign)]};" if ord(sign) > 127 and ord(sign) in codepoint2name else sign for sign in escape(text)
    )
