"""What pydicom tells of images that the scanner cannot follow, and that it raises nothing but our error."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downloader.dicomstream import HEAD_BYTES, read_leniently
from downloader.errors import NotDicomError
from tests.dicomstream.making import (
    DEFLATED,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    dicom_file,
    element,
    identity_elements,
    implicit_element,
    scan,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # as in a process that did not ask for errors


def unreadable(content: bytes) -> bytes:
    """The content, seen to be more than the scanner can follow."""
    with pytest.raises(NotDicomError):
        scan([content])
    return content


def test_pydicom_reads_what_the_scanner_cannot() -> None:
    """A bare data set with something else behind it."""
    content = unreadable(identity_elements() + b"garbage!" * 40)
    identity = read_leniently(content, len(content))
    assert (identity.sop_instance_uid, identity.series_instance_uid) == (SOP_INSTANCE_UID, SERIES_INSTANCE_UID)
    assert (identity.instance_number, identity.acquisition_number, identity.ends_whole) == (12, 3, None)


def test_an_image_that_does_not_tell_its_own_uid() -> None:
    """The series is read all the same, so that an image of another one is found."""
    content = unreadable(dicom_file(element(0x0020000E, "UI", b"1.2.3\0")))
    identity = read_leniently(content, len(content))
    assert (identity.sop_instance_uid, identity.series_instance_uid) == ("", "1.2.3")


@pytest.mark.parametrize("content", [b"", b"<html>" * 100, b"\0" * 1000, b"\xff" * 1000, dicom_file(b""), b"x" * HEAD_BYTES])
def test_what_is_no_image_is_none(content: bytes) -> None:
    """Whatever pydicom raises, or does not."""
    with pytest.raises(NotDicomError):
        read_leniently(content, len(content))


def test_nothing_is_inflated() -> None:
    """A bomb as well would be inflated at once by pydicom."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = compressor.compress(bytes(1 << 26)) + compressor.flush()
    with pytest.raises(NotDicomError, match="deflated"):
        read_leniently(dicom_file(bomb, transfer_syntax_uid=DEFLATED), 1000)


def test_nesting_without_end_is_given_up() -> None:
    """For each level pydicom calls itself."""
    nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20_000
    with pytest.raises(NotDicomError):
        read_leniently(dicom_file(nested), len(nested))


@given(content=st.binary(max_size=400), cut=st.integers(0, 400), is_bare=st.booleans(), is_implicit=st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_bytes_raise_only_our_error(content: bytes, cut: int, is_bare: bool, is_implicit: bool) -> None:
    """On odd input pydicom raises nearly anything."""
    uids = implicit_element(0x00080018, b"1.2.3.4\0") if is_implicit else identity_elements()
    data_set = uids[:cut] + content + uids[cut:]
    body = data_set if is_bare else dicom_file(data_set)
    try:
        read_leniently(body, len(body))
    except NotDicomError:
        return
