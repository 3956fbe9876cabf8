"""Rows of an archive as a table, JSON or CSV; attributes keep the archive's names and order."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import IO, Final, Protocol

from rich import box
from rich.console import Console
from rich.table import Table

from downloader.archive.question import Attributes
from downloader.library.spreadsheet_cells import cell_of
from downloader.results.amounts import count_text
from downloader.ui.texts import printable

MOST_COLUMNS: Final = 8
TELLING: Final = (
    "Collection",
    "PatientID",
    "PatientId",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "StudyDate",
    "Modality",
    "BodyPartExamined",
    "SeriesDescription",
    "ImageCount",
    "FileSize",
)
"""The attributes that a table shows of rows with many."""


class RowWriter(Protocol):
    """Writes rows one by one, so that memory need not grow with them."""

    def write(self, row: Attributes) -> None:
        """One row more."""
        ...

    def finish(self) -> None:
        """No row follows."""
        ...


class JsonRows:
    """A JSON list of objects."""

    def __init__(self, file: IO[str], columns: Sequence[str]) -> None:
        self._file = file
        self._columns = columns
        self._separator = "["

    def write(self, row: Attributes) -> None:
        """One object; attributes without value are absent."""
        self._file.write(self._separator + "\n  " + json.dumps(_chosen(row, self._columns), ensure_ascii=False))
        self._separator = ","

    def finish(self) -> None:
        """Close the list."""
        self._file.write("[]\n" if self._separator == "[" else "\n]\n")


class CsvRows:
    """CSV with a header. `known` are the attributes that may come; a header needs them before the rows do."""

    def __init__(self, file: IO[str], columns: Sequence[str], known: Sequence[str]) -> None:
        self._writer = csv.writer(file)
        self._columns = columns or known
        self.unknown: set[str] = set()
        self._chosen = bool(columns)
        self._writer.writerow(self._columns)

    def write(self, row: Attributes) -> None:
        """One line."""
        values = [row.get(column, "") for column in self._columns]
        self._writer.writerow([cell_of(value) if isinstance(value, str) else value for value in values])
        if not self._chosen:
            self.unknown.update(row.keys() - set(self._columns))

    def finish(self) -> None:
        """Nothing is left to write."""


class TableRows:
    """A table for people. Holds all rows, since its widths depend on them."""

    def __init__(self, file: IO[str], columns: Sequence[str], known: Sequence[str]) -> None:
        self._file = file
        self._asked = columns
        self._known = known
        self._rows: list[Attributes] = []

    def write(self, row: Attributes) -> None:
        """Keep it."""
        self._rows.append(row)

    def finish(self) -> None:
        """Draw the table, and name the attributes that it leaves out."""
        if not self._rows:
            self._file.write("no rows\n")
            return
        here = _columns_of(self._rows, self._known)
        shown = self._asked or _most_telling(here)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in shown:
            numbers = all(isinstance(row.get(column, 0), int) for row in self._rows)
            table.add_column(printable(column), justify="right" if numbers else "left", overflow="fold")
        for row in self._rows:
            table.add_row(*(_cell(row.get(column, "")) for column in shown))
        console = Console(file=self._file, markup=False, highlight=False, soft_wrap=False, width=_width_for(self._file, table))
        console.print(table)
        left_out = [column for column in here if column not in shown]
        self._file.write(count_text(len(self._rows), "row") + "\n")
        if left_out and not self._asked:
            self._file.write(f"not shown: {printable(', '.join(left_out))} (--columns, or --format csv)\n")


def open_rows(form: str, file: IO[str], columns: Sequence[str], known: Sequence[str]) -> RowWriter:
    """The writer for `table`, `json` or `csv`.

    Args:
        form: which of them.
        file: where the rows go.
        columns: the attributes that are wanted; empty for all, or for a table the most telling ones.
        known: the attributes that rows of this query may have, in the archive's order.
    """
    if form == "json":
        return JsonRows(file, columns)
    if form == "csv":
        return CsvRows(file, columns, known)
    return TableRows(file, columns, known)


def _chosen(row: Attributes, columns: Sequence[str]) -> Attributes:
    return {column: row[column] for column in columns if column in row} if columns else row


def _columns_of(rows: Iterable[Attributes], known: Sequence[str]) -> list[str]:
    """The attributes that some row has: the known ones in their order, then others as they came."""
    present = dict.fromkeys(name for row in rows for name in row)
    return [name for name in known if name in present] + [name for name in present if name not in known]


def _most_telling(here: Sequence[str]) -> Sequence[str]:
    if len(here) <= MOST_COLUMNS:
        return here
    return [column for column in TELLING if column in here] or here[:MOST_COLUMNS]


def _cell(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(value)


def _width_for(file: IO[str], table: Table) -> int | None:
    """Off a terminal nothing is cut or wrapped: a file or a pipe has no width."""
    if file.isatty():
        return None
    return Console(file=io.StringIO(), width=100_000).measure(table).maximum
