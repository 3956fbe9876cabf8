"""One page of the archive's simple search: an object around its rows, written by the server's second JSON path.

Source: docs/archives.md#second-json-path.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from downloader.archive.nbia.error_replies import quote_text
from downloader.archive.nbia.table_rows import read_attributes
from downloader.archive.question import Attributes
from downloader.errors import ArchiveFaultError

PAGE_BYTES_MAX: Final = 64 * 1024 * 1024
_HEAD_CHARACTERS: Final = 2048
_NO_JSON: Final = (ValueError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows, and their total number."""

    rows: tuple[Attributes, ...]
    total: int


def read_page(what: str, body: bytes) -> Page:
    """The content of a page; a blank one is the end.

    Lists of words are joined to one text, and keys of the archive's database are left out.

    Args:
        what: the endpoint, for messages.
        body: the received reply.

    Raises:
        ArchiveFaultError: it is not a page.
    """
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return Page(rows=(), total=0)
    try:
        page = json.loads(text)
    except _NO_JSON as error:
        raise _no_page(what, text) from error
    rows = page.get("resultSet") if isinstance(page, dict) else None
    total = page.get("totalPatients") if isinstance(page, dict) else None
    if not isinstance(rows, list) or type(total) is not int or not all(isinstance(row, dict) for row in rows):
        raise _no_page(what, text)
    return Page(rows=tuple(read_attributes(what, _flat(row)) for row in rows), total=total)


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    """Join lists of words to one text. Other lists contain keys of the archive's database, which are meaningless outside."""
    told: dict[str, object] = {}
    for name, value in row.items():
        if name == "id" or isinstance(value, dict):
            continue
        if not isinstance(value, list):
            told[name] = value
        elif all(isinstance(one, str) for one in value):
            told[name] = ", ".join(sorted(value))
    return told


def _no_page(what: str, text: str) -> ArchiveFaultError:
    return ArchiveFaultError(
        f"{what}: expected a page of rows, received {quote_text(text[:_HEAD_CHARACTERS])}",
        next_step="check base_url if this persists",
    )
