"""The scanner on files made by hand: each oddity that real or hostile archives have."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

from downloader.dicomstream import DicomScanner
from downloader.dicomstream.image_classes import _IMAGE_CLASSES, holds_pixels
from downloader.dicomstream.scanner import DicomIdentity
from downloader.errors import NotDicomError, TransferError
from tests.dicomstream.making import (
    CT_IMAGE_STORAGE,
    DEFLATED,
    ITEM_END,
    RT_PLAN_STORAGE,
    SEQUENCE_END,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    UNDEFINED,
    dicom_file,
    element,
    identity_elements,
    implicit_element,
    item,
    scan,
)

PIXELS = element(0x7FE00010, "OW", bytes(512))
PLAIN = DicomIdentity(
    sop_class_uid=RT_PLAN_STORAGE,
    sop_instance_uid=SOP_INSTANCE_UID,
    series_instance_uid=SERIES_INSTANCE_UID,
    instance_number=12,
    acquisition_number=3,
    ends_whole=True,
    size_bytes=len(dicom_file(identity_elements())),
)


def ends_whole(data_set: bytes) -> bool | None:
    return scan([dicom_file(data_set)]).ends_whole


def test_a_plain_file() -> None:
    """UIDs lose their padding, numbers theirs."""
    assert scan([dicom_file(identity_elements())]) == PLAIN


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\0\0", b""])
def test_uids_padded_with_nul_or_blank(padding: bytes) -> None:
    """PS3.5 asks for one NUL; blanks and more exist."""
    data_set = identity_elements(sop_instance_uid=b"1.2.3.4" + padding)
    assert scan([dicom_file(data_set)]).sop_instance_uid == "1.2.3.4"


ODD_UIDS = [
    b"1.2..3",
    b"1.2.x",
    b"1.2.",
    b"../../etc",
    b"1.2\\1.3",
    b"1" * 65,
    b"1.2\xff",
    b"022f82f4-e9df-4533-b237-6ab563dfaf56",
]


@pytest.mark.parametrize("value", ODD_UIDS)
def test_sop_instance_uids_are_taken_as_they_are(value: bytes) -> None:
    """Archives have images with invalid UIDs: they are compared, and what a terminal obeys is escaped."""
    for padding in (b"", b"\0", b"  "):
        identity = scan([dicom_file(identity_elements(sop_instance_uid=value + padding))])
        assert identity.sop_instance_uid == value.decode("latin-1")
    assert scan([dicom_file(identity_elements(sop_instance_uid=b"1.2\x1b[2J"))]).sop_instance_uid == "1.2\\x1b[2J"


@pytest.mark.parametrize("value", [b"", *ODD_UIDS, b"1." * 600 + b"1"])
def test_what_is_no_series_uid_is_refused(value: bytes) -> None:
    """The archive's UIDs of series are sound, so no other can be that of the series that was asked for."""
    with pytest.raises(NotDicomError, match=r"Series Instance UID \(0020,000E\) is no DICOM UID"):
        scan([dicom_file(identity_elements(series_instance_uid=value))])


@pytest.mark.parametrize("value", [b"", b"\0\0", b"1." * 600 + b"1"])
def test_no_sop_instance_uid_is_told(value: bytes) -> None:
    """An empty one, and one longer than any identifier, tell nothing."""
    with pytest.raises(NotDicomError, match="carries no SOP Instance UID"):
        scan([dicom_file(identity_elements(sop_instance_uid=value))])


def test_a_file_without_uids_is_refused() -> None:
    """Each UID that is missing is named; one inside a sequence is not the file's own."""
    with pytest.raises(NotDicomError, match="carries no SOP Instance UID"):
        scan([dicom_file(element(0x00100010, "PN", b"A^B "))])
    nested = element(0x00081140, "SQ", item(identity_elements(), is_delimited=True) + SEQUENCE_END, length=UNDEFINED)
    with pytest.raises(NotDicomError, match="carries no SOP Instance UID"):
        scan([dicom_file(nested)])
    with pytest.raises(NotDicomError, match="carries no Series Instance UID"):
        scan([dicom_file(element(0x00080018, "UI", b"1.2"))])


