"""The query endpoints: what they ask of the catalogue. The tables of the generations say who offers which."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from downloader.sandbox.answers import Answer, NoContent, Parameters, Table, Text, Value, first
from downloader.sandbox.catalogue import LISTED_ONLY, PUBLIC, Catalogue, Holding
from downloader.sandbox.columns import ColumnTable, Listing, released_after, submitted_on, table_of
from downloader.sandbox.digests import collection_md5, patient_md5, series_md5, study_md5
from downloader.sandbox.images import Images


@dataclass(frozen=True, slots=True)
class View:
    """The catalogue as one request sees it.

    `folds_case` tells whether modality, body part and manufacturer compare without case (docs/archives.md#parameters); `retold`
    is what faults make of a listing: another one, or None for a series that is gone.
    """

    catalogue: Catalogue
    images: Images
    folds_case: bool
    refusal: str
    retold: Callable[[Listing], Listing | None]

    def listed(self, holdings: Iterable[Holding]) -> list[Listing]:
        """These holdings with their live counts, as the faults retell them."""
        listings = (Listing(holding, self.images.count(holding), self.images.size_bytes(holding)) for holding in holdings)
        return [told for listing in listings if (told := self.retold(listing))]

    def find(self, parameters: Parameters, names: Sequence[str]) -> list[Listing]:
        """The public series that match every one of these parameters that the request has."""
        asked = [(name, value) for name in names if (value := first(parameters, name)) is not None]
        return self.listed(
            holding
            for holding in self.catalogue.holdings.values()
            if holding.series.visibility == PUBLIC
            and all(_equal(_FILTERS[name](holding), value, self._folds(name)) for name, value in asked)
        )

    def matches(self, held: Holding, name: str, asked: Iterable[str]) -> bool:
        """Whether one of these values is the series' own for this parameter."""
        return any(_equal(_FILTERS[name](held), value, self._folds(name)) for value in asked)

    def holding(self, series_instance_uid: str | None) -> Holding | None:
        """The series of that UID, whatever its visibility; None where it is unknown or gone."""
        held = self.catalogue.holdings.get(series_instance_uid or "")
        return held if held and self.listed([held]) else None

    def downloadable(self, series_instance_uid: str | None) -> Holding | None:
        """The series of that UID if its images may be had."""
        held = self.holding(series_instance_uid)
        return held if held and held.series.visibility == PUBLIC else None

    def _folds(self, name: str) -> bool:
        if name in {"Collection", "PatientID", "PatientId"}:
            return True
        return self.folds_case and not name.endswith("UID")


Answering = Callable[[View, Parameters], Answer]

_FILTERS: Final[Mapping[str, Callable[[Holding], str | None]]] = {
    "Collection": lambda held: held.collection.name,
    "PatientID": lambda held: held.patient.patient_id,
    "PatientId": lambda held: held.patient.patient_id,
    "StudyInstanceUID": lambda held: held.study.study_instance_uid,
    "SeriesInstanceUID": lambda held: held.series.series_instance_uid,
    "Modality": lambda held: held.series.modality,
    "BodyPartExamined": lambda held: held.series.body_part_examined,
    "Manufacturer": lambda held: held.series.manufacturer,
    "ManufacturerModelName": lambda held: held.series.manufacturer_model_name,
}


def values(column: str, filters: tuple[str, ...] = ()) -> Answering:
    """The distinct values of one attribute; a missing one counts as a value, and comes first (docs/archives.md#json-replies)."""

    def answer(view: View, parameters: Parameters) -> Answer:
        found = {_FILTERS[column](listing.holding) for listing in view.find(parameters, filters)}
        return Table(columns=(column,), rows=[(value,) for value in sorted(found, key=lambda value: value or "")])

    return answer


def values_and_counts(column: str, filters: tuple[str, ...], headings: tuple[str, ...]) -> Answering:
    """The distinct values of one attribute with the number of patients that have it, in JSON; then, in v4, `Authorized`."""

    def answer(view: View, parameters: Parameters) -> Answer:
        having: dict[str | None, set[tuple[str, ...]]] = {}
        for listing in view.find(parameters, filters):
            held = listing.holding
            having.setdefault(_FILTERS[column](held), set()).add(_patient_key(held))
        rows: list[tuple[Value, ...]] = [
            (value, len(having[value]), 1)[: len(headings)] for value in sorted(having, key=lambda value: value or "")
        ]
        return Table(columns=headings, rows=rows, formats=("json",))

    return answer


def patients(columns: tuple[str, ...], sources: ColumnTable, filters: tuple[str, ...]) -> Answering:
    """One row for each patient of each collection."""

    def answer(view: View, parameters: Parameters) -> Answer:
        return table_of(columns, sources, _one_each(view.find(parameters, filters), _patient_key))

    return answer


def studies(columns: tuple[str, ...], sources: ColumnTable, filters: tuple[str, ...]) -> Answering:
    """One row for each study of each patient."""

    def answer(view: View, parameters: Parameters) -> Answer:
        return table_of(columns, sources, _one_each(view.find(parameters, filters), _study_key))

    return answer


@dataclass(frozen=True, slots=True)
class NewSince:
    """How a generation asks for what is new: parameter, its date format, and whether that very day counts."""

    parameter: str
    parse: Callable[[str], date | None]
    that_day_counts: bool


def new_patients(columns: tuple[str, ...], sources: ColumnTable, since: NewSince) -> Answering:
    """Patients of a collection with a series submitted since a day; a date that does not parse finds nothing."""

    def answer(view: View, parameters: Parameters) -> Answer:
        new = _submitted_since(view.find(parameters, ("Collection",)), parameters, since)
        return table_of(columns, sources, _one_each(new, _patient_key))

    return answer


def new_studies(columns: tuple[str, ...], sources: ColumnTable, since: NewSince) -> Answering:
    """Studies of a collection, or of one of its patients, with a series submitted since a day."""

    def answer(view: View, parameters: Parameters) -> Answer:
        new = _submitted_since(view.find(parameters, ("Collection", "PatientID")), parameters, since)
        return table_of(columns, sources, _one_each(new, _study_key))

    return answer


def series(columns: tuple[str, ...], sources: ColumnTable, filters: tuple[str, ...]) -> Answering:
    """One row for each series."""

    def answer(view: View, parameters: Parameters) -> Answer:
        return table_of(columns, sources, view.find(parameters, filters))

    return answer


def updated_series(columns: tuple[str, ...], sources: ColumnTable, parse: Callable[[str], date | None]) -> Answering:
    """Series released after a day."""

    def answer(view: View, parameters: Parameters) -> Answer:
        asked = first(parameters, "fromDate")
        day = parse(asked) if asked is not None else None
        listings = view.find(parameters, ()) if asked is None or day else []
        return table_of(columns, sources, [listing for listing in listings if released_after(listing, day)])

    return answer


def series_size(*, unknown_is_a_row: bool) -> Answering:
    """Bytes and images of one series; v1 answers a row of nulls for one it does not know (docs/archives.md#series-queries)."""

    def answer(view: View, parameters: Parameters) -> Answer:
        found = view.find(parameters, ("SeriesInstanceUID",))
        rows: list[tuple[Value, ...]] = [(listing.file_size_bytes, listing.image_count) for listing in found]
        return Table(columns=("TotalSizeInBytes", "ObjectCount"), rows=rows or [(None, None)] * unknown_is_a_row)

    return answer


def series_metadata(sources: ColumnTable) -> Answering:
    """v1's getSeriesMetaData: one series, public or only listed; 204 if it does not exist."""

    def answer(view: View, parameters: Parameters) -> Answer:
        found = _known(view, parameters.get("SeriesInstanceUID", ()))
        return table_of(sources, sources, found) if found else NoContent()

    return answer


def metadata_of_list(columns: tuple[str, ...], sources: ColumnTable) -> Answering:
    """v4's getSeriesMetadata: those of the listed series that are known, as a CSV attachment unless asked otherwise."""

    def answer(view: View, parameters: Parameters) -> Answer:
        wanted = [uid.strip() for text in parameters.get("list", ()) for uid in text.split(",")]
        table = table_of(columns, sources, _known(view, wanted))
        formats = ("csv-download", *(name for name in table.formats if name != "csv-download"))
        return Table(columns=table.columns, rows=table.rows, formats=formats)

    return answer


def sop_instance_uids(view: View, parameters: Parameters) -> Answer:
    """The images of a series; visibility is not looked at (docs/archives.md#series-queries)."""
    held = view.holding(first(parameters, "SeriesInstanceUID"))
    images = view.images.of(held) if held else ()
    return Table(columns=("SOPInstanceUID",), rows=[(image.sop_instance_uid,) for image in images])


def contents_by_name(columns: tuple[str, ...], sources: ColumnTable) -> Answering:
    """The series of a shared list."""

    def answer(view: View, parameters: Parameters) -> Answer:
        wanted = view.catalogue.shared_carts.get(first(parameters, "name") or "", ())
        table = table_of(columns, sources, _known(view, wanted))
        return Table(columns=table.columns, rows=table.rows, formats=("json",))

    return answer


def image_md5(parameter: str) -> Answering:
    """The stored hash of one image, or nothing."""

    def answer(view: View, parameters: Parameters) -> Answer:
        wanted = first(parameters, parameter)
        held = view.images.owner(view.catalogue.holdings.values(), wanted)
        if not held or not view.downloadable(held.series.series_instance_uid):
            return Text("")
        image = next(image for image in view.images.of(held) if image.sop_instance_uid == wanted)
        return Text(view.images.md5(image))

    return answer


def md5_hierarchy(view: View, parameters: Parameters) -> Answer:
    """The hash of a series, a study, a patient or a collection (docs/archives.md#md5s); nothing where it is unknown."""
    names = ("SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Collection")
    held = [listing.holding for listing in view.find(parameters, names)]
    if not held or not any(name in parameters for name in names):
        return Text("")
    level = next(name for name in names if name in parameters)
    digest = {
        "SeriesInstanceUID": series_md5,
        "StudyInstanceUID": study_md5,
        "PatientID": patient_md5,
        "Collection": collection_md5,
    }[level]
    return Text(digest(view.images, held))


def status(_view: View, _parameters: Parameters) -> Answer:
    """That the service is there."""
    return Text("up")


def slashed_date(text: str) -> date | None:
    """`yyyy/MM/dd`, as v1's NewPatientsInCollection wants it."""
    return _strict(text, "%Y/%m/%d")


def dashed_date(text: str) -> date | None:
    """`MM-dd-yyyy`, as v4 wants every date."""
    return _strict(text, "%m-%d-%Y")


def lenient_date(text: str) -> date | None:
    """`dd/MM/yyyy` as Java reads it leniently: the 25th month is the first of the second year after.

    Source: docs/archives.md#series-queries.
    """
    parts = re.match(r"\s*(\d{1,4})/(\d{1,4})/(\d{1,4})", text)
    if not parts:
        return None
    day, month, year = (int(part) for part in parts.groups())
    years, months = divmod(month - 1, 12)
    if not 1 <= year + years <= 9000:
        return None
    return date(year + years, months + 1, 1) + timedelta(days=day - 1)


def _strict(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def _equal(value: str | None, asked: str, folds: bool) -> bool:
    if value is None:
        return False
    return value.upper() == asked.upper() if folds else value == asked


def _patient_key(held: Holding) -> tuple[str, ...]:
    return held.collection.name, held.patient.patient_id


def _study_key(held: Holding) -> tuple[str, ...]:
    return (*_patient_key(held), held.study.study_instance_uid)


def _one_each(listings: Iterable[Listing], key: Callable[[Holding], tuple[str, ...]]) -> list[Listing]:
    each: dict[tuple[str, ...], Listing] = {}
    for listing in listings:
        each.setdefault(key(listing.holding), listing)
    return list(each.values())


def _submitted_since(listings: Iterable[Listing], parameters: Parameters, since: NewSince) -> list[Listing]:
    day = since.parse(first(parameters, since.parameter) or "")
    if day is None:
        return []
    earliest = day if since.that_day_counts else day + timedelta(days=1)
    return [listing for listing in listings if (submitted_on(listing) or date.min) >= earliest]


def _known(view: View, wanted: Iterable[str]) -> list[Listing]:
    held = (view.catalogue.holdings.get(uid) for uid in dict.fromkeys(wanted))
    return view.listed(holding for holding in held if holding and holding.series.visibility in {PUBLIC, LISTED_ONLY})
