"""Receipts as files."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from downloader.errors import DamagedReceiptError
from downloader.library.receipt import decode_receipt, encode_receipt
from downloader.model import Digests, Image, Proof, StoredZip
from tests.library.series_streams import SERIES, receipt_of

IMAGES = (
    Image(name="1-1.dcm", sop_instance_uid="1.2.1", size_bytes=10, md5="0" * 32, sop_class_uid="1.2.840.10008.5.1.4.1.1.2"),
    Image(name="1-2.dcm", sop_instance_uid="1.2.2", size_bytes=0, md5="f" * 32),
)
RECEIPT = receipt_of(
    replace(SERIES, submitted_at=datetime(2020, 2, 29, 1, 2, 3, tzinfo=UTC), date_released=date(2020, 3, 1)), IMAGES
)


def test_a_receipt_is_read_as_it_was_written() -> None:
    """Every attribute, the whole series included."""
    assert decode_receipt(encode_receipt(RECEIPT)) == RECEIPT


ZIPPED = replace(RECEIPT, zip=StoredZip(name="1.2.zip", size_bytes=7, md5="a" * 32))


def test_a_receipt_of_a_zip_is_read_as_it_was_written() -> None:
    """Its images are members, whose names are no paths."""
    odd = replace(ZIPPED, images=(replace(IMAGES[0], name="00000001.5/IMG1"), IMAGES[1]))
    assert decode_receipt(encode_receipt(odd)) == odd
    assert odd.file_sizes == {"1.2.zip": 7}


@pytest.mark.parametrize("zipped", [{"name": "../x.zip"}, {"name": ".receipt.json"}, {"size_bytes": -1}, {"md5": "b"}])
def test_a_zip_that_cannot_be_is_refused(zipped: dict[str, object]) -> None:
    """A receipt may come from anywhere: what it names must stay in its folder."""
    document = json.loads(encode_receipt(ZIPPED))
    document["zip"].update(zipped)
    with pytest.raises(DamagedReceiptError):
        decode_receipt(json.dumps(document).encode())


def test_the_same_receipt_is_the_same_bytes() -> None:
    """Sorted keys, one line, UTF-8, with the number of its form."""
    content = encode_receipt(replace(RECEIPT, series=replace(RECEIPT.series, patient_id="µ\0")))
    document = json.loads(content)
    assert document["format"] == 1
    assert list(document) == sorted(document)
    assert document["completed_at"] == "2026-11-23T12:30:15.250000+00:00"
    assert "µ".encode() in content
    assert content.endswith(b"}\n")


def test_a_receipt_from_before_sop_classes_is_read() -> None:
    """What it does not tell is not made up."""
    document = json.loads(encode_receipt(RECEIPT))
    for image in document["images"]:
        del image["sop_class_uid"]
    read = decode_receipt(json.dumps(document).encode())
    assert read.sop_class_uid == ""
    assert [image.md5 for image in read.images] == [image.md5 for image in IMAGES]


@pytest.mark.parametrize(
    ("matched", "blank", "digests"), [(2, 0, Digests.ALL), (1, 1, Digests.SOME), (0, 2, Digests.NONE), (0, 0, Digests.NONE)]
)
def test_a_receipt_tells_the_strength_of_its_proof(matched: int, blank: int, digests: Digests) -> None:
    """In a word of its own, for readers without tciad."""
    proof = Proof(size=True, md5_images=matched, md5_blank=blank, md5_list=True)
    document = json.loads(encode_receipt(replace(RECEIPT, proof=proof)))
    assert document["proof"]["digests"] == digests
    assert decode_receipt(json.dumps(document).encode()).proof == proof


@pytest.mark.parametrize(
    ("matched", "merged", "digests", "came_with_list"),
    [(2, False, Digests.ALL, True), (2, True, Digests.ALL, False), (0, False, Digests.NONE, False)],
)
def test_a_receipt_from_before_strengths_is_read(matched: int, merged: bool, digests: Digests, came_with_list: bool) -> None:
    """The strength follows from what it counts."""
    document = json.loads(encode_receipt(RECEIPT))
    document["proof"] = {"size": True, "md5_images": matched, "md5_blank": 2 - matched, "merged": merged}
    proof = decode_receipt(json.dumps(document).encode()).proof
    assert (proof.digests, proof.came_with_list) == (digests, came_with_list)


def test_the_class_of_a_series_is_that_of_most_of_its_images() -> None:
    """A series may hold a localizer of another class; images that tell nothing do not vote."""
    images = tuple(
        replace(IMAGES[0], name=f"{number}", sop_class_uid=told) for number, told in enumerate(("", "", "1.4", "1.7", "1.4"))
    )
    assert replace(RECEIPT, images=images).sop_class_uid == "1.4"
    assert replace(RECEIPT, images=()).sop_class_uid == ""


def test_half_a_surrogate_pair_does_not_stop_a_receipt() -> None:
    """A broken catalogue may send one; the receipt must be written all the same."""
    receipt = replace(RECEIPT, series=replace(RECEIPT.series, series_description="x\ud800y"))
    assert decode_receipt(encode_receipt(receipt)).series.series_description == "x?y"


def test_attributes_of_a_later_version_are_passed_over() -> None:
    """As long as the form is the same, more may be in it."""
    document = json.loads(encode_receipt(RECEIPT))
    document["colour"] = "blue"
    document["images"][0]["colour"] = "blue"
    assert decode_receipt(json.dumps(document).encode()) == RECEIPT


def changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(encode_receipt(RECEIPT)), **changes}).encode()


def with_image(**changes: object) -> bytes:
    document = json.loads(encode_receipt(RECEIPT))
    document["images"][0].update(changes)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        encode_receipt(RECEIPT)[:-20],
        changed(format=2),
        changed(completed_at="2026-11-23T12:30:15"),
        changed(received_bytes="12"),
        changed(received_bytes=-1),
        changed(received_bytes=10**30),
        with_image(size_bytes=10**30),
        with_image(sop_class_uid="CT"),
        changed(series={"series_instance_uid": "1.2", "file_size_bytes": 2**63}),
        changed(images=None),
        changed(series={}),
        with_image(name="../escape.dcm"),
        with_image(name="/etc/passwd"),
        with_image(name="a\\b"),
        with_image(name="a\0b"),
        with_image(name=".receipt.json"),
        with_image(name=""),
        with_image(name="x" * 300),
        with_image(name="1-2.dcm"),
        with_image(size_bytes=-1),
        with_image(md5="0" * 31),
        with_image(md5="F" * 32),
    ],
)
def test_what_cannot_be_true_is_refused(content: bytes) -> None:
    """Cut, foreign, newer, or hostile: such a receipt proves nothing, and no name in it leaves the folder."""
    with pytest.raises(DamagedReceiptError, match="the receipt is not valid"):
        decode_receipt(content)
