"""Odd images, in a run from manifest to receipt: kept where readers or the archive's MD5 vouch for them, else refused."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from downloader.config.options import RunOptions, StorageFormat
from downloader.engine.mirror import open_mirror
from downloader.library.receipt import RECEIPT_NAME, decode_receipt
from downloader.manifest import ApiGeneration, ArchiveAddress, Manifest, Selection
from downloader.model import Identity, Receipt
from downloader.results.run import RunReport
from downloader.results.verification import VerificationReport, VerificationTally
from downloader.ui.maintenance import render_verification
from downloader.ui.progress import SilentProgress
from tests.dicomstream.making import (
    CT_IMAGE_STORAGE,
    ITEM_END,
    SEQUENCE_END,
    dicom_file,
    element,
    identity_elements,
    implicit_element,
)
from tests.fakes.scripted_archive import ScriptedReply, ScriptedRequest, serve_script
from tests.faults.scene import PauseClock

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]
SERIES = "1.2.3"
PIXELS = element(0x00280010, "US", b"\2\0") + element(0x7FE00010, "OW", bytes(512))
PLAIN = dicom_file(identity_elements(sop_class_uid=CT_IMAGE_STORAGE) + PIXELS)
HEAD = element(0x00080016, "UI", CT_IMAGE_STORAGE.encode() + b"\0") + element(0x00080018, "UI", b"1.2.3.4\0")
REST = element(0x0020000E, "UI", b"1.2.3\0") + PIXELS

# read by our scanner as the field's readers do, so a digest is not needed
FOLLOWED = {
    "no preamble, implicit VR, zeros behind": b"".join(
        (
            implicit_element(0x00080018, b"1.2.3.4\0"),
            implicit_element(0x0020000E, b"1.2.3\0"),
            implicit_element(0x00280010, b"\2\0"),
            implicit_element(0x7FE00010, bytes(32)),
            bytes(64),
        )
    ),
    "a VR that is none": dicom_file(HEAD + element(0x00091001, "??", b"ab") + REST),
    "a VR in lower case": dicom_file(HEAD + element(0x00091001, "ui", b"ab") + REST),
    "a stray sequence delimiter": dicom_file(HEAD + SEQUENCE_END + REST),
    "a stray item delimiter": dicom_file(HEAD + ITEM_END + REST),
    "a UID with a dot at its end": dicom_file(identity_elements(sop_instance_uid=b"1.2.840.727.") + PIXELS),
    "a UUID": dicom_file(identity_elements(sop_instance_uid=b"022f82f4-e9df-4533-b237-6ab563dfaf56") + PIXELS),
    "a line break behind the pixels": PLAIN + b"\r\n",
    "a bare header": dicom_file(identity_elements(sop_class_uid=CT_IMAGE_STORAGE)),
}
# read by pydicom
DOUBTED = {"garbage behind a bare data set": identity_elements(sop_instance_uid=b"1.2.3.5\0") + b"garbage!" * 40}
# read by no program
UNREAD = {
    "no image at all": b"this is the archive's own damage" * 20,
    "no UID of its own": dicom_file(element(0x0020000E, "UI", b"1.2.3\0") + PIXELS),
    "zeros": bytes(2000),
}
WRONG = {
    "another series, which only pydicom can read": identity_elements(series_instance_uid=b"1.2.4\0") + b"garbage!" * 40,
    "another series": dicom_file(identity_elements(series_instance_uid=b"1.2.4\0") + PIXELS),
    "nothing": b"",
}
HALVES = {
    "half an image": PLAIN[:-100],
    "half a line of an image": dicom_file(identity_elements(sop_class_uid=CT_IMAGE_STORAGE) + PIXELS[:11]),
    "the header of an image that announces its pixels": dicom_file(identity_elements() + PIXELS[:10]),
    "half an element of a bare header": FOLLOWED["a bare header"][:-1],
    "half a padding": PLAIN + element(0xFFFCFFFC, "OB", bytes(100))[:50],
}


def md5(content: bytes) -> str:
    """As the archive writes it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def zip_of(images: Mapping[str, bytes], digests: Mapping[str, str] | None) -> bytes:
    """What getImage sends."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in images.items():
            packed.writestr(name, content)
        if digests is not None:
            packed.writestr("md5hashes.csv", "\n".join(["filename,MD5Hash", *(f"{name},{md5}" for name, md5 in digests.items())]))
    return buffer.getvalue()


async def run_over(
    root: Path,
    images: Mapping[str, bytes],
    *,
    digests: Mapping[str, str] | None,
    size: int | None = None,
    form: StorageFormat = StorageFormat.IMAGES,
) -> tuple[RunReport, Receipt | None]:
    """One run against an archive that has these images; `digests` is its MD5 list, None where it has no such lists."""
    api = ApiGeneration.BINDAAS if digests is None else ApiGeneration.V1
    row = {"SeriesInstanceUID": SERIES, "Collection": "C", "PatientID": "P", "Modality": "CT", "ImageCount": len(images)}
    body = zip_of(images, digests)

    def answer(request: ScriptedRequest) -> ScriptedReply:
        if request.path.endswith(("getCollectionValues",)):
            return ScriptedReply(body=b'[{"Collection": "C"}]')
        if request.path.endswith("getSeries"):
            return ScriptedReply(body=json.dumps([{**row, "FileSize": size} if size is not None else row]).encode())
        if "getImage" in request.path:
            return ScriptedReply(body=body, content_type="application/zip")
        return ScriptedReply(body=b"[]")

    async with serve_script(answer) as server:
        manifest = Manifest(
            path=root / "m.yaml",
            name="m",
            archive=ArchiveAddress(base_url=server.base_url, api=api),
            select=(Selection(position="m.yaml:1", values={"collection": ("C",)}),),
        )
        options = RunOptions(
            attempts=1, output=root / "library", min_free_bytes=0, minimum_bytes_per_second=0, format=form, secrets={}
        )
        async with open_mirror(manifest, options, SilentProgress(), PauseClock()) as run:
            report = await run.run()
    receipts = [path for path in (root / "library").rglob(RECEIPT_NAME) if ".tciad" not in path.parts]
    return report, decode_receipt(receipts[0].read_bytes()) if receipts else None


def listed(images: Mapping[str, bytes]) -> dict[str, str]:
    """A list with the MD5 of each."""
    return {name: md5(content) for name, content in images.items()}


@pytest.mark.parametrize("kind", FOLLOWED)
async def test_what_readers_read_is_complete_without_digests(tmp_path: Path, kind: str) -> None:
    """In the API of 2013, which gives neither sizes nor digests."""
    report, receipt = await run_over(tmp_path, {"1-1.dcm": FOLLOWED[kind]}, digests=None)
    assert report.exit_code == 0, report
    assert receipt is not None
    assert receipt.proof.identity is Identity.READ


@pytest.mark.parametrize("form", list(StorageFormat))
@pytest.mark.parametrize("kind", FOLLOWED | DOUBTED)
async def test_what_readers_read_is_complete_with_digests(tmp_path: Path, kind: str, form: StorageFormat) -> None:
    """As files and as the ZIP that came."""
    images = {"1-1.dcm": (FOLLOWED | DOUBTED)[kind]}
    report, receipt = await run_over(tmp_path, images, digests=listed(images), form=form)
    assert report.exit_code == 0, report
    assert receipt is not None
    assert receipt.proof.identity is Identity.READ
    assert receipt.images[0].sop_instance_uid


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize("form", list(StorageFormat))
@pytest.mark.parametrize("kind", UNREAD)
async def test_what_nothing_can_read_is_kept_where_the_archive_vouches(
    tmp_path: Path, kind: str, form: StorageFormat, is_small: bool
) -> None:
    """The receipt says so, of the image and of the series, and the report warns once; small series come by another way."""
    images = {"1-1.dcm": PLAIN, "1-2.dcm": UNREAD[kind]}
    size = sum(map(len, images.values())) if is_small else None
    report, receipt = await run_over(tmp_path, images, digests=listed(images), size=size, form=form)
    assert report.exit_code == 0, report
    assert receipt is not None
    assert receipt.proof.identity is Identity.UNREAD
    assert [(image.identity, image.md5) for image in receipt.images] == [
        (Identity.READ, md5(PLAIN)),
        (Identity.UNREAD, md5(UNREAD[kind])),
    ]
    assert receipt.images[1].sop_instance_uid == ""
    tally = VerificationTally()
    tally.take(receipt, (), 0)
    verification = VerificationReport(library="x", deep=False, upstream=False, tally=tally)
    assert verification.as_json([], [])["unread_series"] == 1
    assert "1 series with images that no reader can identify" in render_verification(verification)
    (warning,) = [warning for warning in report.warnings if "identity: unread" in warning]
    assert SERIES in warning


@pytest.mark.parametrize("kind", UNREAD | DOUBTED)
@pytest.mark.parametrize("digests", ["none", "blank", "wrong"])
async def test_what_cannot_be_read_is_refused_where_nothing_vouches(tmp_path: Path, kind: str, digests: str) -> None:
    """No list, no hash in it, or another: size and count say nothing of what it is."""
    images = {"1-1.dcm": PLAIN, "1-2.dcm": (UNREAD | DOUBTED)[kind]}
    lists: dict[str, dict[str, str] | None] = {
        "none": None,
        "blank": {**listed(images), "1-2.dcm": ""},
        "wrong": {**listed(images), "1-2.dcm": "0" * 32},
    }
    report, receipt = await run_over(tmp_path, images, digests=lists[digests], size=sum(map(len, images.values())))
    assert report.exit_code == 3
    assert receipt is None
    assert report.failures[0].error == ("DigestMismatchError" if digests == "wrong" else "NotDicomError")


@pytest.mark.parametrize("kind", WRONG)
async def test_no_digest_excuses_another_series_or_nothing(tmp_path: Path, kind: str) -> None:
    """An image that says that it is of another series is refused, whichever digest matches it."""
    images = {"1-1.dcm": PLAIN, "1-2.dcm": WRONG[kind]}
    report, receipt = await run_over(tmp_path, images, digests=listed(images))
    assert (report.exit_code, receipt) == (3, None)


@pytest.mark.parametrize("kind", HALVES)
async def test_half_an_image_is_refused_where_neither_size_nor_digest_vouches(tmp_path: Path, kind: str) -> None:
    """However much is let pass, what was cut is not."""
    report, receipt = await run_over(tmp_path, {"1-1.dcm": HALVES[kind]}, digests=None)
    assert (report.exit_code, receipt) == (3, None)
    assert report.failures[0].error == "IncompleteSeriesError"
