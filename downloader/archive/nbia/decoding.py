"""Converts rows of the archive to objects, as they arrive, without I/O.

Replies are lists of objects (docs/archives.md#json-replies): absent attributes are left out, numbers may be text, and any other
reply is a failure of the archive.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

import structlog

from downloader.archive.nbia.error_replies import quote_text, quote_value
from downloader.archive.nbia.html_text import plain_text
from downloader.archive.nbia.json_rows import HELP_DESK, Row, RowReader
from downloader.archive.nbia.values import UnreadableError, to_count, to_date, to_datetime, to_number_text, to_text
from downloader.archive.port import CollectionDescription, NoteUnreadable, SeriesSize, StudyCount, UnreadableRow
from downloader.errors import ArchiveFaultError
from downloader.model import Series, is_dicom_uid

_NAMED_ROWS: Final = 5
_FEW_ROWS: Final = 10
"""With that many unreadable rows, a reply still counts as a list, even if it has fewer readable ones."""
_DATES_REMEMBERED: Final = 10_000
_Value = TypeVar("_Value")
_log = structlog.get_logger(__name__)


_Converter = Callable[[object], object]
_COLUMNS: Final[Mapping[str, tuple[str, _Converter]]] = {
    "SeriesInstanceUID": ("series_instance_uid", to_text),
    "StudyInstanceUID": ("study_instance_uid", to_text),
    "Collection": ("collection", to_text),
    "PatientID": ("patient_id", to_text),
    "Modality": ("modality", to_text),
    "BodyPartExamined": ("body_part_examined", to_text),
    "Manufacturer": ("manufacturer", to_text),
    "ManufacturerModelName": ("manufacturer_model_name", to_text),
    "SoftwareVersions": ("software_versions", to_text),
    "SeriesNumber": ("series_number", to_number_text),
    "SeriesDescription": ("series_description", to_text),
    "ProtocolName": ("protocol_name", to_text),
    "SeriesDate": ("series_date", to_date),
    "StudyDate": ("study_date", to_date),
    "StudyDesc": ("study_description", to_text),
    "StudyID": ("study_id", to_text),
    "AnnotationsFlag": ("annotations_flag", to_text),
    "ThirdPartyAnalysis": ("third_party_analysis", to_text),
    "LicenseName": ("license_name", to_text),
    "LicenseURI": ("license_uri", to_text),
    "DataDescriptionURI": ("data_description_uri", to_text),
    "CollectionURI": ("data_description_uri", to_text),
    "ImageCount": ("image_count", to_count),
    "FileSize": ("file_size_bytes", to_count),
    "DateReleased": ("date_released", to_date),
    "MaxSubmissionTimestamp": ("submitted_at", to_datetime),
    "TimeStamp": ("submitted_at", to_datetime),
    "ReleasedStatus": ("released_status", to_text),
}
"""Column, attribute, converter: those of v1 and v4 together (docs/archives.md#series-queries). Other columns are ignored."""


def attributes_of(columns: Iterable[str]) -> frozenset[str]:
    """The attributes of a Series that rows with these columns have."""
    return frozenset(_COLUMNS[column][0] for column in columns if column in _COLUMNS)


_DATE_CONVERTERS: Final[frozenset[_Converter]] = frozenset({to_date, to_datetime})
_UNREADABLE: Final = object()


@dataclass(slots=True)
class Oddities:
    """Counts invalid dates: real catalogues have some, and a series is accepted without them. `first` is an example."""

    count: int = 0
    first: str = ""

    def note(self, column: str, value: object) -> None:
        """Count another one."""
        self.count += 1
        self.first = self.first or f"{column} {quote_text(str(value))}"

    def tell(self, archive: str) -> None:
        """Log the count, if there are any."""
        if self.count:
            _log.warning("unreadable catalogue dates", archive=archive, count=self.count, first=self.first)


class SeriesReader:
    """Parses the chunks of one reply of getSeries or getSeriesMetadata to series.

    Readable rows are returned even if others are unreadable.

    Args:
        what: the endpoint, for messages.
        note: receives unreadable rows; without it, an unreadable row is an error at the end.
    """

    def __init__(self, what: str, note: NoteUnreadable | None = None) -> None:
        self.unreadable_dates = Oddities()
        self._what = what
        self._note = note
        self._rows = RowReader(what)
        self._read_rows = self._unread_rows = 0
        self._first_unread: list[str] = []
        self._names_series = False
        self._dates: dict[tuple[_Converter, str], object] = {}

    def feed(self, chunk: bytes) -> list[Series]:
        """The series that this chunk completes. Raises as `RowReader.feed` does."""
        found: list[Series] = []
        for row in self._rows.feed(chunk):
            try:
                found.append(self._read(row))
            except UnreadableError as error:
                self._take_unreadable(row, str(error))
        self._read_rows += len(found)
        return found

    def finish(self) -> None:
        """End the body.

        Raises:
            ArchiveFaultError: the list did not end, or rows of it are unreadable: most of them, or one without `note`.
        """
        self._rows.finish()
        is_a_list = self._unread_rows <= max(self._read_rows, _FEW_ROWS) and (self._names_series or self._read_rows > 0)
        if self._unread_rows and (self._note is None or not is_a_list):
            unnamed = self._unread_rows - len(self._first_unread)
            more = f" and {unnamed} more" if unnamed else ""
            raise ArchiveFaultError(
                f"{self._what}: cannot read {', '.join(self._first_unread)}{more}",
                next_step=HELP_DESK,
            )

    def _take_unreadable(self, row: Row, why: str) -> None:
        self._unread_rows += 1
        if len(self._first_unread) < _NAMED_ROWS:
            self._first_unread.append(f"row {row.number} ({why})")
        told = row.attributes.get("SeriesInstanceUID")
        self._names_series |= told is not None
        if self._note is not None:
            meant = told.strip(" .\t\r\n\0") if isinstance(told, str) else ""
            self._note(
                UnreadableRow(
                    sentence=f"{self._what} row {row.number}: {why}",
                    series_instance_uid=meant if is_dicom_uid(meant) else "",
                )
            )

    def _read(self, row: Row) -> Series:
        # runs for each row of a catalogue of a million: the most frequent values are handled first
        values: dict[str, Any] = {}
        for column, value in row.attributes.items():
            known = _COLUMNS.get(column)
            if known is None or value is None:
                continue
            attribute, convert = known
            if convert is to_text and type(value) is str:
                values[attribute] = value
            elif convert in _DATE_CONVERTERS:
                day = self._date_of(column, convert, value)
                if day is not _UNREADABLE:
                    values[attribute] = day
            else:
                try:
                    values[attribute] = convert(value)
                except UnreadableError as error:
                    raise UnreadableError(f"{column} is {quote_value(value)}") from error
        series_instance_uid = values.get("series_instance_uid", "")
        if not is_dicom_uid(series_instance_uid):
            shown = quote_value(series_instance_uid)
            raise UnreadableError(f"SeriesInstanceUID is {shown}" if series_instance_uid else "no SeriesInstanceUID")
        return Series(**values)

    def _date_of(self, column: str, convert: _Converter, value: object) -> object:
        """The date, None for blank text, or _UNREADABLE. A catalogue repeats a few thousand dates a million times."""
        if type(value) is not str:
            return self._convert_date(column, convert, value)
        day = self._dates.get((convert, value), _UNREADABLE)
        if day is _UNREADABLE:
            day = self._convert_date(column, convert, value)
            if day is not _UNREADABLE and len(self._dates) < _DATES_REMEMBERED:
                self._dates[convert, value] = day
        return day

    def _convert_date(self, column: str, convert: _Converter, value: object) -> object:
        try:
            return convert(value)
        except UnreadableError:
            self.unreadable_dates.note(column, value)
            return _UNREADABLE


def read_series_size(row: Row) -> SeriesSize:
    """The counts in one row of getSeriesSize; unknown ones are absent (docs/archives.md#series-queries).

    Raises:
        ArchiveFaultError: a count is invalid.
    """
    count = _read_attribute("getSeriesSize", row, "ObjectCount", to_count)
    size = _read_attribute("getSeriesSize", row, "TotalSizeInBytes", to_count)
    return SeriesSize(image_count=count, file_size_bytes=size)


def read_collection(row: Row) -> str:
    """The name in one row of getCollectionValues, in the archive's spelling.

    Raises:
        ArchiveFaultError: there is none.
    """
    name = _read_attribute("getCollectionValues", row, "Collection", to_text)
    if not name:
        raise ArchiveFaultError(f"getCollectionValues: row {row.number} names no collection")
    return name


def read_description(row: Row) -> tuple[str, CollectionDescription]:
    """The collection in one row of getCollectionDescriptions, and its description, with HTML converted to plain text.

    Raises:
        ArchiveFaultError: a value is not text.
    """
    name, text, uri = (
        _read_attribute("getCollectionDescriptions", row, column, to_text) or ""
        for column in ("collectionName", "description", "descriptionURI")
    )
    return name, CollectionDescription(text=plain_text(text), uri=plain_text(uri).replace("\n", " "))


def read_study(row: Row, oddities: Oddities) -> tuple[str, Mapping[str, str | date | None]]:
    """The UID in one row of getPatientStudy, and the study attributes of a series; an unreadable date is left out.

    Raises:
        ArchiveFaultError: there is no UID, or a value is not text.
    """
    what = "getPatientStudy"
    study_instance_uid = _read_attribute(what, row, "StudyInstanceUID", to_text)
    if not study_instance_uid or not is_dicom_uid(study_instance_uid):
        raise ArchiveFaultError(f"{what}: row {row.number} has no StudyInstanceUID", next_step=HELP_DESK)
    on: date | None = None
    try:
        on = to_date(row.attributes.get("StudyDate") or "")
    except UnreadableError:
        oddities.note("StudyDate", row.attributes["StudyDate"])
    return study_instance_uid, {
        "study_id": _read_attribute(what, row, "StudyID", to_text),
        "study_date": on,
        "study_description": _read_attribute(what, row, "StudyDescription", to_text),
    }


def read_study_count(row: Row) -> StudyCount:
    """The number of series in one row of getPatientStudy; 0 if it is absent or invalid.

    Raises:
        ArchiveFaultError: an identifier is not text.
    """
    what = "getPatientStudy"
    try:
        series = to_count(row.attributes.get("SeriesCount") or 0) or 0
    except UnreadableError:
        series = 0
    return StudyCount(
        study_instance_uid=_read_attribute(what, row, "StudyInstanceUID", to_text) or "",
        patient_id=_read_attribute(what, row, "PatientID", to_text) or "",
        series=series,
    )


def read_patient(row: Row) -> str:
    """The identifier in one row of a list of patients, which generations spell differently (docs/archives.md#parameters).

    Raises:
        ArchiveFaultError: there is none.
    """
    for column in ("PatientId", "PatientID"):
        if name := _read_attribute("getPatient", row, column, to_text):
            return name
    raise ArchiveFaultError(f"getPatient: row {row.number} names no patient")


def read_sop_instance_uid(row: Row) -> str:
    """The UID in one row of getSOPInstanceUIDs, which is compared with those of images and may be invalid.

    Raises:
        ArchiveFaultError: there is none.
    """
    sop_instance_uid = _read_attribute("getSOPInstanceUIDs", row, "SOPInstanceUID", to_text)
    if not sop_instance_uid or not sop_instance_uid.strip():
        raise ArchiveFaultError(f"getSOPInstanceUIDs: row {row.number} has no SOPInstanceUID")
    return sop_instance_uid.strip(" \0")


def _read_attribute(what: str, row: Row, column: str, convert: Callable[[object], _Value]) -> _Value | None:
    value = row.attributes.get(column)
    try:
        return None if value is None else convert(value)
    except UnreadableError as error:
        raise ArchiveFaultError(f"{what}: row {row.number}: {column} is {quote_text(str(value))}") from error
