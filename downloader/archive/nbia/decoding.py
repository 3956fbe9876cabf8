"""The one place where the archive's JSON becomes nouns. It reads what arrives, as it arrives, and knows no network.

Replies are lists of objects (docs/archives.md#json-replies): absent attributes are absent, numbers may be text, and what is not
such a list is the archive's way to say that it failed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

import ijson
import structlog

from downloader.archive.nbia.error_replies import quote_text, quote_value
from downloader.archive.nbia.html_text import plain_text
from downloader.archive.nbia.json_depth import NestingWatch
from downloader.archive.nbia.values import UnreadableError, to_count, to_date, to_datetime, to_number_text, to_text
from downloader.archive.port import CollectionDescription, NoteUnreadable, SeriesSize, StudyCount, UnreadableRow
from downloader.errors import ArchiveFaultError
from downloader.model import Series, is_dicom_uid

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_HEAD_BYTES: Final = 2048
_NAMED_ROWS: Final = 5
_FEW_ROWS: Final = 10
"""So many unreadable rows are rows of a list all the same, though it has fewer others."""
_DEEPEST: Final = 32
_ROW_BYTES_MAX: Final = 4 * 1024 * 1024
MOST_ROWS: Final = 5_000_000
"""Ten times as many series as the largest archive has; a list that goes on is none."""
_HELP_DESK: Final = "tell the archive's help desk if this lasts"
_Value = TypeVar("_Value")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a reply's list; `number` counts from 1, empty objects included."""

    number: int
    attributes: Mapping[str, object]


class RowReader:
    """Takes the chunks of one reply and gives its rows; holds no more than one chunk's worth of them.

    Args:
        what: the endpoint, for messages.
        most_rows: a list of more has no end.
    """

    def __init__(self, what: str, most_rows: int = MOST_ROWS) -> None:
        self._what = what
        self._most_rows = most_rows
        self._head = bytearray()
        self._rows_begun = False
        self._number = 0
        self._row_bytes = 0
        self._blank_bytes = 0
        self._nesting = NestingWatch(_DEEPEST)
        self._parsed: Any = ijson.sendable_list()
        self._parser: Any = ijson.items_coro(self._parsed, "item", use_float=True)

    def feed(self, chunk: bytes) -> list[Row]:
        """The rows that this chunk completes; `{}` is no row (docs/archives.md#json-replies).

        Raises:
            ArchiveFaultError: this is no list of objects.
        """
        if not chunk:
            # the parser would take it for the end
            return []
        if self._rows_begun:
            return self._parse(chunk)
        self._head += chunk
        begin = bytes(self._head).removeprefix(_BYTE_ORDER_MARK).lstrip()
        if begin.startswith(b"["):
            self._rows_begun = True
            return self._parse(begin)
        if not begin:
            self._blank_bytes += len(self._head)
            self._head.clear()
            if self._blank_bytes > _ROW_BYTES_MAX:
                raise self._broken(f"begins with more than {_ROW_BYTES_MAX:,} blanks")
        elif len(self._head) > _HEAD_BYTES:
            raise self._refuse(begin)
        return []

    def finish(self) -> None:
        """Tell that the body has ended. A blank body is a list without rows (docs/archives.md#empty-replies).

        Raises:
            ArchiveFaultError: the list did not end, or there was none.
        """
        if not self._rows_begun:
            if begin := bytes(self._head).removeprefix(_BYTE_ORDER_MARK).strip():
                raise self._refuse(begin)
            return
        try:
            self._parser.close()
        except ijson.JSONError as error:
            raise self._broken("breaks off") from error

    def _parse(self, chunk: bytes) -> list[Row]:
        if self._nesting.is_too_deep(chunk):
            raise self._broken("nests more deeply than rows do")
        try:
            self._parser.send(chunk)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise self._broken("is no JSON", f" ({_reason(error)})") from error
        if not self._parsed:
            self._row_bytes += len(chunk)
            if self._row_bytes > _ROW_BYTES_MAX:
                raise self._broken(f"goes on for more than {_ROW_BYTES_MAX:,} bytes without another row")
            return []
        self._row_bytes = 0
        rows: list[Row] = []
        for attributes in self._parsed:
            self._number += 1
            if self._number > self._most_rows:
                raise self._broken("does not end")
            if not isinstance(attributes, dict):
                raise ArchiveFaultError(f"{self._what}: row {self._number} is no object", next_step=_HELP_DESK)
            if attributes:
                rows.append(Row(self._number, attributes))
        self._parsed.clear()
        return rows

    def _broken(self, how: str, why: str = "") -> ArchiveFaultError:
        row = self._number + len(self._parsed)
        return ArchiveFaultError(f"{self._what}: the list of rows {how} after row {row}{why}", next_step=_HELP_DESK)

    def _refuse(self, begin: bytes) -> ArchiveFaultError:
        kind = {b"<": "a web page", b"{": "an object"}.get(begin[:1], "a text")
        text = quote_text(begin[:_HEAD_BYTES].decode("utf-8", "replace"))
        return ArchiveFaultError(
            f"{self._what}: {kind} came in place of a list of rows: {text}", next_step="check base_url if this lasts"
        )


def _reason(error: ijson.JSONError | UnicodeDecodeError) -> str:
    """What the parser did not like, without the text that it shows around the place."""
    if isinstance(error, UnicodeDecodeError):
        return "half a surrogate pair"
    said = error.args[0] if error.args else ""
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
    return text.partition("\n")[0].rstrip(".")


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
"""Column, attribute, converter: those of v1 and v4 together (docs/archives.md#series-queries). Other columns are passed over."""


def attributes_of(columns: Iterable[str]) -> frozenset[str]:
    """The attributes of a Series that rows of these columns can tell."""
    return frozenset(_COLUMNS[column][0] for column in columns if column in _COLUMNS)


