"""Series lists: carts (`.tcia`), tables with a column of series (`.csv`, `.tsv`) and plain lists (`.txt`).

Carts come from the archive's portal, from older tools and from text editors, so everything is read that can mean only one thing:
header keys in any order and number, any line ends, byte order marks, blanks, commas, quotes, comments, duplicates.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from downloader.errors import ManifestError
from downloader.manifest.identifiers import check_uid
from downloader.manifest.problems import Problem, SourceError, refuse
from downloader.manifest.source import read_text
from downloader.wording import quote

SUFFIXES: Final = (".tcia", ".csv", ".tsv", ".txt")
LARGEST_BYTES: Final = 256 * 1024**2
MOST_PROBLEMS: Final = 20

_LIST_KEY: Final = "listofseriestodownload"
_ASSIGNMENT: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.]*)\s*=(.*)", re.DOTALL)
_SEPARATORS: Final = re.compile(r"[\s,;\"']+")
_SERIES_COLUMNS: Final = ("seriesinstanceuid", "seriesuid")
_DRS_COLUMNS: Final = frozenset({"drsuri", "fileid"})
_DELIMITERS: Final = (",", "\t", ";", "|")
_FOREIGN_SUFFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".s5cmd": "lists objects of the Imaging Data Commons for s5cmd, which no NBIA archive serves; export the cart as .tcia",
        ".xlsx": "is a workbook; save it as .csv with a column SeriesInstanceUID",
        ".xls": "is a workbook; save it as .csv with a column SeriesInstanceUID",
        ".jnlp": "starts a Java program that the archive no longer serves; export the cart as .tcia",
    }
)
_DRS: Final = "lists files by DRS address, which no NBIA archive serves; a column SeriesInstanceUID is wanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesList:
    """What a series list names: each series once, in the order of the file.

    `archive_hint` is the cart's downloadServerUrl, or empty; `duplicates` counts the lines that named a series again.
    """

    path: Path
    series_instance_uids: tuple[str, ...]
    archive_hint: str = ""
    duplicates: int = 0


def load_series_list(path: Path) -> SeriesList:
    """Read a series list. Blocks while it reads.

    Raises:
        ManifestError: no series list, or one that names no series, or lines that are no UIDs; every such line is told.
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
        raise SourceError(f"is no series list; those end in {', '.join(SUFFIXES)}")
    text = read_text(path, LARGEST_BYTES)
    if suffix in (".csv", ".tsv"):
        return _collect(path, _table_values(path, text))
    header, lines = _split_header(text)
    if text.lstrip().startswith("<"):
        raise SourceError("is XML or HTML: an old Java Web Start file, or an error page saved as a cart")
    if suffix == ".tcia" or _LIST_KEY in header:
        _check_header(path, header)
    return _collect(path, _line_values(path, lines), header.get("downloadserverurl", (0, ""))[1])


Header = Mapping[str, tuple[int, str]]


def _split_header(text: str) -> tuple[Header, list[tuple[int, str]]]:
    """Take `key=value` lines out, wherever they stand; keys without case, with their lines. Comments are dropped."""
    header: dict[str, tuple[int, str]] = {}
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith(("#", "!")):
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if not assignment:
            lines.append((number, line.partition("#")[0]))
            continue
        key, value = assignment[1].lower(), assignment[2].strip().rstrip(",").strip()
        header[key] = (number, value)
        if key == _LIST_KEY:
            lines.append((number, value))
    return header, lines


def _check_header(path: Path, header: Header) -> None:
    """Refuse carts that name no series themselves, and carts of a kind to come (ARCHIVE §5.1)."""
    line, version = header.get("manifestversion", (1, ""))
    major = version.partition(".")[0]
    if version and not major.isdecimal():
        raise refuse(path, [Problem(line, "manifestVersion", f"{quote(version)} is not a version such as 3.0")])
    if major and int(major[:9]) >= 4:
        what = f"version {version} is newer than this tciad; it reads version 3"
        raise refuse(path, [Problem(line, "manifestVersion", what)])
    if _LIST_KEY not in header or major in ("1", "2"):
        old = "an old cart that keeps its series on the archive's server, and that server is gone; save the cart again"
        is_old = major in ("1", "2") or {"databasketid", "temploc", "serverjnlpfileloc", "isjnlp"} & header.keys()
        what = old if is_old else "no line says ListOfSeriesToDownload=, so this is no cart; name a plain list .txt"
        raise refuse(path, [Problem(line, "", what)])
    line, kind = header.get("datatype", (1, "DICOM"))
    if kind.casefold() not in ("", "dicom"):
        raise refuse(path, [Problem(line, "dataType", f"the cart holds {quote(kind)}; tciad mirrors DICOM images")])


def _line_values(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if line.lstrip().startswith(("cp s3:", "cp gs:", "s3://", "gs://", "drs://")):
            what = "lists objects of another kind of archive; a cart (.tcia) or UIDs of series are wanted"
            raise refuse(path, [Problem(number, "", what)])
        yield from ((number, word) for word in _SEPARATORS.split(line) if word)


def _table_values(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """The cells of the series column, with their lines."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    column: int | None = None
    line = 1
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells) and column is None:
                column = _find_column(path, line, cells)
            elif any(cells) and column is not None:
                yield line, cells[column] if column < len(cells) else ""
            line = rows.line_num + 1
    except csv.Error as error:
        raise refuse(path, [Problem(line, "", f"not a table: {error}")]) from error


def _find_column(path: Path, line: int, cells: list[str]) -> int:
    names = ["".join(letter for letter in cell.lower() if letter.isalnum()) for cell in cells]
    for wanted in _SERIES_COLUMNS:
        if wanted in names:
            return names.index(wanted)
    if _DRS_COLUMNS & set(names):
        raise SourceError(_DRS)
    shown = ", ".join(quote(cell) for cell in cells[:10])
    what = f"no column SeriesInstanceUID among {shown}; a list of UIDs alone is named .txt"
    raise refuse(path, [Problem(line, "", what)])


def _collect(path: Path, values: Iterable[tuple[int, str]], archive_hint: str = "") -> SeriesList:
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
        problems.append(Problem(problems[-1].line, "", f"and {unsound - len(problems)} more like it"))
    if problems:
        raise refuse(path, problems)
    if not series:
        raise refuse(path, [Problem(1, "", "the list names no series")])
    return SeriesList(path=path, series_instance_uids=tuple(series), archive_hint=archive_hint, duplicates=count - len(series))
