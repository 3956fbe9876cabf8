"""Foreign texts in CSV files, protected against evaluation as formulas by spreadsheets (OWASP, CSV Injection)."""

import re
from typing import Final

_SIGNS: Final = frozenset("'=+-@\t\r")
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_MARKED: Final = re.compile(r"'+[=+\-@\t\r]")
_FIGURE: Final = re.compile(r"[+-]\d+(?:[.,]\d+)?(?:e[+-]?\d+)?(?: ?[a-zµ°%²³]{1,12})?", re.ASCII | re.IGNORECASE)


def cell_of(text: str) -> str:
    """The text, with an apostrophe before anything that a spreadsheet would evaluate: it shows such a cell as text.

    A signed number, with or without a unit, is unchanged, because no formula has that form. `text_of` is the inverse.
    """
    if text[:1] not in _SIGNS:
        return text
    return f"'{text}" if _FORMULA.match(text) and not _FIGURE.fullmatch(text) else text


def text_of(cell: str) -> str:
    """The text in a cell that `cell_of` made."""
    return cell[1:] if _MARKED.match(cell) else cell
