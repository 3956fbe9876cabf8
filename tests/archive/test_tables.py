"""The tables of the generations: what is sent, and what may not be."""

import pytest

from downloader.archive.nbia.endpoints import Endpoint, Generation
from downloader.archive.nbia.v4 import NBIA_V4
from downloader.archive.registry import GENERATIONS, open_archive
from downloader.clock import SystemClock
from downloader.errors import SettingsError, TciadError
from downloader.model import Series, SeriesQuery
from downloader.transport.client import TransportSettings, open_transport

ENDPOINT = Endpoint(path="v9/getThing", required=frozenset({"Thing"}), optional=frozenset({"format"}))


def test_empty_parameters_are_left_out() -> None:
    """The archive would filter on emptiness (docs/archives.md#parameters)."""
    assert ENDPOINT.fill({"Thing": "x", "format": ""}) == {"Thing": "x"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"Thing": "x", "thing": "y"}, "v9/getThing has no parameter thing"),
        ({"format": "json"}, "v9/getThing needs the parameter Thing"),
        ({"Thing": ""}, "v9/getThing needs the parameter Thing"),
    ],
)
def test_a_request_that_the_table_does_not_allow_is_our_mistake(values: dict[str, str], message: str) -> None:
    """v1 would answer a misspelled filter with the whole archive (docs/faults.md, trap 10)."""
    with pytest.raises(TciadError, match=message) as caught:
        ENDPOINT.fill(values)
    assert caught.value.exit_code == 1


every_generation = pytest.mark.parametrize("table", GENERATIONS.values(), ids=GENERATIONS)


@every_generation
def test_every_attribute_of_a_query_has_a_parameter(table: Generation) -> None:
    """Of all generations getSeries can be asked by all of them (docs/archives.md#series-queries), but in 2013 by four only."""
    attributes = set(SeriesQuery.__dataclass_fields__)
    if table is GENERATIONS["bindaas"]:
        attributes = {"collection", "patient_id", "study_instance_uid", "modality"}
    assert set(table.series.filters) == attributes
    assert set(table.series.filters.values()) <= table.series.endpoint.optional


@every_generation
def test_every_filter_of_every_query_is_a_parameter(table: Generation) -> None:
    """Each query can be filled with all of its filters, in each of its formats, and dates have a form."""
    for query in table.queries.values():
        filters = dict.fromkeys(query.filters, "x")
        for form in query.formats:
            assert query.endpoint.fill(query.values_for(filters, form)) or not filters
        assert bool(query.date_format) == ("since" in query.filters)


@every_generation
def test_what_is_always_sent_exists(table: Generation) -> None:
    """The fixed parameters of routes and listings are in their endpoints' tables."""
    for route in table.image_routes:
        assert route.endpoint.fill({**route.fixed, "SeriesInstanceUID": "1.2"})
    if table.listed_series:
        assert table.listed_series.endpoint.fill({**table.listed_series.fixed, table.listed_series.parameter: "1.2"})


@pytest.mark.parametrize(
    ("asked", "held", "mismatch"),
    [
        ("ABC", "abc", None),
        ("ABC ", "ABC", None),
        ("Straße", "STRASSE", None),
        ("ABC", "ABCD", "Collection"),
        ("ABC", "", "Collection"),
        ("ABC", " ABC", "Collection"),
    ],
)
def test_rows_are_compared_as_the_database_does(asked: str, held: str, mismatch: str | None) -> None:
    """Case and blanks at the end are nothing to a collation; anything else is a filter that was passed over."""
    row = Series(series_instance_uid="1.2", collection=held)
    assert NBIA_V4.series.find_mismatch(SeriesQuery(collection=asked), row) == mismatch


@pytest.mark.anyio
async def test_an_unknown_generation_is_refused() -> None:
    """The message names those that are known."""
    async with open_transport(TransportSettings(), SystemClock()) as transport:
        with pytest.raises(SettingsError, match=r"v9.*v4, v2, v1, bindaas"):
            open_archive("x", "https://host", api="v9", transport=transport, clock=SystemClock())
