"""`query`: the rows of an archive, with the attribute names of its generation."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TypedDict, Unpack

import anyio.to_thread

from downloader.api.blocking import wait_for
from downloader.api.keywords import prepare
from downloader.archive.question import Attributes, Topic, UnlistedSeries, make_question
from downloader.engine.mirror import open_archive_queries
from downloader.errors import SettingsError
from downloader.manifest import ArchiveAddress, named_address, read_archive

ArchiveLike = str | Mapping[str, object]
"""A built-in archive, a base URL, or a mapping as a manifest's `archive` has it: `base_url`, `api`, `auth`."""


class QueryKeywords(TypedDict, total=False):
    """Filters of a query; a filter that is left out selects all. The names are those of `tciad query`.

    Attributes:
        collection: its name; case does not matter.
        patient_id: as the archive spells it.
        study_instance_uid: one study.
        series_instance_uids: one series, or several.
        modality: such as CT.
        body_part_examined: as the archive spells it.
        manufacturer: as the archive spells it.
        manufacturer_model_name: as the archive spells it.
        since: for new-patients, new-studies and updated-series; a date, or text such as 2026-01-31.
        shared_cart: name of a cart, for shared-cart.
        doi: for doi-collections and doi-series, as an address or bare.
    """

    collection: str
    patient_id: str
    study_instance_uid: str
    series_instance_uids: str | Sequence[str]
    modality: str
    body_part_examined: str
    manufacturer: str
    manufacturer_model_name: str
    since: date | str
    shared_cart: str
    doi: str


Row = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """The reply of an archive.

    `attributes` are those that some row has, in the archive's order. Each of `rows` has all of them, None where the archive gave
    no value; the other values of an attribute are all numbers or all text. A data frame is made of `columns`: pandas takes the
    rows as well, but polars reads types from the first hundred only, where an attribute may have no value yet.
    `unlisted` are the requested series that have no row.
    """

    topic: Topic
    attributes: tuple[str, ...]
    rows: tuple[Row, ...]
    unlisted: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> Mapping[str, list[str | int | None]]:
        """The same by attribute: `polars.DataFrame(result.columns)`, `pandas.DataFrame(result.columns)`."""
        return {name: [row[name] for row in self.rows] for name in self.attributes}


async def query_async(
    what: str, *, archive: ArchiveLike = "tcia", api: str | None = None, **filters: Unpack[QueryKeywords]
) -> QueryResult:
    """Send a query to an archive.

    Args:
        what: collections, patients, studies, series, series-size, images and so on: the words of `tciad query`.
        archive: a built-in archive, a base URL, or a mapping as a manifest's `archive` has it, with `auth` to sign in. Secrets
            come from files that it names (relative to the working directory) or from the environment, as for a manifest.
        api: generation of the API at a base URL, v4 unless given; or another one of a built-in archive.
        filters: such as `collection="LIDC-IDRI"`; see `QueryKeywords`.

    Raises:
        SettingsError: a filter that cannot be, or one that the archive's generation cannot be asked by; it has no such query;
            credentials are missing.
        ManifestError: the mapping is wrong.
        ArchiveError: the archive does not respond, or refuses the query.
    """
    _, settings = prepare({})
    question = make_question(what, filters)
    address = await anyio.to_thread.run_sync(_address_of, archive, api)
    unlisted = UnlistedSeries(question)
    async with open_archive_queries(address, settings) as queries, aclosing(queries.find_rows(question)) as found:
        rows = []
        async for row in found:
            unlisted.note(row)
            rows.append(row)
        known = queries.offers[question.topic].row_attributes
    present = dict.fromkeys(name for row in rows for name in row)
    attributes = [name for name in known if name in present] + [name for name in present if name not in known]
    mixed = [name for name in attributes if len({type(row[name]) for row in rows if name in row}) > 1]
    told = tuple({name: row.get(name) for name in attributes} | _as_text(row, mixed) for row in rows)
    return QueryResult(topic=question.topic, attributes=tuple(attributes), rows=told, unlisted=unlisted.left)


def _as_text(row: Attributes, names: Sequence[str]) -> dict[str, str | int | None]:
    """Numbers of attributes that are text in other rows: a column has one type."""
    return {name: str(row[name]) for name in names if name in row}


def query(what: str, *, archive: ArchiveLike = "tcia", api: str | None = None, **filters: Unpack[QueryKeywords]) -> QueryResult:
    """The same as `query_async`, for synchronous code."""
    return wait_for(partial(query_async, what, archive=archive, api=api, **filters))


def _address_of(archive: ArchiveLike, api: str | None) -> ArchiveAddress:
    """The address of the archive. Blocks."""
    if isinstance(archive, str):
        return named_address(archive, api, "archive")
    if api is not None:
        raise SettingsError("archive: the mapping says which api; leave the other one out")
    return read_archive(archive, "query")
