"""Names for folders."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathvalidate import sanitize_filename

from downloader.library.names import LONGEST_NAME_BYTES, safe_name


@pytest.mark.parametrize(
    "text", ["LIDC-IDRI", "1.3.6.1.4.1.14519.5.2.1", "NSCLC Radiogenomics", "µ², größer", "a~b", "-x", "4D-Lung", "Ø" * 60]
)
def test_safe_text_is_the_name(text: str) -> None:
    """Nothing is changed that need not be."""
    assert safe_name(text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b", r"a_b~[0-9a-f]{8}"),
        ("a\\b", r"a_b~[0-9a-f]{8}"),
        ("..", r"_~[0-9a-f]{8}"),
        (".", r"_~[0-9a-f]{8}"),
        (".tciad", r"_tciad~[0-9a-f]{8}"),
        ("a\x00b\x1b", r"a_b_~[0-9a-f]{8}"),
        ("ends.", r"ends~[0-9a-f]{8}"),
        ("ends ", r"ends~[0-9a-f]{8}"),
        (" ", r"_~[0-9a-f]{8}"),
        ("con", r"con_~[0-9a-f]{8}"),
        ("COM1.txt", r"COM1_.txt~[0-9a-f]{8}"),
        ("a:b*?", r"a_b__~[0-9a-f]{8}"),
        ("abc\u202egnp", r"abc_gnp~[0-9a-f]{8}"),
        ("half\ud800", r"half_~[0-9a-f]{8}"),
        ("License", r"License_~[0-9a-f]{8}"),
        ("metadata.csv", r"metadata.csv_~[0-9a-f]{8}"),
        ("x" * 121, r"x{111}~[0-9a-f]{8}"),
        ("1.2~0123abcd", r"1.2~0123abcd~[0-9a-f]{8}"),
    ],
)
def test_unsafe_text_is_replaced_and_marked(text: str, name: str) -> None:
    """What a file system refuses, or tciad keeps for itself, gets another name with a mark of its own."""
    assert re.fullmatch(name, safe_name(text))


@given(st.from_regex(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)+", fullmatch=True).filter(lambda text: len(text) <= LONGEST_NAME_BYTES))
def test_plain_text_is_safe_by_the_library_too(text: str) -> None:
    """Such names are not cleaned, which is right only while cleaning would leave them as they are."""
    assert safe_name(text) == text == sanitize_filename(text, platform="universal", replacement_text="_")


def test_empty_text_has_a_name() -> None:
    """The archive's own word for a blank value."""
    assert safe_name("") == "NA"


def test_a_replaced_name_is_stable() -> None:
    """A library outlives the program: this very name must never change."""
    assert safe_name("a/b") == "a_b~c14cddc0"


@given(st.text(st.characters(), min_size=1, max_size=200))
def test_every_text_has_a_name_that_can_stand_in_a_path(text: str) -> None:
    """Whatever the archive sends, the name is one harmless component."""
    name = safe_name(text)
    assert 0 < len(name.encode()) <= LONGEST_NAME_BYTES
    assert not set(name) & set('/\\:*?"<>|\0')
    assert name[0] != "."
    assert name[-1] not in " ."
    assert safe_name(text) == name


@given(st.text("ab/\\_.~ :", max_size=6), st.text("ab/\\_.~ :", max_size=6))
def test_two_texts_never_share_a_name(one: str, other: str) -> None:
    """Texts that differ only where characters are replaced lie apart."""
    assert (safe_name(one) == safe_name(other)) == (one == other)
