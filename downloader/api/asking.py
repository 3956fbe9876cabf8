"""`query`: what an archive says, in the words of its own generation."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TypedDict, Unpack

from downloader.api.blocking import wait_for
from downloader.api.keywords import prepare
from downloader.archive.port import Attributes, Question, Topic
from downloader.engine import open_archive_queries
from downloader.errors import SettingsError
from downloader.manifest import ArchiveAddress, named_address
from downloader.wording import refuse_choice


class QueryKeywords(TypedDict, total=False):
    """What to ask for; what is left out asks for any."""

    collection: str
    patient_id: str
    study_instance_uid: str
    series_instance_uids: tuple[str, ...]
    modality: str
    body_part_examined: str
    manufacturer: str
    manufacturer_model_name: str
    since: date
    shared_cart: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """What an archive answered.

    `rows` leave out what has no value; `attributes` are those that some row has, in the archive's order.
    """

    topic: Topic
    attributes: tuple[str, ...]
    rows: tuple[Attributes, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> Mapping[str, list[str | int | None]]:
        """The same by attribute, None where a row has no value; data frames take it as it is."""
        return {name: [row.get(name) for row in self.rows] for name in self.attributes}


async def query_async(
    what: str, *, archive: str = "tcia", api: str | None = None, **filters: Unpack[QueryKeywords]
) -> QueryResult:
    """Ask an archive.

    Args:
        what: collections, patients, studies, series, series-size, images and so on: the words of `tciad query`.
        archive: a built-in archive, or a base URL.
        api: generation of the API at a base URL; v4 unless given.
        filters: what to ask for, such as `collection="LIDC-IDRI"`.

    Raises:
        SettingsError: the archive's generation has no such query, or cannot be asked so.
        ArchiveError: it does not answer, or refuses.
    """
    _, settings = prepare({})
    if what not in list(Topic):
        raise SettingsError(f"what: {refuse_choice(what, [topic.value for topic in Topic])}")
    address: ArchiveAddress = named_address(archive, api, "archive")
    question = Question(topic=Topic(what), **filters)
    async with open_archive_queries(address, settings) as queries, aclosing(queries.find_rows(question)) as found:
        rows = tuple([row async for row in found])
        known = queries.offers[question.topic].attributes
    present = dict.fromkeys(name for row in rows for name in row)
    attributes = [name for name in known if name in present] + [name for name in present if name not in known]
    return QueryResult(topic=question.topic, attributes=tuple(attributes), rows=rows)


def query(what: str, *, archive: str = "tcia", api: str | None = None, **filters: Unpack[QueryKeywords]) -> QueryResult:
    """The same as `query_async`, for code that does not await."""
    return wait_for(partial(query_async, what, archive=archive, api=api, **filters))
