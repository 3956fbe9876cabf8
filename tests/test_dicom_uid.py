"""The syntax of UIDs."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloader.manifest import check_uid, load_manifest, load_series_list
from downloader.manifest.identifiers import UID_PATTERN
from downloader.model import LONGEST_UID_CHARACTERS, is_dicom_uid


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.2", "0.1", "1.01", "1." * 31 + "12"])
def test_uids(text: str) -> None:
    """Numbers joined by dots, 64 characters at most (PS3.5 §9.1)."""
    assert is_dicom_uid(text)


@pytest.mark.parametrize("text", ["", ".", "1.", ".1", "1..2", "1.a", " 1", "1\n", "1.2/3", "1" * 65, "1.٣", "1,2"])
def test_no_uids(text: str) -> None:
    """No text is accepted that has a special meaning in a path, a query or a terminal."""
    assert not is_dicom_uid(text)


@given(st.text(alphabet="0123456789.*ax ", max_size=70))
def test_what_comes_with_a_collection_can_be_named(text: str) -> None:
    """Catalogue rows and manifests follow the same rule; manifests only refuse a number without a dot."""
    if is_dicom_uid(text) and "." in text:
        assert check_uid(text) == text
    else:
        with pytest.raises(ValueError, match="is not a UID"):
            check_uid(text)
    in_schema = re.fullmatch(UID_PATTERN, text) is not None and len(text) <= LONGEST_UID_CHARACTERS
    assert in_schema == (is_dicom_uid(text) and "." in text)


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tcia"])
def test_a_series_with_leading_zeros_can_be_listed(tmp_path: Path, suffix: str) -> None:
    """In every kind of list, and in a manifest."""
    head = {".csv": "SeriesInstanceUID\n", ".tcia": "downloadServerUrl=x\nListOfSeriesToDownload=\n"}.get(suffix, "")
    path = tmp_path / f"list{suffix}"
    path.write_text(f"{head}1.2.003.04\n")
    assert load_series_list(path).series_instance_uids == ("1.2.003.04",)
    manifest = tmp_path / "m.yaml"
    manifest.write_text('version: 1\nselect: [{series_instance_uid: "1.2.003.04"}]\n')
    assert load_manifest(manifest).select[0].series_instance_uids == ("1.2.003.04",)
