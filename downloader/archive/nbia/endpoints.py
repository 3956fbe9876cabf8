"""The tables of a generation of the API: endpoints and their parameters.

v1 ignores unknown parameters and replies with the whole archive; v4 refuses them (docs/archives.md#parameters). So requests are
filled only from these tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from downloader.archive.question import SERIES_ATTRIBUTE, SERIES_NAMES, ReplyFormat, Topic
from downloader.errors import TciadError
from downloader.model import Md5Mode, Series, SeriesQuery


class Method(Enum):
    """How an endpoint is requested: with parameters in the address, or as a form."""

    GET = "GET"
    POST = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint, `path` below the archive's address. Parameters have the generation's spelling.

    Source: docs/archives.md#parameters.
    """

    path: str
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    method: Method = Method.GET

    @property
    def name(self) -> str:
        """The endpoint's own name, for messages."""
        return self.path.rpartition("/")[2]

    def fill(self, values: Mapping[str, str]) -> dict[str, str]:
        """The parameters to send. Empty ones are left out, because the archive would filter by the empty value.

        Raises:
            TciadError: the endpoint lacks a parameter, or a required one has no value; an internal error.

        Source: docs/archives.md#parameters.
        """
        given = {name: value for name, value in values.items() if value}
        if unknown := given.keys() - self.required - self.optional:
            raise TciadError(f"{self.path} has no parameter {min(unknown)}")
        if missing := self.required - given.keys():
            raise TciadError(f"{self.path} needs the parameter {min(missing)}")
        return given


CARTS: Final = (
    "export the cart as a series list where you made it, and name that with series_list; "
    "the APIs v1 and v2 have carts, and v4 uses v1 of the same host"
)
"""The next step if carts are not available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """The archive's simple search: filters are numbered criteria, and rows arrive in pages (docs/archives.md#second-json-path).

    A page is an object: `resultSet` has the rows, and `totalPatients` their total number.
    """

    rows_at_once: int

    @staticmethod
    def parameters(criteria: int) -> frozenset[str]:
        """All parameters of a search by that many criteria."""
        numbered = {f"{name}{number}" for number in range(criteria) for name in ("criteriaType", "value")}
        return frozenset({*numbered, "start", "size", "sortField", "sortDirection"})

    def values_for(self, criteria: Sequence[tuple[str, str]], start: int = 0) -> dict[str, str]:
        """The parameters for these criteria, each with its value, and for the page that begins at row `start`.

        Without an order the archive fails. `tool` is never sent: it would add the search to a user's history.
        """
        values = {"sortField": "subject", "sortDirection": "ascending", "start": str(start), "size": str(self.rows_at_once)}
        for number, (criterion, value) in enumerate(criteria):
            values |= {f"criteriaType{number}": criterion, f"value{number}": value}
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryEndpoint:
    """One query of one generation.

    `filters` has the parameter of each available filter; `attributes` are the possible columns in the archive's order;
    `date_format` is the form of the filter `since` (strftime); `unasked` is the default format, None if a format is required;
    `at_once` is the number of series UIDs in one request, joined by commas. `fixed` is sent with every request. With `paging`,
    `filters` has the criterion of each filter.
    """

    endpoint: Endpoint
    filters: Mapping[str, str]
    attributes: tuple[str, ...]
    date_format: str = ""
    formats: tuple[ReplyFormat, ...] = tuple(ReplyFormat)
    unasked: ReplyFormat | None = ReplyFormat.JSON
    at_once: int = 1
    fixed: Mapping[str, str] = field(default_factory=dict)
    paging: Paging | None = None

    @property
    def row_attributes(self) -> tuple[str, ...]:
        """The attributes of the resulting rows: rows of a series that lack its UID get it as their first attribute."""
        return (SERIES_ATTRIBUTE, *self.attributes) if self.needs_series else self.attributes

    @property
    def needs_series(self) -> bool:
        """Whether rows are about one series and do not contain its UID."""
        asked_by_series = "series_instance_uid" in self.required_filters and self.at_once == 1
        return asked_by_series and not SERIES_NAMES.intersection(self.attributes)

    @property
    def required_filters(self) -> tuple[str, ...]:
        """The required filters."""
        return tuple(name for name, parameter in self.filters.items() if parameter in self.endpoint.required)

    def values_for(self, filters: Mapping[str, str], form: ReplyFormat = ReplyFormat.JSON) -> dict[str, str]:
        """The parameters for these filters, and for a reply in this format; with pages, for the first."""
        if self.paging is not None:
            return self.paging.values_for([(self.filters[name], value) for name, value in filters.items()])
        values = {**self.fixed, **{self.filters[name]: value for name, value in filters.items()}}
        return values if form is self.unasked else {**values, "format": form.value}

    def values_of(self, query: SeriesQuery) -> dict[str, str]:
        """The parameters for those attributes of the query that this generation can filter by."""
        asked = {name: getattr(query, name) for name in self.filters}
        return self.values_for({name: value for name, value in asked.items() if value})

    def find_mismatch(self, query: SeriesQuery, series: Series) -> str | None:
        """The first parameter sent that this row does not match; None if it matches all of them.

        Only text that differs in more than case and trailing blanks is a mismatch, because collations of the archive's database
        ignore both (docs/archives.md#parameters).
        """
        for attribute, parameter in self.filters.items():
            asked = getattr(query, attribute)
            if asked and fold(asked) != fold(getattr(series, attribute)):
                return parameter
        return None


def fold(text: str) -> str:
    """The text as collations of the archive's database compare it: without case and trailing blanks."""
    return text.casefold().rstrip(" ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEndpoint:
    """getSeriesMetadata and similar: `parameter` takes up to `limit` series UIDs joined by commas; `fixed` is sent with them.

    `attributes` are the possible columns.
    """

    endpoint: Endpoint
    parameter: str
    limit: int
    attributes: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRoute:
    """One route to the images of a series (docs/archives.md#image-endpoints).

    `md5_list` tells whether it includes md5hashes.csv.
    """

    endpoint: Endpoint
    md5_list: bool
    fixed: Mapping[str, str] = field(default_factory=dict)

    def serves(self, md5: Md5Mode) -> bool:
        """Whether the route is usable in this mode."""
        return self.md5_list if md5 is Md5Mode.REQUIRE else not (self.md5_list and md5 is Md5Mode.OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """All endpoints of one generation of the API.

    `queries` has at least collections, studies, series and series-size. `listed_series` is None if there is no query by list;
    `image_routes` are tried in order, because deployments lag behind the API; `single_image`, `image_md5` and `series_md5` are
    None if there is no such endpoint; `image_md5_parameter` is spelled differently in each generation.
    """

    name: str
    queries: Mapping[Topic, QueryEndpoint]
    listed_series: ListEndpoint | None
    image_routes: Sequence[ImageRoute]
    single_image: Endpoint | None = None
    image_md5: Endpoint | None = None
    image_md5_parameter: str = ""
    series_md5: Endpoint | None = None

    @property
    def series(self) -> QueryEndpoint:
        """The query getSeries."""
        return self.queries[Topic.SERIES]

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """All endpoints of the tables, without duplicates."""
        several = [query.endpoint for query in self.queries.values()] + [route.endpoint for route in self.image_routes]
        listing = self.listed_series.endpoint if self.listed_series else None
        single = (listing, self.single_image, self.image_md5, self.series_md5)
        return list(dict.fromkeys([*several, *(endpoint for endpoint in single if endpoint)]))
