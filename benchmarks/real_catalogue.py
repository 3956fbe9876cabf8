"""The real catalogue: the index of public series of idc-index-data, in the form of the archive's v4.

python -m benchmarks.real_catalogue FOLDER SERIES_COUNT
"""

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from idc_index_data import IDC_INDEX_PARQUET_FILEPATH

from benchmarks.replies import catalogue_path, collections_path, write_rows

_COLUMNS = {
    "SeriesInstanceUID": "SeriesInstanceUID",
    "StudyInstanceUID": "StudyInstanceUID",
    "Modality": "Modality",
    "SeriesDate": "SeriesDate",
    "SeriesDescription": "SeriesDescription",
    "BodyPartExamined": "BodyPartExamined",
    "SeriesNumber": "SeriesNumber",
    "collection_id": "Collection",
    "PatientID": "PatientID",
    "PatientSex": "PatientSex",
    "PatientAge": "PatientAge",
    "Manufacturer": "Manufacturer",
    "ManufacturerModelName": "ManufacturerModelName",
    "instanceCount": "ImageCount",
    "license_short_name": "LicenseName",
    "StudyDescription": "StudyDesc",
    "StudyDate": "StudyDate",
}
_DATES = ("SeriesDate", "StudyDate")
_FIXED = {
    "AnnotationsFlag": "false",
    "LicenseURI": "https://creativecommons.org/licenses/by/4.0/",
    "DataDescriptionURI": "https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX",
    "MaxSubmissionTimestamp": "06-01-2020",
    "ReleasedStatus": "Yes",
    "DateReleased": "06-02-2020",
    "ThirdPartyAnalysis": "NO",
    "Authorized": 1,
}


def read_tcia_rows(columns: list[str]) -> list[dict[str, Any]]:
    """The rows of series that come from TCIA, without analysis results, slides, and their annotations."""
    return _read(columns, only_tcia=True)


def _read(columns: list[str], *, only_tcia: bool) -> list[dict[str, Any]]:
    filters = ["source_DOI", "analysis_result_id", "Modality"]
    table = pq.read_table(IDC_INDEX_PARQUET_FILEPATH, columns=sorted({*columns, *filters}))
    if only_tcia:
        is_tcia = pc.starts_with(table["source_DOI"], "10.7937", ignore_case=True)
        is_source = pc.invert(pc.is_in(table["Modality"], value_set=pc.cast(["SM", "ANN"], table["Modality"].type)))
        table = table.filter(pc.and_(pc.and_(is_tcia, is_source), pc.is_null(table["analysis_result_id"])))
    rows: list[dict[str, Any]] = table.select(columns).to_pylist()
    return rows


def make_catalogue(folder: Path, series_count: int) -> None:
    """Generate the replies for that many real series: those of TCIA first, then those of other sources."""
    columns = [*_COLUMNS, "series_size_MB"]
    rows = read_tcia_rows(columns)
    if series_count > len(rows):
        rows = _read(columns, only_tcia=False)
    rows = rows[:series_count]
    rows.sort(key=lambda row: row["collection_id"])
    names = []
    for collection, group in groupby(rows, key=lambda row: row["collection_id"]):
        names.append(collection)
        write_rows(catalogue_path(folder, collection), _as_v4(group))
    write_rows(collections_path(folder), ({"Collection": name} for name in names))
    (folder / "catalogue.json").write_text(json.dumps({"series": len(rows), "collections": len(names)}))


def _as_v4(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        told = {name: row[column] for column, name in _COLUMNS.items()} | _FIXED
        for name in _DATES:
            if date := told[name]:
                # yyyy-MM-dd in the index, MM-dd-yyyy in v4
                told[name] = f"{date[5:7]}-{date[8:10]}-{date[:4]}"
        told["FileSize"] = round(row["series_size_MB"] * 1e6)
        yield told


if __name__ == "__main__":
    make_catalogue(Path(sys.argv[1]), int(sys.argv[2]))
