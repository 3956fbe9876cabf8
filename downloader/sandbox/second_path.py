"""What the archive writes by its second way to JSON: nulls are there, and nothing at all is `[]`.

Source: docs/archives.md#second-json-path.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import pydicom
from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from downloader.sandbox.answers import Answer, Parameters, Refusal, ServerFault, Text, first
from downloader.sandbox.catalogue import PUBLIC, Holding, SandboxCollection
from downloader.sandbox.generations import Endpoint
from downloader.sandbox.queries import Answering, View

_JSON: Final = ("application/json",)
_CRITERIA: Final[Mapping[str, str]] = {
    "CollectionCriteria": "Collection",
    "PatientCriteria": "PatientID",
    "ImageModalityCriteria": "Modality",
    "AnatomicalSiteCriteria": "BodyPartExamined",
    "ManufacturerCriteria": "Manufacturer",
    "ModelCriteria": "ManufacturerModelName",
}
_MOST_CRITERIA: Final = 20
_PAGING: Final = ("sortField", "sortDirection", "start", "size")
_SEARCH_PARAMETERS: Final = (
    *(f"{name}{number}" for number in range(_MOST_CRITERIA) for name in ("criteriaType", "value", "fromDate", "toDate")),
    *_PAGING,
    "tool",
)


def make_endpoints(*, search: str, is_v4: bool) -> tuple[Endpoint, ...]:
    """The endpoints of v4, or of those without a version."""
    return (
        _endpoint("getCollectionDescriptions", ("collectionName",), _descriptions(is_v4=is_v4)),
        _endpoint("getDicomTags", ("SeriesUID",), _dicom_tags),
        _endpoint("getCollectionOrSeriesForDOI", ("DOI", "CollectionOrSeries"), _by_doi(is_v4=is_v4), method="POST"),
        _endpoint(search, _SEARCH_PARAMETERS, _search, method="POST"),
    )


def _endpoint(name: str, parameters: tuple[str, ...], answer: Answering, *, method: str = "GET") -> Endpoint:
    return Endpoint(name=name, method=method, parameters=parameters, produces=_JSON, has_format=False, answer=answer)


def _descriptions(*, is_v4: bool) -> Answering:
    """Of all collections, or of one by its exact name; v4 has none of an unknown one, the older form one of nulls."""

    def answer(view: View, parameters: Parameters) -> Answer:
        wanted = first(parameters, "collectionName")
        known = [
            collection
            for collection in view.catalogue.collections
            if any(view.find({"Collection": [collection.name]}, ("Collection",))) and wanted in {None, "", collection.name}
        ]
        rows = [_description(number, collection, is_v4=is_v4) for number, collection in enumerate(known, start=1)]
        if wanted and not rows and not is_v4:
            rows = [
                {**dict.fromkeys(_description(1, SandboxCollection(name="", patients=()), is_v4=False)), "collectionName": wanted}
            ]
        return _text(rows)

    return answer


def _description(number: int, collection: SandboxCollection, *, is_v4: bool) -> dict[str, Any]:
    told = {"description": collection.description, "id": number}
    if not is_v4:
        told["collectionDescTimestamp"] = 1_700_000_000_000
    told["collectionName"] = collection.name
    if not is_v4:
        told |= {"userName": "curator", "licenseId": 1}
    return {**told, "descriptionURI": collection.data_description_uri}


def _by_doi(*, is_v4: bool) -> Answering:
    """Collections, or series, whose data description is at this address; of everything without one. Nulls are left out."""

    def answer(view: View, parameters: Parameters) -> Answer:
        wanted = first(parameters, "DOI")
        for_series = (first(parameters, "CollectionOrSeries") or "").lower() == "series"
        rows: dict[tuple[str, ...], dict[str, Any]] = {}
        for listing in view.find({}, ()):
            held = listing.holding
            if wanted and held.collection.data_description_uri != wanted:
                continue
            row: dict[str, Any] = {"collection": held.collection.name}
            if for_series:
                row["seriesInstanceUID"] = held.series.series_instance_uid
            row["thirdPartyAnanlysis"] = held.series.third_party_analysis
            if is_v4:
                row["authorized"] = 1
            rows[tuple(map(str, row.values()))] = {name: value for name, value in row.items() if value is not None}
        return _text(rows.values())

    return answer


def _dicom_tags(view: View, parameters: Parameters) -> Answer:
    """The header of one image, element by element; nothing where there is no image."""
    wanted = first(parameters, "SeriesUID")
    held = view.downloadable(wanted)
    if held is None:
        return Refusal(view.refusal.format(wanted))
    images = view.images.of(held)
    if not images:
        return Text("")
    content = BytesIO(b"".join(map(bytes, images[0].chunks())))
    dataset = pydicom.dcmread(content, stop_before_pixels=True, force=True)
    return _text([*_elements(dataset.file_meta), *_elements(dataset)])


def _elements(dataset: Dataset, depth: str = "") -> Iterable[dict[str, str]]:
    """Elements of a sequence stand between its own two, with a `>` for each level."""
    for element in dataset:
        tag = f"{depth}({element.tag.group:04X},{element.tag.element:04X})"
        name = dictionary_description(element.tag) if not element.tag.is_private else ""
        if element.VR != "SQ":
            value = element.value if isinstance(element.value, list) else str(element.value or "")
            yield {"element": tag, "name": name, "data": "\\".join(map(str, value)) if isinstance(value, list) else value}
            continue
        yield {"element": tag, "name": name, "data": ""}
        for item in element.value:
            yield from _elements(item, f"{depth}>")
        yield {"element": tag, "name": f"End {name}", "data": ""}


def _search(view: View, parameters: Parameters) -> Answer:
    """Patients by criteria, a page of them; without an order or beyond the end the archive falls over.

    Source: docs/archives.md#second-json-path.
    """
    paging = [first(parameters, name) for name in _PAGING]
    if None in paging or not all((text or "").isdigit() for text in paging[2:]):
        return ServerFault()
    start, size = int(paging[2] or 0), int(paging[3] or 0)
    found = _patients(view, _criteria(parameters))
    if start > len(found):
        return ServerFault()
    page = {
        "resultSet": found[start : start + size],
        "totalPatients": len(found),
        **{name: [] for name in ("bodyParts", "modalities", "collections", "species")},
        "maxTimepoints": {},
        "minTimepoints": {},
        "sort": f"{paging[0]}-{paging[1]}",
    }
    return Text(json.dumps(page))


def _criteria(parameters: Parameters) -> dict[str, list[str]]:
    """The values of each criterion, by the parameter that other endpoints have for it. They are read up to the first gap."""
    wanted: dict[str, list[str]] = {}
    for number in range(_MOST_CRITERIA):
        kind = first(parameters, f"criteriaType{number}")
        if kind is None:
            break
        if kind in _CRITERIA:
            wanted.setdefault(_CRITERIA[kind], []).append(first(parameters, f"value{number}") or "")
    return wanted


def _patients(view: View, wanted: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Patients with a series that meets every criterion, in the order of their identifiers."""
    met: dict[tuple[str, str], list[Holding]] = {}
    for held in view.catalogue.holdings.values():
        if held.series.visibility == PUBLIC and all(view.matches(held, name, values) for name, values in wanted.items()):
            met.setdefault((held.patient.patient_id, held.collection.name), []).append(held)
    return [_patient(number, met[key]) for number, key in enumerate(sorted(met), start=1)]


def _patient(number: int, held: Sequence[Holding]) -> dict[str, Any]:
    patient = held[0].patient
    studies = {one.study.study_instance_uid for one in held}
    return {
        "id": number,
        "subjectId": patient.patient_id,
        "project": held[0].collection.name,
        "totalNumberOfStudies": len(patient.studies),
        "totalNumberOfSeries": sum(len(study.series) for study in patient.studies),
        "studyIdentifiers": [{"studyIdentifier": index, "seriesIdentifiers": [index]} for index in range(len(studies))],
        "modalities": sorted({one.series.modality for one in held}),
        "bodyParts": sorted({one.series.body_part_examined for one in held if one.series.body_part_examined}),
        "species": [patient.species_code],
        "timepoints": {},
    }


def _text(rows: Iterable[Mapping[str, Any]]) -> Text:
    return Text(json.dumps(list(rows), ensure_ascii=False))
