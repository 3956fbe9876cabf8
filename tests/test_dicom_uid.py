"""The syntax of UIDs."""

import pytest

from downloader.model import is_dicom_uid


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.2", "0.1", "1.01", "1." * 31 + "12"])
def test_uids(text: str) -> None:
    """Numbers joined by dots, 64 characters at most (PS3.5 §9.1)."""
    assert is_dicom_uid(text)


@pytest.mark.parametrize("text", ["", ".", "1.", ".1", "1..2", "1.a", " 1", "1\n", "1.2/3", "1" * 65, "1.٣", "1,2"])
def test_no_uids(text: str) -> None:
    """Nothing that could act in a path, a query or a terminal passes."""
    assert not is_dicom_uid(text)
