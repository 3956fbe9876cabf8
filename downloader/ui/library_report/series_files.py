"""The series of a library as CSV, JSON or Parquet, written batch by batch."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from types import MappingProxyType
from typing import IO, Final, Protocol, get_args, get_type_hints

import anyio.to_thread

from downloader.library.spreadsheet_cells import cell_of
from downloader.store.records import StoredSeries
from downloader.ui.library_report.formats import ReportFormat
from downloader.ui.library_series import COLUMNS, Cell, LibrarySeries, cells_of

BATCH_SERIES: Final = 20_000
"""Series that are held at once, and in a row group of Parquet."""


class SeriesWriter(Protocol):
    """Writes rows to a binary stream. Everything here blocks."""

    def write(self, batch: Sequence[StoredSeries]) -> None:
        """Write the next rows."""
        ...

    def end(self) -> None:
        """All rows are written: make the file whole."""
        ...

    def close(self) -> None:
        """Let go of the stream, which is left open, whether the file is whole or not."""
        ...


async def write_series(rows: AsyncIterator[StoredSeries], series_format: ReportFormat, stream: IO[bytes]) -> int:
    """Write the rows, in any format but HTML, and return how many there were. Holds no more than a batch of them in memory."""
    writer = await anyio.to_thread.run_sync(partial(_WRITERS[series_format], stream))
    written = 0
    try:
        async for batch in _batches(rows):
            await anyio.to_thread.run_sync(writer.write, batch)
            written += len(batch)
        await anyio.to_thread.run_sync(writer.end)
    finally:
        writer.close()
    return written


async def _batches(rows: AsyncIterator[StoredSeries]) -> AsyncIterator[Sequence[StoredSeries]]:
    batch: list[StoredSeries] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == BATCH_SERIES:
            yield batch
            batch = []
    if batch:
        yield batch


class CsvWriter:
    """RFC 4180 in UTF-8, with a header. Absent is empty."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(COLUMNS)

    def write(self, batch: Sequence[StoredSeries]) -> None:
        """See the protocol."""
        self._writer.writerows([_as_csv(cell) for cell in cells_of(row)] for row in batch)

    def end(self) -> None:
        """See the protocol."""
        self._text.flush()

    def close(self) -> None:
        """See the protocol."""
        # detaching flushes once more; a caller that did not reach the end has already received an error
        with suppress(OSError):
            self._text.detach()


class JsonWriter:
    """One array of objects, one a line (RFC 8259). Absent dates and figures are null."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._before = b"[\n"

    def write(self, batch: Sequence[StoredSeries]) -> None:
        """See the protocol."""
        for row in batch:
            document = dict(zip(COLUMNS, map(_as_json, cells_of(row)), strict=True))
            self._stream.write(self._before + json.dumps(document, ensure_ascii=False).encode())
            self._before = b",\n"

    def end(self) -> None:
        """See the protocol."""
        self._stream.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")

    def close(self) -> None:
        """See the protocol."""


class ParquetWriter:
    """A row group for each batch, with typed columns, compressed by Zstandard. Absent dates and figures are null."""

    def __init__(self, stream: IO[bytes]) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415

        self._arrow = pa
        self._schema = pa.schema([(name, getattr(pa, type_name)(*of)) for name, (type_name, *of) in _arrow_types().items()])
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")

    def write(self, batch: Sequence[StoredSeries]) -> None:
        """See the protocol."""
        columns = zip(*map(cells_of, batch), strict=True)
        arrays = [self._arrow.array(cells, kind) for cells, kind in zip(columns, self._schema.types, strict=True)]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def end(self) -> None:
        """See the protocol."""
        self._writer.close()

    def close(self) -> None:
        """See the protocol."""
        if self._writer.is_open:
            # writes an end to what is thrown away
            with suppress(OSError):
                self._writer.close()


_WRITERS: Final[Mapping[ReportFormat, Callable[[IO[bytes]], SeriesWriter]]] = MappingProxyType(
    {ReportFormat.CSV: CsvWriter, ReportFormat.JSON: JsonWriter, ReportFormat.PARQUET: ParquetWriter}
)


def _arrow_types() -> dict[str, tuple[str, ...]]:
    """For each column the name of its Arrow type, and what that is made with."""
    hints = get_type_hints(LibrarySeries)
    return {name: _arrow_type({hints[name], *get_args(hints[name])}) for name in COLUMNS}


def _arrow_type(kinds: set[type]) -> tuple[str, ...]:
    if int in kinds:
        return ("int64",)
    if datetime in kinds:
        return ("timestamp", "us", "UTC")
    return ("date32",) if date in kinds else ("string",)


def _as_csv(cell: Cell) -> str | int:
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, str):
        return cell_of(cell)
    return "" if cell is None else cell


def _as_json(cell: Cell) -> str | int | None:
    return cell.isoformat() if isinstance(cell, date) else cell
