"""Series lists: carts (`.tcia`), tables with a column of series (`.csv`, `.tsv`) and plain lists (`.txt`).

Carts come from the archive's portal, from older tools and from text editors, so everything is read that can mean only one thing:
header keys in any order and number, any line ends, byte order marks, blanks, commas, quotes, comments, duplicates.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from downloader.config.messages import quote
from downloader.errors import ManifestError
from downloader.manifest.cart import Cart, read_cart
from downloader.manifest.identifiers import check_uid
from downloader.manifest.problems import Problem, SourceError, refuse
from downloader.manifest.source import read_text

SUFFIXES: Final = (".tcia", ".csv", ".tsv", ".txt")
LARGEST_BYTES: Final = 256 * 1024**2
MOST_PROBLEMS: Final = 20

_SEPARATORS: Final = re.compile(r"[\s,;\"']+")
_SERIES_COLUMNS: Final = ("seriesinstanceuid", "seriesuid")
_DRS_COLUMNS: Final = frozenset({"drsuri", "fileid"})
_DELIMITERS: Final = (",", "\t", ";", "|")
_DIGITS: Final = re.compile(r"[0-9.]+", re.ASCII)
_NO_CART: Final = Cart()
_SEPARATOR_LINE: Final = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)
_FOREIGN_SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".s5cmd": "lists objects of the Imaging Data Commons for s5cmd, which no NBIA archive serves; export the cart as .tcia",
        ".xlsx": "is a workbook; save it as .csv with a column SeriesInstanceUID",
        ".xls": "is a workbook; save it as .csv with a column SeriesInstanceUID",
        ".jnlp": "starts a Java program that the archive no longer serves; export the cart as .tcia",
    }
)
_DRS: Final = "lists files by DRS address, which no NBIA archive serves; a column SeriesInstanceUID is required"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesList:
    """What a series list names: each series once, in the order of the file.

    `archive_hint` is the cart's downloadServerUrl, or empty; `duplicates` counts the lines that named a series again.
    `wants_annotations`: the cart asks for annotation files beside the images. `needs_login`: it was made for an account.
    """

    path: Path
    series_instance_uids: tuple[str, ...]
    archive_hint: str = ""
    duplicates: int = 0
    wants_annotations: bool = False
    needs_login: bool = False


def load_series_list(path: Path) -> SeriesList:
    """Read a series list. Blocks while it reads.

    Raises:
        ManifestError: not a series list, no series in it, or lines that are not UIDs; every such line is reported.
    """
    try:
        return read_series_list(path)
    except SourceError as error:
        raise ManifestError(f"{path}: {error}") from error


def refuse_foreign(path: Path) -> None:
    """Refuse kinds of files that look like series lists and belong to other programs.

    Raises:
        SourceError: the suffix is such a one.
    """
    if path.suffix.lower() in _FOREIGN_SUFFIXES:
        raise SourceError(_FOREIGN_SUFFIXES[path.suffix.lower()])


def read_series_list(path: Path) -> SeriesList:
    """As `load_series_list`, but leaves it to the caller to say which file it was that could not be read.

    Raises:
        SourceError: the file as a whole is missing, unreadable or of another kind.
        ManifestError: something in it is wrong.
    """
    refuse_foreign(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SourceError(f"is not a series list; the known extensions are {', '.join(SUFFIXES)}")
    text = read_text(path, LARGEST_BYTES)
    if suffix in (".csv", ".tsv"):
        return _collect(path, _table_values(path, text))
    if text.lstrip().startswith("<"):
        raise SourceError("is XML or HTML: an old Java Web Start file, or an error page saved as a cart")
    cart = read_cart(text)
    if suffix == ".tcia" or cart.lists_series:
        cart.check(path)
    elif _has_series_column(path, text):
        # a table that was saved as text, or a list with a headline
        return _collect(path, _table_values(path, text))
    return _collect(path, _line_values(path, cart.lines), cart)


def _line_values(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if line.lstrip().startswith(("cp s3:", "cp gs:", "s3://", "gs://", "drs://")):
            what = "lists objects of another kind of archive; a cart (.tcia) or UIDs of series are required"
            raise refuse(path, [Problem(number, "", what)])
        yield from ((number, word) for word in _SEPARATORS.split(line) if word)


@dataclass(frozen=True, slots=True)
class _Table:
    """The text of a table from its first row on, the number of that line, and what stands between cells."""

    path: Path
    text: str
    first_line: int
    delimiter: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not blank, with their lines.

        Raises:
            ManifestError: it is no table.
        """
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter, skipinitialspace=True)
        line = self.first_line
        try:
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield line, cells
                line = self.first_line + reader.line_num
        except csv.Error as error:
            raise refuse(self.path, [Problem(line, "", f"not a table: {error}")]) from error

    def lines_after(self, line: int) -> list[tuple[int, str]]:
        """The lines of a table that has one column, comments dropped."""
        numbered = enumerate(self.text.splitlines(), start=self.first_line)
        return [(number, text.partition("#")[0]) for number, text in numbered if number > line]


