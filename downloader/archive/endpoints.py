"""What a generation of the API is made of: a table of endpoints, of the parameters that each of them has, and little else.

v1 passes over a parameter that it does not know and answers with the whole archive; v4 refuses it (ARCHIVE §2.4). So requests
are filled from these tables and from nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from downloader.errors import TciadError
from downloader.model import Md5Mode, Series, SeriesQuery


class Method(Enum):
    """How an endpoint is asked: parameters in the address, or as a form."""

    GET = "GET"
    POST = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint, `path` below the archive's address. Names of parameters are spelled as the generation does (ARCHIVE §2.5)."""

    path: str
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    method: Method = Method.GET

    @property
    def name(self) -> str:
        """The endpoint's own name, for messages."""
        return self.path.rpartition("/")[2]

    def fill(self, values: Mapping[str, str]) -> dict[str, str]:
        """The parameters to send. Empty ones are left out, since the archive would filter on emptiness (ARCHIVE §2.4).

        Raises:
            TciadError: a parameter that the endpoint does not have, or a required one without value; our own mistake.
        """
        given = {name: value for name, value in values.items() if value}
        if unknown := given.keys() - self.required - self.optional:
            raise TciadError(f"{self.path} has no parameter {min(unknown)}")
        if missing := self.required - given.keys():
            raise TciadError(f"{self.path} needs the parameter {min(missing)}")
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEndpoint:
    """getSeries: `filters` gives the parameter for each attribute of a query that the generation can ask."""

    endpoint: Endpoint
    filters: Mapping[str, str]

    def values_of(self, query: SeriesQuery) -> dict[str, str]:
        """The parameters for what this generation can ask of the query."""
        asked = {parameter: getattr(query, attribute) for attribute, parameter in self.filters.items()}
        return {parameter: value for parameter, value in asked.items() if value}

    def find_mismatch(self, query: SeriesQuery, series: Series) -> str | None:
        """The first parameter that was sent and that this row does not fit; None when it fits all of them.

        Only text that differs in more than case and blanks at its end is a mismatch: collations of the archive's database ignore
        both (ARCHIVE §2.5).
        """
        for attribute, parameter in self.filters.items():
            asked = getattr(query, attribute)
            if asked and _fold(asked) != _fold(getattr(series, attribute)):
                return parameter
        return None


def _fold(text: str) -> str:
    return text.casefold().rstrip(" ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEndpoint:
    """getSeriesMetadata and its like: `parameter` takes up to `limit` series UIDs joined by commas; `fixed` goes with them."""

    endpoint: Endpoint
    parameter: str
    limit: int
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRoute:
    """One way to get the images of a series (ARCHIVE §4.1).

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

    `listed_series` is None where series cannot be asked by list; `image_routes` are tried in their order, since deployments lag
    behind the API; `image_md5_parameter` is spelled differently in each generation; `series_md5` is None where none is given.
    """

    name: str
    collections: Endpoint
    series: SeriesEndpoint
    listed_series: ListEndpoint | None
    image_routes: Sequence[ImageRoute]
    series_size: Endpoint
    sop_instance_uids: Endpoint
    single_image: Endpoint
    image_md5: Endpoint
    image_md5_parameter: str
    series_md5: Endpoint | None
