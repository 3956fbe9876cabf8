"""docs/archives.md says of every generation what the code's tables say."""

import pytest

from downloader.archive.nbia.endpoints import Generation
from downloader.archive.nbia.generations import GENERATIONS
from downloader.manifest import PROFILES
from tests.archive.archive_tables import PAGE, render, rewrite, sections_of

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("table", GENERATIONS.values(), ids=GENERATIONS)
def test_the_page_has_the_tables_of_the_code(table: Generation) -> None:
    """Endpoint, parameters, formats and attributes; `python -m tests.archive.archive_tables` writes them anew."""
    assert sections_of(TEXT)[table.name] == render(table)


def test_no_generation_is_told_that_there_is_not() -> None:
    """And writing the tables anew changes nothing."""
    assert set(sections_of(TEXT)) == set(GENERATIONS)
    assert rewrite(TEXT) == TEXT


@pytest.mark.parametrize("name", PROFILES)
def test_every_built_in_archive_is_told(name: str) -> None:
    """With its address and generation."""
    address = PROFILES[name]
    assert f"| `{name}` | `{address.base_url}` | {address.api.value} |" in TEXT


@pytest.mark.parametrize("table", GENERATIONS.values(), ids=GENERATIONS)
def test_what_a_generation_can_prove_is_told(table: Generation) -> None:
    """One row for each: FileSize, MD5s, series by list, single images."""
    hashes = "yes" if any(route.md5_list for route in table.image_routes) else "no"
    size = "yes" if "FileSize" in table.series.attributes else "no"
    listed = f"{table.listed_series.limit:,} at once" if table.listed_series else "no"
    by_uid = "yes" if "series_instance_uid" in table.series.filters else "no"
    single = "yes" if table.single_image else "no"
    assert f"| {table.name} | {size} | {hashes} | {by_uid} | {listed} | {single} |" in TEXT
