"""Texts of others in CSV files, which spreadsheets must not take for formulas (OWASP, CSV Injection)."""

import re
from typing import Final

_SIGNS: Final = frozenset("'=+-@\t\r")
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_MARKED: Final = re.compile(r"'+[=+\-@\t\r]")
_FIGURE: Final = re.compile(r"[+-]\d+(?:[.,]\d+)?(?:e[+-]?\d+)?(?: ?[a-zµ°%²³]{1,12})?", re.ASCII | re.IGNORECASE)


def cell_of(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would compute: it shows such a cell as text.

    A signed figure, with a unit or without, stays as it is: no formula has that form. `text_of` undoes it.
    """
    if text[:1] not in _SIGNS:
        return text
    return f"'{text}" if _FORMULA.match(text) and not _FIGURE.fullmatch(text) else text


def text_of(cell: str) -> str:
    """The text of which `cell_of` made the cell."""
    return cell[1:] if _MARKED.match(cell) else cell
