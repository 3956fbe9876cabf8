"""Chooses the getSeries queries that cover the series of a manifest's entry."""

from itertools import product
from typing import Final

from downloader.manifest import Selection
from downloader.model import SeriesQuery

MOST_QUERIES_PER_COLLECTION: Final = 20
"""Above this number, a single query for the whole collection is less load for the archive than one per patient."""


def plan_queries(selection: Selection, collection: str | None) -> list[SeriesQuery]:
    """The getSeries queries that together return every series of one collection that an entry may select.

    The archive filters only by exact values; globs, ranges and long lists are applied to its rows.
    """
    narrow: dict[str, tuple[str, ...]] = {}
    for key in ("patient_id", "study_instance_uid"):
        values = selection.exact(key)
        if values is not None and len(values) <= MOST_QUERIES_PER_COLLECTION:
            narrow[key] = values
    modalities = selection.exact("modality")
    if modalities is not None and len(modalities) == 1:
        # v1 compares modalities exactly, and DICOM writes them in capitals (PS3.3 C.7.3.1.1.1)
        narrow["modality"] = (modalities[0].upper(),)
    combinations = list(product(*narrow.values()))
    if len(combinations) > MOST_QUERIES_PER_COLLECTION:
        return [SeriesQuery(collection=collection)]
    return [SeriesQuery(collection=collection, **dict(zip(narrow, values, strict=True))) for values in combinations]


def asked_keys(selection: Selection) -> frozenset[str]:
    """The keys that the archive filters by: its rows always match them."""
    queries = plan_queries(selection, None)
    asked = {key for key in selection.keys for query in queries if getattr(query, key, None) is not None}
    return frozenset(asked | ({"collection"} if selection.limits("collection") else set()))


def is_whole_collection(query: SeriesQuery) -> bool:
    """Whether the query requests all series of one collection: an empty response then contradicts the collection's existence."""
    return query == SeriesQuery(collection=query.collection) and query.collection is not None


def describe(query: SeriesQuery) -> str:
    """The query on one line, for logs and messages."""
    names = ("collection", "patient_id", "study_instance_uid", "modality")
    given = [f"{name}={value!r}" for name in names if (value := getattr(query, name)) is not None]
    return " ".join(given) or "of the whole archive"