@pytest.mark.parametrize(
    ("value", "number"),
    [(b"7", 7), (b" 7 ", 7), (b"-3", -3), (b"+12\0", 12), (b"", None), (b"1.5", None), (b"1\\2", None), (b"1_0", None)],
)
def test_instance_numbers(value: bytes, number: int | None) -> None:
    """An integer string is a number; everything else is not, and no reason to refuse the image."""
    assert scan([dicom_file(identity_elements(instance_number=value))]).instance_number == number


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"DICM",
        b"user agreement\n" * 30,
        b"<!DOCTYPE html>" * 30,
        b'{"a": 1}' * 30,
        bytes(1000),
        bytes(128) + b"DICM",
        bytes(128) + b"DICM" + element(0x00020010, "UI", b"1.2"),
        b"\xff" * 1000,
        b"\x08\x00" * 500,
    ],
)
def test_what_is_not_dicom(content: bytes) -> None:
    """Licences, error pages, zeros and bare beginnings are refused."""
    with pytest.raises(NotDicomError):
        scan([content])


def test_file_meta_information_without_end_is_not_kept_for_ever() -> None:
    """A private element that claims two gigabytes is waited for only a little."""
    scanner = DicomScanner()
    scanner.feed(bytes(128) + b"DICM" + element(0x00020102, "OB", b"", length=0x7FFFFFFF))
    scanner.feed(bytes(1_000_000))
    with pytest.raises(NotDicomError, match="does not end"):
        scanner.feed(bytes(1_000_000))


def test_a_bare_data_set_is_taken_when_it_reads_soundly() -> None:
    """Without preamble only what reads as a data set from its first byte to its last is DICOM."""
    assert scan([identity_elements()]).sop_instance_uid == SOP_INSTANCE_UID
    big = scan([identity_elements() + element(0x00280010, "US", b"\2\0") + PIXELS])
    assert big.ends_whole is True
    with pytest.raises(NotDicomError, match="does not read as a data set"):
        scan([identity_elements() + b"garbage!" * 40])


def test_file_meta_information_in_implicit_vr() -> None:
    """Old writers put it so, against the standard."""
    meta = implicit_element(0x00020010, b"1.2.840.10008.1.2.1\0")
    assert scan([bytes(128) + b"DICM" + meta + identity_elements()]).sop_instance_uid == SOP_INSTANCE_UID


def test_a_file_that_contradicts_its_transfer_syntax() -> None:
    """The first element has the last word on explicit or implicit VR."""
    explicit = dicom_file(identity_elements(), transfer_syntax_uid="1.2.840.10008.1.2")
    implicit = dicom_file(implicit_element(0x00080018, b"1.2.3.4\0") + implicit_element(0x0020000E, b"1.2.3\0"))
    assert scan([explicit]).sop_instance_uid == scan([implicit]).sop_instance_uid == SOP_INSTANCE_UID


def test_an_image_without_its_pixels_does_not_end_whole() -> None:
    """Rows announce pixels."""
    rows = element(0x00280010, "US", b"\2\0")
    assert ends_whole(identity_elements() + rows) is False
    assert ends_whole(identity_elements() + rows + PIXELS) is True
    assert ends_whole(identity_elements(sop_class_uid=CT_IMAGE_STORAGE) + PIXELS) is True
    assert ends_whole(identity_elements(sop_class_uid=CT_IMAGE_STORAGE) + PIXELS[:-1]) is False


def test_the_bare_header_of_an_image_is_no_cut_one() -> None:
    """Archives hold some; one as long as a copied buffer may have been cut there, and one with a torn element was."""
    bare = identity_elements(sop_class_uid=CT_IMAGE_STORAGE)
    assert ends_whole(bare) is None
    assert ends_whole(bare[:-1]) is False
    filler = element(0x00201040, "LO", b"")
    missing = -len(dicom_file(bare + filler)) % 512
    assert ends_whole(bare + element(0x00201040, "LO", bytes(missing))) is False


