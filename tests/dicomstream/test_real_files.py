"""The scanner on every file that pydicom ships, with pydicom as the judge."""

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downloader.dicomstream import DicomIdentity
from downloader.errors import NotDicomError
from downloader.model import is_dicom_uid
from tests.dicomstream.making import TEST_FILES, boundaries, pydicom_reads, scan

FILES = sorted(path for path in TEST_FILES.rglob("*") if path.is_file())
TRUNCATED = {"MR_truncated.dcm", "rtplan_truncated.dcm"}
DEFLATED = {"image_dfl.dcm"}
# of each way to lay out a data set one file, or more where they differ inside
CLEAN = (
    "693_J2KI.dcm",  # one fragment
    "CT_small.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "SC_rgb_rle_2frame.dcm",  # two fragments
    "reportsi.dcm",  # sequences in sequences
    "rtplan.dcm",
    "test-SR.dcm",
)


def cuts_of(content: bytes) -> list[int]:
    """Every byte of the head, and some of the pixels."""
    return [*range(min(len(content), 4500)), *range(4500, len(content), 97)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TEST_FILES)))
def test_agrees_with_pydicom_on_identity(path: Path) -> None:
    """Where pydicom finds both UIDs the scanner finds the same ones and the same numbers; elsewhere it refuses the file."""
    theirs = pydicom_reads(path)
    uids = (str(theirs.get("SOPInstanceUID", "")), str(theirs.get("SeriesInstanceUID", "")))
    if not all(map(is_dicom_uid, uids)):
        with pytest.raises(NotDicomError):
            scan([path.read_bytes()])
        return
    ours = scan([path.read_bytes()])
    assert (ours.sop_instance_uid, ours.series_instance_uid) == uids
    assert (ours.instance_number, ours.acquisition_number) == (theirs.get("InstanceNumber"), theirs.get("AcquisitionNumber"))
    assert ours.size_bytes == path.stat().st_size


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TEST_FILES)))
def test_tells_whole_files_from_cut_ones(path: Path) -> None:
    """The truncated ones do not end whole; of the deflated one, and of images that are bare headers, that cannot be told."""
    theirs = pydicom_reads(path)
    if not (is_dicom_uid(str(theirs.get("SOPInstanceUID", ""))) and is_dicom_uid(str(theirs.get("SeriesInstanceUID", "")))):
        return
    is_bare_header = path.is_relative_to(TEST_FILES / "dicomdirtests/TINY_ALPHA")
    expected = None if path.name in DEFLATED or is_bare_header else path.name not in TRUNCATED
    assert scan([path.read_bytes()]).ends_whole is expected


@pytest.mark.parametrize("name", CLEAN)
def test_a_cut_file_never_ends_whole(name: str) -> None:
    """Cut anywhere, a file does not end whole, unless exactly between elements of something that need not have pixels.

    Between elements before an image announces its pixels it cannot be told from a bare header, but where copies break off it can.
    """
    content = (TEST_FILES / name).read_bytes()
    ends = set(boundaries(content))
    assert len(content) in ends
    has_pixels = "Rows" in pydicom_reads(TEST_FILES / name)
    for cut in cuts_of(content):
        try:
            ends_whole = scan([content[:cut]]).ends_whole
        except NotDicomError:
            continue
        if ends_whole is None:
            assert cut in ends, f"cut at {cut}"
            assert cut % 512, f"cut at {cut}"
            assert "Rows" not in pydicom_reads(BytesIO(content[:cut])), f"cut at {cut}"
        else:
            assert ends_whole is (cut in ends and not has_pixels), f"cut at {cut}"


@given(name=st.sampled_from(CLEAN), data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_chunking_gives_the_same_identity(name: str, data: st.DataObject) -> None:
    """How the bytes are cut on their way here is of no consequence."""
    content = (TEST_FILES / name).read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=60)))
    chunks = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert scan(chunks) == scan([content])


@pytest.mark.parametrize("name", [*CLEAN, *DEFLATED])
def test_byte_by_byte(name: str) -> None:
    """The smallest chunks there are lead to the same identity."""
    content = (TEST_FILES / name).read_bytes()[:9000]

    def outcome(chunk_bytes: int) -> DicomIdentity | str:
        try:
            return scan(content[start : start + chunk_bytes] for start in range(0, len(content), chunk_bytes))
        except NotDicomError as error:
            return str(error)

    assert outcome(1) == outcome(len(content))
