"""The REST API of 2013: the endpoint table.

Source: docs/archives.md#api-history, #api-keys, #the-api-of-2013, and the TCIA REST API usage guide v1.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from downloader.sandbox import downloads, queries
from downloader.sandbox.answers import Answer, Parameters, Table, Text
from downloader.sandbox.columns import V1
from downloader.sandbox.generations import ZIP_TYPES, Endpoint, Generation, Security
from downloader.sandbox.queries import Answering, View

ROOT: Final = "/services/TCIA/TCIA/"
PATIENT_COLUMNS: Final = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "EthnicGroup", "Collection")
STUDY_COLUMNS: Final = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyDescription",
    "AdmittingDiagnosesDescription",
    "StudyID",
    "PatientAge",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "EthnicGroup",
    "Collection",
    "SeriesCount",
)
SERIES_COLUMNS: Final = (
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "Modality",
    "ProtocolName",
    "SeriesDate",
    "SeriesDescription",
    "BodyPartExamined",
    "SeriesNumber",
    "AnnotationsFlag",
    "Collection",
    "PatientID",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ImageCount",
)
_FORMATS: Final = ("csv", "json", "html", "xml")
_VALUE_FILTERS: Final = ("Collection", "BodyPartExamined", "Modality")
_STUDY_FILTERS: Final = ("Collection", "PatientID", "StudyInstanceUID")
_SERIES_FILTERS: Final = (*_STUDY_FILTERS, "Modality")


def _csv_first(answering: Answering) -> Answering:
    """CSV unless asked otherwise, which the guide describes first."""

    def answer(view: View, parameters: Parameters) -> Answer:
        table = answering(view, parameters)
        return replace(table, formats=_FORMATS) if isinstance(table, Table) else table

    return answer


def _size_as_text(view: View, parameters: Parameters) -> Answer:
    """Figures came as text, sizes with decimals (docs/archives.md#series-queries)."""
    table = queries.series_size(unknown_is_a_row=False)(view, parameters)
    if not isinstance(table, Table):
        return table
    return replace(table, rows=[(f"{size}.000000", str(images)) for size, images in table.rows])


_QUERIES: Final = (
    Endpoint(name="getCollectionValues", answer=_csv_first(queries.values("Collection"))),
    *(
        Endpoint(name=name, parameters=_VALUE_FILTERS, answer=_csv_first(queries.values(column, _VALUE_FILTERS)))
        for name, column in (
            ("getModalityValues", "Modality"),
            ("getBodyPartValues", "BodyPartExamined"),
            ("getManufacturerValues", "Manufacturer"),
        )
    ),
    Endpoint(
        name="getPatient",
        parameters=("Collection",),
        answer=_csv_first(queries.patients(PATIENT_COLUMNS, V1, ("Collection",))),
    ),
    Endpoint(
        name="getPatientStudy",
        parameters=_STUDY_FILTERS,
        answer=_csv_first(queries.studies(STUDY_COLUMNS, V1, _STUDY_FILTERS)),
    ),
    Endpoint(
        name="getSeries",
        parameters=_SERIES_FILTERS,
        answer=_csv_first(queries.series(SERIES_COLUMNS, V1, _SERIES_FILTERS)),
    ),
    Endpoint(
        name="getSeriesSize",
        parameters=("SeriesInstanceUID",),
        required=("SeriesInstanceUID",),
        answer=_csv_first(_size_as_text),
    ),
)
_GET_IMAGE: Final = Endpoint(
    name="getImage",
    parameters=("SeriesInstanceUID",),
    required=("SeriesInstanceUID",),
    produces=ZIP_TYPES,
    has_format=False,
    answer=downloads.get_counted_image,
)


def _describe(text: str, _view: View, _parameters: Parameters) -> Answer:
    return Text(text)


def _descriptions() -> Iterator[Endpoint]:
    """What each endpoint is, below it under `/metadata`."""
    for described in (*_QUERIES, _GET_IMAGE):
        formats = [name.upper() for name in _FORMATS] if described.has_format else ["ZIP"]
        keys = [{"name": name, "required": name in described.required} for name in described.parameters]
        text = json.dumps({"query": described.name, "queryKeys": keys, "outputFormats": formats})
        yield Endpoint(
            name=f"{described.name}/metadata",
            produces=("application/json",),
            has_format=False,
            answer=partial(_describe, text),
        )


BINDAAS: Final = Generation(
    name="bindaas",
    prefix="query/",
    roots=(ROOT,),
    endpoints=(*_QUERIES, _GET_IMAGE, *_descriptions()),
    strict=False,
    folds_case=False,
    refusal="Image with given SeriesInstanceUID,{}, is not in public domain.",
    security=Security.KEY,
)
