"""Where series lie."""

from dataclasses import replace

import pytest

from downloader.config.layouts import LAYOUTS
from downloader.errors import SettingsError
from downloader.library.layout import parse_layout
from downloader.model import Series
from tests.library.series_streams import SERIES


def folders(layout: str, series: Series = SERIES) -> list[str]:
    return [str(folder) for folder in parse_layout(layout).folders(series)]


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("classic", "LIDC-IDRI/LIDC-IDRI-0001/1.3.6.1.4.1.14519.5.2.1.10/1.3.6.1.4.1.14519.5.2.1.100"),
        ("idc", "lidc_idri/LIDC-IDRI-0001/1.3.6.1.4.1.14519.5.2.1.10/CT_1.3.6.1.4.1.14519.5.2.1.100"),
        ("flat", "1.3.6.1.4.1.14519.5.2.1.100"),
        ("{modality} of {study_date}/{series_instance_uid}", "CT of 2000-01-31/1.3.6.1.4.1.14519.5.2.1.100"),
        ("{{x}}/{series_instance_uid}/images", "{x}/1.3.6.1.4.1.14519.5.2.1.100/images"),
    ],
)
def test_a_layout_that_names_the_series_has_one_folder_for_it(layout: str, folder: str) -> None:
    """The series instance UID is unique, so nothing else can want the folder."""
    assert folders(layout) == [folder]


def test_the_descriptive_layout_is_that_of_the_data_retriever() -> None:
    """Date, number and description for people, with five characters of the UID; a slash becomes a hyphen."""
    first, last = folders("descriptive", replace(SERIES, study_id="7", study_description="CT" + "x" * 60))
    assert first == f"LIDC-IDRI/LIDC-IDRI-0001/01-31-2000-7-CT{'x' * 51}-.1.10/3000566-chest - thin-1.100"
    assert last == f"{first}-{SERIES.series_instance_uid}"


def test_absent_attributes_are_dropped_from_descriptive_names() -> None:
    """No double hyphens, no `None`."""
    bare = Series(series_instance_uid="1.2.345678", study_instance_uid="1.9.87654", series_description="null")
    assert folders("descriptive", bare)[0] == "NA/NA/87654/45678"


def test_an_absent_attribute_of_a_template_has_a_name() -> None:
    """A folder is never empty."""
    assert folders("{patient_id}/{modality}_{series_instance_uid}", Series(series_instance_uid="1.2")) == ["NA/NA_1.2"]


def test_the_last_folder_holds_the_whole_uid_however_long_the_rest() -> None:
    """Cutting takes the description, not the UID."""
    series = replace(SERIES, series_description="ü" * 200)
    *_, last = parse_layout("{series_description}").folders(series)
    assert str(last).endswith(f"-{SERIES.series_instance_uid}")
    assert len(str(last).encode()) <= 120


def test_hostile_attributes_stay_in_the_library() -> None:
    """What the archive calls a patient is not a path."""
    hostile = replace(SERIES, collection="../..", patient_id="/etc", study_instance_uid="..", series_instance_uid="a/../b")
    (folder,) = parse_layout("classic").folders(hostile)
    assert len(folder.parts) == 4
    assert not {"..", "/", "etc"} & set(folder.parts)


@pytest.mark.parametrize(("layout", "folder"), [("classic", "LIDC-IDRI"), ("idc", "lidc_idri"), ("flat", "LIDC-IDRI")])
def test_files_about_a_collection_lie_in_its_folder(layout: str, folder: str) -> None:
    """LICENSE stands where the patients are, if the layout has such a place."""
    assert str(parse_layout(layout).collection_folder(SERIES)) == folder


@pytest.mark.parametrize(
    ("layout", "why"),
    [
        ("clasic", "not one of classic, descriptive, idc, flat"),
        ("{collection}/../{series_instance_uid}", "begin with a dot"),
        ("/{series_instance_uid}", "empty"),
        ("{collection}//x", "empty"),
        ("{colection}", "unknown attribute {colection}"),
        ("{collection", "braces"),
        ("{collection!r}", "does not accept a format"),
        ("{collection:>9}", "does not accept a format"),
        ("a\\{collection}", "is not allowed in the name of a folder"),
        ("{}", "unknown attribute {}"),
    ],
)
def test_a_wrong_layout_is_refused(layout: str, why: str) -> None:
    """The message says what is wrong with it."""
    with pytest.raises(SettingsError, match=why):
        parse_layout(layout)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{collection}/{series_instance_uid}", "{collection}/{series_instance_uid}/{modality}"),
        ("classic", "{collection}/{patient_id}"),
        ("idc", "{collection}/{patient_id}/{study_instance_uid}"),
        ("flat", "{series_instance_uid}/images"),
        ("{patient_id}", "{patient_id}-{series_instance_uid}/{modality}"),
    ],
)
def test_layouts_that_put_series_into_the_folders_of_others(one: str, other: str) -> None:
    """Whichever of the two the library has."""
    assert parse_layout(one).may_nest(parse_layout(other))
    assert parse_layout(other).may_nest(parse_layout(one))


@pytest.mark.parametrize("one", [*LAYOUTS, "{modality}/{patient_id}", "{series_instance_uid}/images"])
@pytest.mark.parametrize("other", LAYOUTS)
def test_layouts_that_go_together(one: str, other: str) -> None:
    """All that are built in do, and a layout with itself, since its folders are equally deep."""
    expected = {one, other} == {"flat", "{series_instance_uid}/images"}
    assert parse_layout(one).may_nest(parse_layout(other)) is expected
    assert not parse_layout(one).may_nest(parse_layout(one))