def test_an_image_that_ends_before_its_instance_number_or_in_its_description_of_pixels_was_cut() -> None:
    """Every image has an Instance Number, though it may be empty, and Rows once its pixels are described."""
    begun = element(0x00080016, "UI", CT_IMAGE_STORAGE.encode() + b"\0" * (len(CT_IMAGE_STORAGE) % 2))
    begun += element(0x00080018, "UI", b"1.2.3.4\0") + element(0x0020000E, "UI", b"1.2.3\0")
    assert ends_whole(begun) is False
    assert ends_whole(begun + element(0x00200013, "IS", b"")) is None
    described = identity_elements(sop_class_uid=CT_IMAGE_STORAGE) + element(0x00280002, "US", b"\1\0")
    assert ends_whole(described) is False


def test_pixels_may_be_elsewhere() -> None:
    """A provider's URL, spectroscopy or float pixels stand for Pixel Data."""
    rows = element(0x00280010, "US", b"\2\0")
    for data in (element(0x00287FE0, "UT", b"http"), element(0x56000020, "OW", bytes(8)), element(0x7FE00008, "OW", bytes(8))):
        assert ends_whole(identity_elements() + rows + data) is True


def test_fragments_and_their_delimiter() -> None:
    """Encapsulated pixels end with a sequence delimiter, and not before."""
    fragments = item(b"", is_delimited=False) + item(b"\xfe\xff\xdd\xe0\0\0\0\0", is_delimited=False)
    pixels = element(0x7FE00010, "OB", fragments + SEQUENCE_END, length=UNDEFINED)
    whole = identity_elements() + pixels
    assert ends_whole(whole) is True
    for missing in range(1, len(fragments) + 8):
        assert ends_whole(whole[:-missing]) is False


def test_private_sequences_of_unknown_vr() -> None:
    """Their content is in implicit VR by the standard (PS3.5 §6.2.2), in explicit VR by some writers."""
    for content in (implicit_element(0x00090010, b"value"), element(0x00090010, "LO", b"value!"), b""):
        items = item(content, is_delimited=True) + item(content, is_delimited=False) + SEQUENCE_END
        assert ends_whole(identity_elements() + element(0x00291010, "UN", items, length=UNDEFINED)) is True


def test_writers_that_change_to_implicit_vr_inside_a_sequence() -> None:
    """An item in implicit VR amid explicit VR is followed to its end."""
    items = item(implicit_element(0x00090010, b"value"), is_delimited=True) + SEQUENCE_END
    assert ends_whole(identity_elements() + element(0x00291010, "SQ", items, length=UNDEFINED)) is True


def test_padding_behind_the_data_set() -> None:
    """Data Set Trailing Padding is an element like others; zeros are tolerated; other bytes leave the question open."""
    whole = identity_elements() + PIXELS
    assert ends_whole(whole + element(0xFFFCFFFC, "OB", bytes(100))) is True
    assert ends_whole(whole + element(0xFFFCFFFC, "OB", bytes(100))[:-1]) is False
    for count in (8, 64, 65):
        assert ends_whole(whole + bytes(count)) is True
    assert ends_whole(whole + bytes(64) + b"x") is None
    assert ends_whole(whole + b"something else stands here") is None


@pytest.mark.parametrize("trailing", [b"\n", b"\r\n", b"\0", b"\0\0", b"\0\0\0\0", b"\r\n\r\n\r\n"])
def test_a_few_bytes_behind_the_pixels(trailing: bytes) -> None:
    """A line break or a filler: the pixels are there, and no element begins so."""
    assert ends_whole(identity_elements() + PIXELS + trailing) is True
    assert ends_whole(identity_elements() + PIXELS[:-1] + trailing[:0]) is False


@pytest.mark.parametrize("length", range(1, 8))
def test_the_beginning_of_an_element_behind_the_pixels_is_a_cut(length: int) -> None:
    """What may stand there has a higher group."""
    padding = element(0xFFFCFFFC, "OB", bytes(100))
    assert ends_whole(identity_elements() + PIXELS + padding[:length]) is False


