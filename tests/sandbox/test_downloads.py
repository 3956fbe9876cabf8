"""The image endpoints send the members, names, order and headers of the archive, as a stream."""

import json
from hashlib import md5
from io import BytesIO

import pydicom
import pytest

from downloader.sandbox import (
    Catalogue,
    Sandbox,
    SandboxCollection,
    SandboxPatient,
    builtin_catalogue,
    catalogue_of,
    generated_series,
    serve_sandbox,
    study_of,
)
from tests.sandbox.conftest import Client, Received, first_uid

pytestmark = pytest.mark.anyio

MD5_LIST = "md5hashes.csv"


def _listed(reply: Received) -> dict[str, str]:
    """What md5hashes.csv says: name to hash."""
    header, *rows = reply.zip.read(MD5_LIST).decode().splitlines()
    assert header == "Filename,MD5Hash"
    return dict(row.split(",") for row in rows)


def _image_names(reply: Received) -> list[str]:
    return [name for name in reply.zip.namelist() if name.endswith(".dcm")]


@pytest.mark.parametrize(
    ("path", "parameters", "before", "after"),
    [
        ("v1/getImage", {}, ["LICENSE"], []),
        ("v4/getImage", {"NewFileNames": "yes"}, ["LICENSE"], []),
        ("v4/getImage", {"IncludeMD5": "Yes"}, ["LICENSE"], [MD5_LIST]),
        ("v1/getImageWithMD5Hash", {}, [], [MD5_LIST]),
        ("v4/getImageWithMD5Hash", {}, [], [MD5_LIST]),
        ("v1/getDCMImage", {}, [], []),
        ("v4/getDCMImage", {"MD5Verification": "true"}, [], [MD5_LIST]),
    ],
)
async def test_members_and_order(
    client: Client, small: Catalogue, path: str, parameters: dict[str, str], before: list[str], after: list[str]
) -> None:
    """LICENSE first, md5hashes.csv last, between them every image once, which the catalogue's counts and hashes fit."""
    uid = first_uid(small)
    async with serve_sandbox(small) as sandbox:
        reply = await client.get(sandbox, path, SeriesInstanceUID=uid, **parameters)
        names = reply.zip.namelist()
        images = [reply.zip.read(name) for name in _image_names(reply)]
        assert names == [*before, *_image_names(reply), *after]
        assert reply.zip.testzip() is None
        assert sum(map(len, images)) == sandbox.file_size_bytes(uid)
        found = {str(pydicom.dcmread(BytesIO(image)).SOPInstanceUID) for image in images}
        assert found == {image.sop_instance_uid for image in sandbox.images_of(uid)}
        if after:
            hashes = {name: md5(reply.zip.read(name), usedforsecurity=False).hexdigest() for name in _image_names(reply)}
            assert _listed(reply) == hashes
            assert set(hashes.values()) == {sandbox.md5(image) for image in sandbox.images_of(uid)}


@pytest.mark.parametrize("uid", builtin_catalogue().holdings)
async def test_every_built_in_series_fits_its_row(client: Client, uid: str) -> None:
    """What getSeries tells of a series is what getImage sends."""
    async with serve_sandbox() as sandbox:
        rows = json.loads((await client.get(sandbox, "v4/getSeries", SeriesInstanceUID=uid)).body or b"[]")
        reply = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=uid, IncludeMD5="Yes", NewFileNames="Yes")
    if not rows:
        assert reply.status == 400
        return
    sizes = [member.file_size for member in reply.zip.infolist() if member.filename.endswith(".dcm")]
    assert (len(sizes), sum(sizes)) == (rows[0]["ImageCount"], rows[0]["FileSize"])
    assert len(_listed(reply)) == len(sizes)
    assert reply.zip.testzip() is None


async def test_headers_of_a_stream(client: Client) -> None:
    """Chunked, no length, the series' name; Range is ignored."""
    catalogue = catalogue_of([generated_series(seed=1, images=2)])
    uid = first_uid(catalogue)
    async with serve_sandbox(catalogue) as sandbox:
        reply = await client.ask(
            "GET", sandbox, "v4/getImage", headers={"Range": "bytes=100-"}, parameters={"SeriesInstanceUID": uid}
        )
    assert reply.status == 200
    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{uid}.zip"'
    assert not {"Content-Length", "ETag", "Accept-Ranges"} & set(reply.headers)
    assert reply.zip.testzip() is None


async def test_a_small_body_has_a_length(client: Client, small: Catalogue) -> None:
    """What fits the archive's buffer of 8192 bytes goes out with a Content-Length."""
    uid = list(small.holdings)[1]
    async with serve_sandbox(small) as sandbox:
        reply = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=uid)
    assert len(reply.body) < 8192
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert "Transfer-Encoding" not in reply.headers


async def test_numbers_say_nothing_about_images(client: Client, small: Catalogue) -> None:
    """Without NewFileNames the same name means another image next time; with it names follow the instance numbers."""
    uid = first_uid(small)

    async def order(sandbox: Sandbox, **parameters: str) -> list[tuple[str, str]]:
        reply = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=uid, **parameters)
        return [(name, pydicom.dcmread(BytesIO(reply.zip.read(name))).SOPInstanceUID) for name in _image_names(reply)]

    async with serve_sandbox(small) as sandbox:
        downloads = [await order(sandbox) for _ in range(4)]
        named = await order(sandbox, NewFileNames="Yes")
        expected = [image.sop_instance_uid for image in sandbox.images_of(uid)]
    assert {name for name, _ in downloads[0]} == {f"{number:08d}.dcm" for number in range(1, 6)}
    assert len({tuple(download) for download in downloads}) > 1
    assert named == [(f"1-{number}.dcm", expected[number - 1]) for number in range(1, 6)]


