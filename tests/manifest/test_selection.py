"""An entry of a manifest matches exactly the series that it says."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloader.manifest import Selection, load_manifest
from downloader.model import Series
from tests.manifest.conftest import Write

Select = Callable[[str], Selection]


@pytest.fixture
def select(write: Write) -> Select:
    """The selection that one entry means."""
    return lambda entry: load_manifest(write("m.yaml", f"version: 1\nselect:\n  - {{{entry}}}\n")).select[0]


def series(attributes: Mapping[str, Any]) -> Series:
    return Series(**{"series_instance_uid": "1.2.3", **attributes})


@pytest.mark.parametrize(
    ("entry", "attributes", "is_match"),
    [
        ("collection: LIDC-IDRI", {"collection": "lidc-idri"}, True),
        ("collection: LIDC-IDRI", {"collection": "LIDC-IDRI "}, False),
        ("collection: 'LIDC-IDRI '", {"collection": "LIDC-IDRI "}, True),
        ("collection: LIDC-IDRI", {"collection": "LIDC-IDRI-2"}, False),
        ("collection: [A, B]", {"collection": "B"}, True),
        ("collection: A, modality: CT", {"collection": "A", "modality": "MR"}, False),
        ("collection: A, modality: CT", {"collection": "A", "modality": "CT"}, True),
        ("patient_id: 'LIDC-IDRI-00[1-4]*'", {"patient_id": "LIDC-IDRI-0034"}, True),
        ("patient_id: 'LIDC-IDRI-00[1-4]*'", {"patient_id": "LIDC-IDRI-0054"}, False),
        ("patient_id: 'a?c'", {"patient_id": "ABC"}, True),
        ("patient_id: 'a?c'", {"patient_id": "ac"}, False),
        ("patient_id: 'a.c*'", {"patient_id": "abcd"}, False),
        ("patient_id: [x, 'a*', '*b']", {"patient_id": "cb"}, True),
        ("patient_id: 'a*'", {"patient_id": "a\nb"}, True),
        ("series_description: 'Axial [T1]'", {"series_description": "axial [t1]"}, True),
        ("series_description: 'Axial [T1]'", {"series_description": "axial t"}, False),
        ("series_description: '*\N{MICRO SIGN}*'", {"series_description": "10 \N{GREEK CAPITAL LETTER MU}m"}, True),
        ("body_part_examined: '*'", {}, True),
        ("body_part_examined: '?*'", {}, False),
        ("body_part_examined: CHEST", {}, False),
        ("manufacturer: '*siemens*'", {"manufacturer": '"SIEMENS"'}, True),
        ("manufacturer_model_name: Sensation 64", {"manufacturer_model_name": "Sensation 64"}, True),
        ("study_instance_uid: '1.2.9'", {"study_instance_uid": "1.2.9"}, True),
        ("study_instance_uid: '1.2.9'", {"study_instance_uid": "1.2.99"}, False),
        ("series_instance_uid: '1.2.3'", {}, True),
        ("series_instance_uid: '1.2.4'", {}, False),
        ("license: 'CC BY 3*'", {"license_name": "CC BY 3.0"}, True),
        ("license: '*/by/4.0/*'", {"license_uri": "https://creativecommons.org/licenses/by/4.0/"}, True),
        ("license: '*NC*'", {"license_name": "CC BY 3.0"}, False),
        ("image_count: {min: 20}", {"image_count": 20}, True),
        ("image_count: {min: 20}", {"image_count": 19}, False),
        ("image_count: {max: 20}", {"image_count": 20}, True),
        ("image_count: {max: 20}", {"image_count": 21}, False),
        ("image_count: {min: 0}", {}, False),
        ("study_date: {from: 2020-01-01, to: 2020-01-31}", {"study_date": date(2020, 1, 31)}, True),
        ("study_date: {from: 2020-01-01, to: 2020-01-31}", {"study_date": date(2020, 2, 1)}, False),
        ("study_date: {from: 2020-01-01}", {}, False),
        ("date_released: {from: 2020-01-01}", {"date_released": date(2020, 1, 1)}, True),
        ("date_released: {to: 2019-12-31}", {"date_released": date(2020, 1, 1)}, False),
    ],
)
def test_an_entry_matches_what_fits_all_of_its_keys(
    select: Select, entry: str, attributes: dict[str, Any], is_match: bool
) -> None:
    """Text without case and without trimming, ranges with their ends; the unknown fits nothing."""
    assert select(entry).matches(series(attributes)) is is_match


def test_a_resolver_learns_what_it_can_ask_the_archive(select: Select) -> None:
    """Exact values can be asked, globs cannot; values that differ in case only would be asked twice."""
    selection = select("collection: [A, a, B], patient_id: [P1, 'P2*', 'Q?'], modality: CT")
    assert selection.exact("collection") == ("A", "B")
    assert selection.exact("patient_id") is None
    assert selection.globs("patient_id") == ("P2*", "Q?")
    assert selection.globs("collection") == ()
    assert selection.exact("manufacturer") is None
    assert selection.globs("manufacturer") == ()
    assert selection.limits("patient_id")
    assert not selection.limits("manufacturer")
    assert selection.accepts("patient_id", "p2x")
    assert not selection.accepts("patient_id", "p3")
    assert selection.accepts("manufacturer", "any")
    assert selection.series_instance_uids == ()
    assert selection.position == "m.yaml:3"


def test_series_come_from_the_entry_and_its_lists_each_once(write: Write, select: Select) -> None:
    """What an entry lists itself comes first."""
    write("a.txt", "1.2.1\n1.2.2\n")
    write("b.csv", "SeriesInstanceUID\n1.2.2\n1.2.3\n")
    selection = select("series_instance_uid: [1.2.9, 1.2.2], series_list: [a.txt, b.csv], modality: CT")
    assert selection.series_instance_uids == ("1.2.9", "1.2.2", "1.2.1", "1.2.3")
    assert selection.matches(series({"series_instance_uid": "1.2.3", "modality": "CT"}))
    assert not selection.matches(series({"series_instance_uid": "1.2.3", "modality": "MR"}))
    assert not selection.matches(series({"series_instance_uid": "1.2.4", "modality": "CT"}))


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("collection: A, modality: [CT, PT]", "collection A, modality CT or PT"),
        ("patient_id: [a, b, c, d, e]", "patient_id a, b, c and 2 more"),
        ("series_instance_uid: 1.2.3, image_count: {min: 2}", "series_instance_uid 1.2.3, image_count 2 or more"),
        ("image_count: {max: 9}, study_date: {from: 2020-01-01, to: 2020-01-02}",
            "image_count up to 9, study_date 2020-01-01 to 2020-01-02"),
    ],
)  # fmt: skip
def test_an_entry_describes_itself_in_one_line(select: Select, entry: str, line: str) -> None:
    """For messages and plans."""
    assert select(entry).describe() == line


def test_a_series_list_is_called_by_the_name_of_its_file(write: Write) -> None:
    """Whether it stands in an entry or in the place of a manifest; series that the entry itself names are shown beside it."""
    write("cart.txt", "1.2.3\n1.2.4\n")
    entry = "series_list: cart.txt, series_instance_uid: [1.2.4, 1.2.5], modality: CT"
    within = load_manifest(write("m.yaml", f"version: 1\nselect: [{{{entry}}}]\n")).select[0]
    alone = load_manifest(Path("cart.txt")).select[0]
    assert within.describe() == "modality CT, series_list cart.txt (2 series), series_instance_uid 1.2.5"
    assert alone.describe() == "series_list cart.txt (2 series)"


@given(text=st.text(max_size=12), pattern=st.text(alphabet="ab[]!-*?.\\^$", max_size=8))
def test_any_pattern_can_be_compared_with_any_text(text: str, pattern: str) -> None:
    """Whatever signs it is made of, a pattern neither fails nor means a regular expression."""
    accepted = Selection(position="", values={"collection": (pattern,)}).accepts("collection", text)
    if "*" not in pattern and "?" not in pattern:
        assert accepted == (text.casefold() == pattern.casefold())
