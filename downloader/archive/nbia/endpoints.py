"""What a generation of the API is made of: a table of endpoints, of the parameters that each of them has, and little else.

v1 passes over a parameter that it does not know and answers with the whole archive; v4 refuses it
(docs/archives.md#parameters). So requests are filled from these tables and from nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from downloader.archive.question import SERIES_ATTRIBUTE, SERIES_NAMES, ReplyFormat, Topic
from downloader.errors import TciadError
from downloader.model import Md5Mode, Series, SeriesQuery


class Method(Enum):
    """How an endpoint is asked: parameters in the address, or as a form."""

    GET = "GET"
    POST = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint, `path` below the archive's address. Names of parameters are spelled as the generation does.

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
        """The parameters to send. Empty ones are left out, since the archive would filter on emptiness.

        Raises:
            TciadError: a parameter that the endpoint does not have, or a required one without value; our own mistake.

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
"""What to do where carts cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """The archive's simple search: filters are numbered criteria, and rows come in pages (docs/archives.md#second-json-path).

    A page is an object: the rows are its `resultSet`, and `totalPatients` says how many there are in all.
    """

    rows_at_once: int

    @staticmethod
    def parameters(criteria: int) -> frozenset[str]:
        """Every parameter of a search by up to so many criteria."""
        numbered = {f"{name}{number}" for number in range(criteria) for name in ("criteriaType", "value")}
        return frozenset({*numbered, "start", "size", "sortField", "sortDirection"})

    def values_for(self, criteria: Sequence[tuple[str, str]], start: int = 0) -> dict[str, str]:
        """The parameters for these criteria, each with its value, and for the page that begins at row `start`.

        Without an order the archive fails. `tool` is never said: it would enter the search into somebody's history.
        """
        values = {"sortField": "subject", "sortDirection": "ascending", "start": str(start), "size": str(self.rows_at_once)}
        for number, (criterion, value) in enumerate(criteria):
            values |= {f"criteriaType{number}": criterion, f"value{number}": value}
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryEndpoint:
    """One query of one generation.

    `filters` gives the parameter for each filter that it has; `attributes` are the columns that may come, in the order of the
    archive; `date_format` is how the filter `since` is written (strftime); `unasked` is the format that comes without asking,
    None where a format must be asked for; `at_once` is how many series UIDs one request takes, joined by commas. `fixed` goes
    with every request. With `paging`, `filters` gives the criterion for each filter.
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
        """The attributes that rows have in the end: those of a series do not all say which, so that is put before them."""
        return (SERIES_ATTRIBUTE, *self.attributes) if self.needs_series else self.attributes

    @property
    def needs_series(self) -> bool:
        """Whether rows tell of one series that they do not name themselves."""
        asked_by_series = "series_instance_uid" in self.required_filters and self.at_once == 1
        return asked_by_series and not SERIES_NAMES.intersection(self.attributes)

    @property
    def required_filters(self) -> tuple[str, ...]:
        """The filters without which the archive does not answer."""
        return tuple(name for name, parameter in self.filters.items() if parameter in self.endpoint.required)

    def values_for(self, filters: Mapping[str, str], form: ReplyFormat = ReplyFormat.JSON) -> dict[str, str]:
        """The parameters for these filters, and for a reply in this format; of pages, for the first."""
        if self.paging is not None:
            return self.paging.values_for([(self.filters[name], value) for name, value in filters.items()])
        values = {**self.fixed, **{self.filters[name]: value for name, value in filters.items()}}
        return values if form is self.unasked else {**values, "format": form.value}

    def values_of(self, query: SeriesQuery) -> dict[str, str]:
        """The parameters for what this generation can ask of the query."""
        asked = {name: getattr(query, name) for name in self.filters}
        return self.values_for({name: value for name, value in asked.items() if value})

    def find_mismatch(self, query: SeriesQuery, series: Series) -> str | None:
        """The first parameter that was sent and that this row does not fit; None when it fits all of them.

        Only text that differs in more than case and blanks at its end is a mismatch: collations of the archive's database ignore
        both (docs/archives.md#parameters).
        """
        for attribute, parameter in self.filters.items():
            asked = getattr(query, attribute)
            if asked and fold(asked) != fold(getattr(series, attribute)):
                return parameter
        return None


def fold(text: str) -> str:
    """The text as collations of the archive's database compare it: case and blanks at its end are nothing."""
    return text.casefold().rstrip(" ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEndpoint:
    """getSeriesMetadata and its like: `parameter` takes up to `limit` series UIDs joined by commas; `fixed` goes with them.

    `attributes` are the columns that may come.
    """

    endpoint: Endpoint
    parameter: str
    limit: int
    attributes: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRoute:
    """One way to get the images of a series (docs/archives.md#image-endpoints).

    `md5_list` tells whether md5hashes.csv comes with them, `ordered_names` whether members are named
    `<acquisition>-<instance>.dcm`.
    """

    endpoint: Endpoint
    md5_list: bool
    ordered_names: bool
    fixed: Mapping[str, str] = field(default_factory=dict)

    def serves(self, md5: Md5Mode) -> bool:
        """Whether this way will do for the mode."""
        return self.md5_list if md5 is Md5Mode.REQUIRE else not (self.md5_list and md5 is Md5Mode.OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Everything that one generation of the API offers.

    `queries` has at least collections, studies, series and series-size. `listed_series` is None where series cannot be asked by
    list; `image_routes` are tried in their order, since deployments lag behind the API; `single_image`, `image_md5` and
    `series_md5` are None where there is no such endpoint; `image_md5_parameter` is spelled differently in each generation.
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
        """Every endpoint of the tables, each once."""
        several = [query.endpoint for query in self.queries.values()] + [route.endpoint for route in self.image_routes]
        listing = self.listed_series.endpoint if self.listed_series else None
        single = (listing, self.single_image, self.image_md5, self.series_md5)
        return list(dict.fromkeys([*several, *(endpoint for endpoint in single if endpoint)]))