@pytest.mark.parametrize("stray", [SEQUENCE_END, ITEM_END])
def test_stray_delimiters_at_top_level_are_stepped_over(stray: bytes) -> None:
    """Writers leave them behind sequences whose length was given; with and without preamble."""
    before, after = element(0x00080060, "CS", b"CT"), element(0x00100020, "LO", b"P ")
    head = element(0x00080016, "UI", CT_IMAGE_STORAGE.encode() + b"\0") + element(0x00080018, "UI", b"1.2.3.4\0") + before
    data_set = head + stray + after + element(0x0020000E, "UI", b"1.2.3\0") + PIXELS
    for content in (dicom_file(data_set), data_set):
        identity = scan([content])
        assert (identity.sop_instance_uid, identity.series_instance_uid, identity.ends_whole) == ("1.2.3.4", "1.2.3", True)
    assert scan([dicom_file(data_set[:-1])]).ends_whole is False


@pytest.mark.parametrize("chunk_bytes", [1, 7, 10_000])
@pytest.mark.parametrize("vr", ["??", "ui", "zz", "ZZ", "U1", "  ", "\0\0"])
def test_an_element_whose_vr_is_none(vr: str, chunk_bytes: int) -> None:
    """Its length shows in what follows: 2 bytes, 4 bytes behind 2 reserved ones, or 4 in place of VR and length."""
    value = bytes(300)
    lengths = [
        struct.pack("<HH2sH", 9, 0x1001, vr.encode(), len(value)),
        struct.pack("<HH2sHI", 9, 0x1001, vr.encode(), 0, len(value)),
        struct.pack("<HHI", 9, 0x1001, len(value)),
    ]
    for header in lengths if vr.strip("\0 ") else lengths[2:]:
        head = element(0x00080018, "UI", b"1.2.3.4\0") + element(0x00090010, "LO", b"ACME") + header + value
        content = dicom_file(head + element(0x0020000E, "UI", b"1.2.3\0") + PIXELS)
        for whole, expected in ((content, True), (content[:-3], False)):
            identity = scan(whole[start : start + chunk_bytes] for start in range(0, len(whole), chunk_bytes))
            assert (identity.series_instance_uid, identity.ends_whole) == ("1.2.3", expected)


def test_zeros_behind_a_bare_data_set() -> None:
    """Implicit VR without preamble, as old archives store it, in whole blocks."""
    implicit = implicit_element(0x00080018, b"1.2.3.4\0") + implicit_element(0x0020000E, b"1.2.3\0")
    pixels = implicit_element(0x00280010, b"\2\0") + implicit_element(0x7FE00010, bytes(32))
    identity = scan([implicit + pixels + bytes(64)])
    assert (identity.series_instance_uid, identity.ends_whole) == ("1.2.3", True)


@pytest.mark.parametrize(
    "broken",
    [
        item(b"", is_delimited=False),
        element(0x00291010, "SQ", implicit_element(0x00090010, b"no item"), length=UNDEFINED),
    ],
)
def test_structures_that_break_leave_the_question_open(broken: bytes) -> None:
    """Items that belong to nothing and sequences without items are a writer's fault and no sign of a cut."""
    assert ends_whole(identity_elements() + broken + bytes(50)) is None


def test_vrs_that_nothing_explains_leave_the_question_open() -> None:
    """Where no element follows under any reading, the element is stepped over as pydicom does it."""
    odd = element(0x00291010, "ZZ", b"ab")
    assert ends_whole(identity_elements() + odd) is True
    assert ends_whole(identity_elements() + odd + b"what is this, and what does it do here?") is None


def test_nesting_without_end_is_given_up() -> None:
    """A megabyte of sequences in sequences is no image and takes no memory."""
    inside = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    nested = (element(0x00291010, "SQ", b"", length=UNDEFINED) + inside) * 50_000
    assert ends_whole(identity_elements() + nested) is None


