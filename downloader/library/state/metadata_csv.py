"""`metadata.csv`: one row per series, with the columns of the NBIA Data Retriever, for scripts that read them."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from uuid import uuid4

from downloader.dicomstream import sop_class_name
from downloader.library.local.filesystem import FileSystemErrors, put_file
from downloader.library.model import MetadataRow
from downloader.library.spreadsheet_cells import cell_of

METADATA_NAME = "metadata.csv"
OVERDUE_NAME: Final = "metadata.due"

COLUMNS: Final = (
    "Series UID",
    "Collection",
    "3rd Party Analysis",
    "Data Description URI",
    "Subject ID",
    "Study UID",
    "Study Description",
    "Study Date",
    "Series Description",
    "Manufacturer",
    "Modality",
    "SOP Class Name",
    "SOP Class UID",
    "Number of Images",
    "File Size",
    "File Location",
    "Download Timestamp",
)

STUDY_DETAILS: Final = frozenset({"study_date", "study_description"})
"""The study attributes that the columns need."""

_TOUCH: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")


class Overdue:
    """The file at `path`, which exists while the library's table is outdated. It survives a kill.

    `is_set` tells that this object made it and has not removed it since. Thread-safe. Raises OSError; see local/filesystem.py.
    """

    __slots__ = ("_path", "is_set")

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_set = False

    def __bool__(self) -> bool:
        return os.path.lexists(self._path)

    def set(self) -> None:
        """Mark the table as outdated, before the library changes."""
        if not self.is_set:
            os.close(os.open(self._path, _TOUCH, 0o666))
            self.is_set = True

    def clear(self) -> None:
        """Mark the table as current."""
        self._path.unlink(missing_ok=True)
        self.is_set = False


class MetadataFile:
    """Implements MetadataTable for the file `target`, through its own file in the folder `staging`.

    Every value is quoted, lines end in CRLF (RFC 4180), and no value is a formula (see `cell_of`).
    """

    def __init__(self, staging: Path, target: Path, overdue: Overdue, errors: FileSystemErrors) -> None:
        self._target = target
        self._overdue = overdue
        self._errors = errors
        self._temporary = staging / f"{METADATA_NAME}.{uuid4().hex}"
        self._write([COLUMNS])

    def add(self, rows: Iterable[MetadataRow]) -> None:
        """See the port."""
        self._write(tuple(map(cell_of, cells_of(row))) for row in rows)

    def commit(self) -> None:
        """See the port."""
        with self._errors:
            put_file(self._temporary, self._target)
            self._overdue.clear()

    def _write(self, rows: Iterable[tuple[str, ...]]) -> None:
        with self._errors, self._temporary.open("a", encoding="utf-8", errors="replace", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)


def cells_of(row: MetadataRow) -> tuple[str, ...]:
    """The cells of one row, in the order of COLUMNS."""
    series = row.series
    return (
        series.series_instance_uid,
        series.collection,
        series.third_party_analysis,
        series.data_description_uri,
        series.patient_id,
        series.study_instance_uid,
        series.study_description,
        series.study_date.strftime("%m-%d-%Y") if series.study_date else "",
        series.series_description,
        series.manufacturer,
        series.modality,
        sop_class_name(row.sop_class_uid),
        row.sop_class_uid,
        "" if series.image_count is None else str(series.image_count),
        _human_size(row.stored_bytes),
        f"./{row.folder}",
        row.completed_at.isoformat(timespec="seconds") if row.completed_at else "",
    )


def _human_size(size_bytes: int) -> str:
    """Such as `12.34 MB`, in units of 1000."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = size_bytes / 1000
    for unit in _UNITS:
        if size < 999.995:
            return f"{size:.2f} {unit}"
        size /= 1000
    return f"{size:.2f} EB"