def _open_table(path: Path, text: str) -> _Table:
    """Pass over what may stand above the first row: blank lines, comments, and Excel's `sep=;`."""
    delimiter = ""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if separator := _SEPARATOR_LINE.fullmatch(line):
            delimiter = separator[1]
        elif line.strip() and not line.lstrip().startswith("#"):
            return _Table(path, "".join(lines[number:]), number + 1, delimiter or max(_DELIMITERS, key=line.count))
    return _Table(path, "", 1, ",")


def _has_series_column(path: Path, text: str) -> bool:
    with suppress(ManifestError):
        _, cells = next(_open_table(path, text).rows(), (0, []))
        return any(_fold_name(cell) in _SERIES_COLUMNS for cell in cells)
    return False


def _table_values(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """The cells of the series column, with their lines; of a table of one column everything, whether it has a headline or not."""
    table = _open_table(path, text)
    rows = table.rows()
    headline, names = next(rows, (0, []))
    if not names:
        return
    if len(list(filter(None, names))) == 1:
        has_headline = not _DIGITS.fullmatch("".join(names))
        if has_headline:
            _find_column(path, headline, names)
        yield from _line_values(path, table.lines_after(headline - (not has_headline)))
        return
    column = _find_column(path, headline, names)
    for line, cells in rows:
        cell = cells[column].partition("#")[0].strip(" ,;") if column < len(cells) else ""
        if cell or not cells[0].startswith("#"):
            yield line, cell


def _find_column(path: Path, line: int, cells: list[str]) -> int:
    names = list(map(_fold_name, cells))
    for wanted in _SERIES_COLUMNS:
        if wanted in names:
            return names.index(wanted)
    if _DRS_COLUMNS & set(names):
        raise SourceError(_DRS)
    shown = ", ".join(quote(cell) for cell in cells[:10])
    what = f"no column SeriesInstanceUID among {shown}; use the extension .txt for a plain list of UIDs"
    raise refuse(path, [Problem(line, "", what)])


def _fold_name(cell: str) -> str:
    return "".join(letter for letter in cell.lower() if letter.isalnum())


def _collect(path: Path, values: Iterable[tuple[int, str]], cart: Cart = _NO_CART) -> SeriesList:
    problems: list[Problem] = []
    series: dict[str, None] = {}
    count = unsound = 0
    for line, value in values:
        count += 1
        try:
            series[check_uid(value)] = None
        except ValueError as error:
            unsound += 1
            if len(problems) < MOST_PROBLEMS:
                problems.append(Problem(line, "", str(error)))
    if unsound > len(problems):
        problems.append(Problem(problems[-1].line, "", f"and {unsound - len(problems)} more such lines"))
    if problems:
        raise refuse(path, problems)
    if not series:
        raise refuse(path, [Problem(1, "", "the list contains no series")])
    return SeriesList(
        path=path,
        series_instance_uids=tuple(series),
        archive_hint=cart.download_url,
        duplicates=count - len(series),
        wants_annotations=cart.wants_annotations,
        needs_login=cart.needs_login,
    )