def test_a_huge_image_is_counted_and_not_kept() -> None:
    """A gigabyte of pixels or of anything else passes by in pieces, none of which is held."""
    scanner = DicomScanner()
    private = element(0x00291010, "OB", bytes(100_000))
    scanner.feed(dicom_file(identity_elements() + private + element(0x7FE00010, "OW", b"", length=1 << 30)))
    piece = bytes(1 << 20)
    for _ in range(1 << 10):
        scanner.feed(piece)
        assert scanner._walker is not None
        assert not scanner._walker._kept
        assert not scanner._head
    identity = scanner.finish()
    assert identity.ends_whole is True
    assert identity.size_bytes > 1 << 30


def test_a_value_that_straddles_pieces_is_kept_briefly() -> None:
    """What waits for its other half is never longer than a value and its header."""
    content = dicom_file(identity_elements() + element(0x00291010, "OB", bytes(5000)) + PIXELS)
    scanner = DicomScanner()
    for start in range(0, len(content), 7):
        scanner.feed(content[start : start + 7])
        assert scanner._walker is None or len(scanner._walker._kept) <= 1024 + 12
    assert scanner.finish().ends_whole is True


def test_deflated_data_sets() -> None:
    """The identity is found in the head; whether the rest is whole cannot be told without inflating all of it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data_set = identity_elements() + element(0x7FE00010, "OW", b"", length=1 << 27)
    deflated = compressor.compress(data_set + bytes(1 << 27)) + compressor.flush()
    scanner = DicomScanner()
    scanner.feed(dicom_file(deflated, transfer_syntax_uid=DEFLATED))
    assert scanner._walker is not None
    assert scanner._walker._skip_bytes > 1 << 26, "only the head may be inflated"
    identity = scanner.finish()
    assert (identity.sop_instance_uid, identity.ends_whole) == (SOP_INSTANCE_UID, None)
    with pytest.raises(NotDicomError, match="does not inflate"):
        scan([dicom_file(b"\xff" * 50, transfer_syntax_uid=DEFLATED)])


def test_a_deflated_identity_behind_long_lists_is_found() -> None:
    """Segmentations refer to thousands of images before they tell who they are."""
    references = b"".join(
        item(element(0x00081155, "UI", b"1.2.3.%06d" % number), is_delimited=False) for number in range(100_000)
    )
    head = element(0x00080018, "UI", b"1.2.3.4\0") + element(0x00081115, "SQ", references)
    data_set = head + element(0x0020000E, "UI", b"1.2.3\0") + PIXELS
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(data_set) + compressor.flush()
    assert len(data_set) > 2 << 20
    assert scan([dicom_file(deflated, transfer_syntax_uid=DEFLATED)]).series_instance_uid == "1.2.3"


def test_a_deflated_bomb_is_inflated_only_a_little() -> None:
    """Nothing is looked for without end."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = element(0x00080018, "UI", b"1.2.3.4\0") + element(0x00091001, "OB", b"", length=1 << 30)
    bomb = compressor.compress(head) + b"".join(compressor.compress(bytes(1 << 20)) for _ in range(256)) + compressor.flush()
    scanner = DicomScanner()
    scanner.feed(dicom_file(bomb, transfer_syntax_uid=DEFLATED))
    assert scanner._walker is not None
    assert scanner._walker._skip_bytes > (1 << 30) - (65 << 20)


def test_the_image_classes_are_registered() -> None:
    """Every class in our table is an image class in pydicom's copy of the standard."""
    assert holds_pixels(CT_IMAGE_STORAGE)
    assert not holds_pixels(RT_PLAN_STORAGE)
    for uid in map(UID, _IMAGE_CLASSES):
        assert uid.type == "SOP Class"
        assert "Image Storage" in uid.name or uid.name in {"Segmentation Storage", "Enhanced US Volume Storage"}


@given(content=st.binary(max_size=300), has_preamble=st.booleans(), chunk_bytes=st.integers(1, 100))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_raise_only_our_errors(content: bytes, has_preamble: bool, chunk_bytes: int) -> None:
    """Whatever a member holds, the scanner answers in the tree's own words."""
    body = dicom_file(identity_elements() + content) if has_preamble else content
    try:
        scan(body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes))
    except TransferError:
        return