async def test_names_of_two_acquisitions(client: Client) -> None:
    """The first number is the acquisition's rank, the second the image's, padded to the count."""
    catalogue = catalogue_of([generated_series(seed=1, images=12, rows=8, columns=8, acquisitions=2)])
    async with serve_sandbox(catalogue) as sandbox:
        reply = await client.get(sandbox, "v1/getImage", SeriesInstanceUID=first_uid(catalogue), NewFileNames="Yes")
    ranks = [f"{acquisition}-{number:02d}.dcm" for acquisition in (1, 2) for number in range(1, 7)]
    assert _image_names(reply) == ranks


async def test_an_annotation_comes_only_when_asked_for(client: Client) -> None:
    """Behind the hash list, under its own name, and not in the list."""
    series = generated_series(seed=1, images=2, rows=8, columns=8, annotation="<a/>")
    catalogue = catalogue_of([series])
    wanted = {"SeriesInstanceUID": series.series_instance_uid, "MD5Verification": "true"}
    async with serve_sandbox(catalogue) as sandbox:
        reply = await client.get(sandbox, "v4/getDCMImage", **wanted, IncludeAnnotation="true")
        without = await client.get(sandbox, "v4/getDCMImage", **wanted)
    assert reply.zip.namelist()[-2] == MD5_LIST
    assert reply.zip.read(reply.zip.namelist()[-1]) == b"<a/>"
    assert len(_listed(reply)) == 2
    assert without.zip.namelist()[-1] == MD5_LIST


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("v1/getImage", "Image with given SeriesInstanceUID,1.2.3, is not in public domain."),
        (
            "v4/getImageWithMD5Hash",
            (
                "The user has not been granted the access to image with given SeriesInstanceUID,1.2.3. "
                "Please contact System Admin to resolve this issue."
            ),
        ),
    ],
)
async def test_refusals(client: Client, path: str, sentence: str) -> None:
    """Unknown and private look alike: 400 and the generation's sentence."""
    async with serve_sandbox() as sandbox:
        reply = await client.get(sandbox, path, SeriesInstanceUID="1.2.3")
    assert (reply.status, reply.headers["Content-Type"], reply.text) == (400, "application/json", sentence)


async def test_an_older_deployment_knows_no_include_md5(client: Client, small: Catalogue) -> None:
    """It refuses the parameter, and answers without it."""
    wanted = {"SeriesInstanceUID": first_uid(small)}
    async with serve_sandbox(small, include_md5=False) as sandbox:
        refused = await client.get(sandbox, "v4/getImage", **wanted, IncludeMD5="Yes")
        assert (await client.get(sandbox, "v4/getImage", **wanted)).status == 200
    assert refused.status == 400
    assert refused.text == "Invalid query parameter: 'IncludeMD5'. Allowed parameters are: [SeriesInstanceUID, NewFileNames]"


async def test_v1_ignores_include_md5(client: Client, small: Catalogue) -> None:
    """As it ignores everything it does not know."""
    async with serve_sandbox(small) as sandbox:
        reply = await client.get(sandbox, "v1/getImage", SeriesInstanceUID=first_uid(small), IncludeMD5="Yes")
    assert MD5_LIST not in reply.zip.namelist()


async def test_a_single_image(client: Client, small: Catalogue) -> None:
    """Bare DICOM with a length; what is not there is a 500."""
    uid = first_uid(small)
    async with serve_sandbox(small) as sandbox:
        image = sandbox.images_of(uid)[2]
        wanted = {"SeriesInstanceUID": uid, "SOPInstanceUID": image.sop_instance_uid}
        reply = await client.get(sandbox, "v4/getSingleImage", **wanted)
        missing = await client.get(sandbox, "v4/getSingleImage", SeriesInstanceUID=uid, SOPInstanceUID="1.2")
    assert reply.headers["Content-Type"] == "application/dicom"
    assert reply.headers["Content-Disposition"] == f"attachment; filename={image.sop_instance_uid}.dcm"
    assert int(reply.headers["Content-Length"]) == len(reply.body) == image.size_bytes
    assert pydicom.dcmread(BytesIO(reply.body)).InstanceNumber == 3
    assert missing.status == 500


async def test_a_series_without_images_is_a_license(client: Client) -> None:
    """Its counts are absent, its ZIP holds no image."""
    series = generated_series(seed=1, images=0)
    collection = SandboxCollection(
        name="C", license_text="Ask µ.", patients=(SandboxPatient(patient_id="P", studies=(study_of(series, seed=1),)),)
    )
    async with serve_sandbox(Catalogue(collections=(collection,))) as sandbox:
        reply = await client.get(sandbox, "v4/getImage", SeriesInstanceUID=series.series_instance_uid)
        rows = json.loads((await client.get(sandbox, "v4/getSeries")).body)
    assert reply.zip.namelist() == ["LICENSE"]
    assert reply.zip.read("LICENSE").decode() == "Ask µ."
    assert not {"ImageCount", "FileSize"} & set(rows[0])