_DATE_CONVERTERS: Final[frozenset[_Converter]] = frozenset({to_date, to_datetime})


@dataclass(slots=True)
class Oddities:
    """Dates that no calendar has: real catalogues hold some, and none is worth losing a series for. `first` is an example."""

    count: int = 0
    first: str = ""

    def note(self, column: str, value: object) -> None:
        """Another one."""
        self.count += 1
        self.first = self.first or f"{column} {quote_text(str(value))}"

    def tell(self, archive: str) -> None:
        """Log them, if there are any."""
        if self.count:
            _log.warning("dates of the catalogue cannot be read", archive=archive, count=self.count, first=self.first)


class SeriesReader:
    """Takes the chunks of one reply of getSeries or getSeriesMetadata and gives its series.

    A row that cannot be read does not hide the others.

    Args:
        what: the endpoint, for messages.
        note: takes rows that cannot be read; without it, one such row is an error at the end.
    """

    def __init__(self, what: str, note: NoteUnreadable | None = None) -> None:
        self.unreadable_dates = Oddities()
        self._what = what
        self._note = note
        self._rows = RowReader(what)
        self._read_rows = self._unread_rows = 0
        self._first_unread: list[str] = []
        self._names_series = False

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
        """Tell that the body has ended.

        Raises:
            ArchiveFaultError: the list did not end, or rows of it could not be read: most of them, or one without `note`.
        """
        self._rows.finish()
        is_a_list = self._unread_rows <= max(self._read_rows, _FEW_ROWS) and (self._names_series or self._read_rows > 0)
        if self._unread_rows and (self._note is None or not is_a_list):
            unnamed = self._unread_rows - len(self._first_unread)
            more = f" and {unnamed} more" if unnamed else ""
            raise ArchiveFaultError(
                f"{self._what}: cannot read {', '.join(self._first_unread)}{more}",
                next_step=_HELP_DESK,
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
        values: dict[str, Any] = {}
        for column, value in row.attributes.items():
            known = _COLUMNS.get(column)
            if known is None or value is None:
                continue
            attribute, convert = known
            if convert is to_text and type(value) is str:
                # nine attributes of ten, and half a million rows
                values[attribute] = value
                continue
            try:
                values[attribute] = convert(value)
            except UnreadableError as error:
                if convert not in _DATE_CONVERTERS:
                    raise UnreadableError(f"{column} is {quote_value(value)}") from error
                self.unreadable_dates.note(column, value)
        series_instance_uid = values.get("series_instance_uid", "")
        if not is_dicom_uid(series_instance_uid):
            shown = quote_value(series_instance_uid)
            raise UnreadableError(f"SeriesInstanceUID is {shown}" if series_instance_uid else "no SeriesInstanceUID")
        return Series(**values)


def read_series_size(row: Row) -> SeriesSize:
    """The figures of one row of getSeriesSize; it leaves out what it does not know (docs/archives.md#series-queries).

    Raises:
        ArchiveFaultError: a figure is none.
    """
    count = _read_attribute("getSeriesSize", row, "ObjectCount", to_count)
    size = _read_attribute("getSeriesSize", row, "TotalSizeInBytes", to_count)
    return SeriesSize(image_count=count, file_size_bytes=size)


def read_collection(row: Row) -> str:
    """The name in one row of getCollectionValues, exactly as the archive spells it.

    Raises:
        ArchiveFaultError: there is none.
    """
    name = _read_attribute("getCollectionValues", row, "Collection", to_text)
    if not name:
        raise ArchiveFaultError(f"getCollectionValues: row {row.number} names no collection")
    return name


def read_description(row: Row) -> tuple[str, CollectionDescription]:
    """The collection in one row of getCollectionDescriptions, and what is said of it: HTML becomes plain text.

    Raises:
        ArchiveFaultError: it is text of no kind.
    """
    name, text, uri = (
        _read_attribute("getCollectionDescriptions", row, column, to_text) or ""
        for column in ("collectionName", "description", "descriptionURI")
    )
    return name, CollectionDescription(text=plain_text(text), uri=plain_text(uri).replace("\n", " "))


def read_study(row: Row, oddities: Oddities) -> tuple[str, Mapping[str, str | date | None]]:
    """The UID in one row of getPatientStudy, and what a series has of its study, by attribute; an unreadable date is none.

    Raises:
        ArchiveFaultError: there is no UID, or text is none.
    """
    what = "getPatientStudy"
    study_instance_uid = _read_attribute(what, row, "StudyInstanceUID", to_text)
    if not study_instance_uid or not is_dicom_uid(study_instance_uid):
        raise ArchiveFaultError(f"{what}: row {row.number} holds no StudyInstanceUID", next_step=_HELP_DESK)
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
    """How many series one row of getPatientStudy counts; 0 where it does not say, or says what is no figure.

    Raises:
        ArchiveFaultError: an identifier is no text.
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
    """The UID in one row of getSOPInstanceUIDs, which is compared with those of images and need not be a valid one.

    Raises:
        ArchiveFaultError: there is none.
    """
    sop_instance_uid = _read_attribute("getSOPInstanceUIDs", row, "SOPInstanceUID", to_text)
    if not sop_instance_uid or not sop_instance_uid.strip():
        raise ArchiveFaultError(f"getSOPInstanceUIDs: row {row.number} holds no SOPInstanceUID")
    return sop_instance_uid.strip(" \0")


def _read_attribute(what: str, row: Row, column: str, convert: Callable[[object], _Value]) -> _Value | None:
    value = row.attributes.get(column)
    try:
        return None if value is None else convert(value)
    except UnreadableError as error:
        raise ArchiveFaultError(f"{what}: row {row.number}: {column} is {quote_text(str(value))}") from error
