"""Traps of getImage: what comes with status 200 and is no whole series, and what comes in its place (docs/faults.md)."""

from dataclasses import replace
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.manifest import ApiGeneration
from downloader.model import Md5Mode
from downloader.sandbox import Fault, FaultKind, SandboxSeries, catalogue_of, generated_series
from tests.faults.scene import ATTEMPTS, NO_SINGLE_IMAGES, open_scene

pytestmark = pytest.mark.anyio
GENERATIONS = [ApiGeneration.V4, ApiGeneration.V1]
V4 = ApiGeneration.V4


async def assert_mends(root: Path, fault: Fault, api: ApiGeneration = V4) -> None:
    """The fault strikes once and costs an attempt; the series is whole in the end."""
    async with open_scene(root, replace(fault, times=1)) as scene:
        scene.assert_complete(await scene.run(api))
        assert scene.sandbox.faults.struck(fault.kind) == 1


async def assert_fails(
    root: Path, fault: Fault, *errors: str, api: ApiGeneration = V4, attempts: int = ATTEMPTS, md5: Md5Mode = Md5Mode.AUTO
) -> str:
    """The fault never ends: its series fails with one of these errors, and stores nothing. Returns the message for the user."""
    async with open_scene(root, fault, NO_SINGLE_IMAGES) as scene:
        report = await scene.run(api, options=RunOptions(attempts=ATTEMPTS, md5=md5))
        message = scene.assert_failed(report, *errors, attempts=attempts)
        assert scene.victim in message
    return message


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("images", [1, 3])
async def test_a_valid_zip_with_fewer_images(tmp_path: Path, api: ApiGeneration, images: int) -> None:
    """Trap 1: the archive stopped half-way and says 200."""
    await assert_mends(tmp_path, Fault(kind=FaultKind.SHORT_ZIP, images=images), api)


@pytest.mark.parametrize("api", GENERATIONS)
async def test_a_zip_that_stays_short(tmp_path: Path, api: ApiGeneration) -> None:
    """Trap 1: it is never complete, and the report tells how many came."""
    message = await assert_fails(tmp_path, Fault(kind=FaultKind.SHORT_ZIP, images=3), "IncompleteSeriesError", api=api)
    assert "3 of 4 images" in message


@pytest.mark.parametrize("kind", [FaultKind.NO_MD5_LIST, FaultKind.WRONG_HASH])
async def test_a_zip_without_its_md5_list_or_with_a_wrong_one(tmp_path: Path, kind: FaultKind) -> None:
    """Traps 1 and 2: the list proves that the archive's loop ended, and each hash its image."""
    await assert_mends(tmp_path, Fault(kind=kind))


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("md5", [Md5Mode.AUTO, Md5Mode.OFF])
@pytest.mark.parametrize("images", [1, 4])
async def test_half_an_image_under_a_valid_crc(tmp_path: Path, api: ApiGeneration, images: int, md5: Md5Mode) -> None:
    """Trap 2: with MD5 lists and without; half of the last image is found by its size."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.HALF_IMAGE, images=images, times=1)) as scene:
        scene.assert_complete(await scene.run(api, options=RunOptions(attempts=ATTEMPTS, md5=md5)))
        assert scene.sandbox.faults.struck(FaultKind.HALF_IMAGE) == 1


async def test_an_image_that_stays_halved(tmp_path: Path) -> None:
    """Trap 2: every image is there, one of them by half, no hash says so: the sizes do."""
    fault = Fault(kind=FaultKind.HALF_IMAGE, images=4)
    await assert_fails(tmp_path, fault, "IncompleteSeriesError", md5=Md5Mode.OFF)


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("kind", [FaultKind.LICENSE_ONLY, FaultKind.EMPTY_LICENSE, FaultKind.EMPTY_ZIP])
async def test_a_zip_without_images(tmp_path: Path, kind: FaultKind, api: ApiGeneration) -> None:
    """Trap 3: none is no series."""
    await assert_mends(tmp_path, Fault(kind=kind), api)


@pytest.mark.parametrize("kind", [FaultKind.LICENSE_ONLY, FaultKind.EMPTY_LICENSE, FaultKind.EMPTY_ZIP])
async def test_a_zip_that_stays_without_images(tmp_path: Path, kind: FaultKind) -> None:
    """Trap 3: zero images are a failure, never a complete series."""
    message = await assert_fails(tmp_path, Fault(kind=kind), "IncompleteSeriesError")
    assert "0 of 4 images" in message


@pytest.mark.parametrize("at_bytes", [0, 1, 100, 9_000, 20_000])
async def test_a_cut_line(tmp_path: Path, at_bytes: int) -> None:
    """Trap 4: the connection closes without the last chunk."""
    await assert_mends(tmp_path, Fault(kind=FaultKind.CUT, at_bytes=at_bytes))


async def test_a_line_that_is_always_cut(tmp_path: Path) -> None:
    """Trap 4: before the first image is whole there is nothing to keep, and the series fails."""
    await assert_fails(tmp_path, Fault(kind=FaultKind.CUT, at_bytes=100), "CutTransferError")


@pytest.mark.parametrize("at_bytes", [0, 1, 100, 9_000, 20_000])
async def test_a_clean_end_too_early(tmp_path: Path, at_bytes: int) -> None:
    """Trap 5: a proxy ended the body as HTTP wants it; the ZIP's directory is missing."""
    await assert_mends(tmp_path, Fault(kind=FaultKind.CLEAN_CUT, at_bytes=at_bytes))


async def test_a_line_that_always_ends_too_early(tmp_path: Path) -> None:
    """Trap 5: the report says where the ZIP ends."""
    message = await assert_fails(tmp_path, Fault(kind=FaultKind.CLEAN_CUT, at_bytes=100), "TruncatedZipError")
    assert "at byte 100" in message


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.JSON_TEXT, FaultKind.EMPTY])
async def test_a_page_in_place_of_a_zip(tmp_path: Path, kind: FaultKind, api: ApiGeneration) -> None:
    """Trap 6, and 7 for downloads: 200 with a web page, an error object, or nothing."""
    await assert_mends(tmp_path, Fault(kind=kind), api)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (FaultKind.HTML, "Scheduled maintenance"),
        (FaultKind.JSON_TEXT, "IndexOutOfBounds"),
        (FaultKind.EMPTY, "an empty reply"),
    ],
)
async def test_a_page_that_stays(tmp_path: Path, kind: FaultKind, says: str) -> None:
    """Trap 6: the message quotes the page."""
    assert says in await assert_fails(tmp_path, Fault(kind=kind), "ArchiveFaultError")


async def test_another_order_after_a_cut(tmp_path: Path) -> None:
    """Trap 16: names and order of v1 differ in each reply; images are known by their SOP Instance UID alone."""
    series = generated_series(seed=5, images=12, rows=64, columns=64)
    cuts = [NO_SINGLE_IMAGES, Fault(kind=FaultKind.CUT, at_bytes=40_000, times=2)]
    async with open_scene(tmp_path, *cuts, catalogue=catalogue_of([series])) as scene:
        scene.assert_complete(await scene.run(ApiGeneration.V1))
        assert scene.sandbox.faults.struck(FaultKind.CUT) == 2


async def test_the_bytes_of_a_zip_are_never_resumed(tmp_path: Path) -> None:
    """Trap 17: no Range is ever asked for, and the ZIP as such is never compared."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.CUT, at_bytes=20_000, times=1)) as scene:
        scene.assert_complete(await scene.run())
        assert not any("Range" in request.headers for request in scene.sandbox.requests)


def _of_many(count: int) -> SandboxSeries:
    return generated_series(seed=3, images=count, rows=1, columns=1)


async def test_descriptors_and_zip64(tmp_path: Path) -> None:
    """Trap 18: every ZIP of the sandbox has descriptors and flags 0x0808.

    tests/zipstream goes to 4 GiB members and 70,000 of them.
    """
    async with open_scene(tmp_path, catalogue=catalogue_of([_of_many(300)])) as scene:
        scene.assert_complete(await scene.run())


@pytest.mark.parametrize("name", ["00000001.5/IMG1", "00000001", "00000001.DCM", "a b, c.dcm", "00000001.dcm "])
async def test_odd_names_are_harmless(tmp_path: Path, name: str) -> None:
    """Trap 19: a member's name is never a path, so what is only odd is taken."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.UNSAFE_NAME, text=name)) as scene:
        scene.assert_complete(await scene.run())


@pytest.mark.parametrize(
    "name",
    ["../../escaped.dcm", "/etc/escaped.dcm", "..\\escaped.dcm", "C:\\escaped.dcm", "a/../../b.dcm", "x\x1b[2J.dcm", "..", "x\n"],
)
async def test_unsafe_names_are_given_up(tmp_path: Path, name: str) -> None:
    """Trap 19: no honest archive sends them, so few attempts are made, and nothing of it is kept."""
    message = await assert_fails(tmp_path, Fault(kind=FaultKind.UNSAFE_NAME, text=name), "UnsafeMemberError", attempts=ATTEMPTS)
    assert message.isprintable()


async def test_duplicate_members_are_given_up(tmp_path: Path) -> None:
    """Trap 19: one name twice."""
    await assert_fails(tmp_path, Fault(kind=FaultKind.DUPLICATE_MEMBER), "UnsafeMemberError", attempts=ATTEMPTS)


async def test_an_image_twice_is_no_second_image(tmp_path: Path) -> None:
    """Trap 19: one image under two names."""
    await assert_fails(tmp_path, Fault(kind=FaultKind.DUPLICATE_IMAGE), "WrongSeriesError")


async def test_names_that_differ_in_case_are_two(tmp_path: Path) -> None:
    """Trap 19: the library's own names collide on no file system."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.CASE_COLLISION)) as scene:
        scene.assert_complete(await scene.run())
        folder, receipt = scene.receipts()[scene.victim]
        names = [path.name.casefold() for path in folder.iterdir()]
        assert len(set(names)) == len(names) == len(receipt.images) + 1


async def test_a_blank_hash_proves_nothing_and_refutes_nothing(tmp_path: Path) -> None:
    """Trap 20: the receipt tells how many images the archive had no hash for."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.BLANK_HASH)) as scene:
        scene.assert_complete(await scene.run())
        _, receipt = scene.receipts()[scene.victim]
        assert (receipt.proof.md5_images, receipt.proof.md5_blank) == (3, 1)


async def test_a_blank_hash_is_not_enough_where_hashes_are_required(tmp_path: Path) -> None:
    """Trap 20: `md5: require` fails such a series."""
    await assert_fails(tmp_path, Fault(kind=FaultKind.BLANK_HASH), "DigestMismatchError", md5=Md5Mode.REQUIRE)


async def test_hashes_without_leading_zeros(tmp_path: Path) -> None:
    """Trap 20: padded before they are compared; the list is in no order."""
    series = generated_series(seed=4, images=64, rows=8, columns=8)
    async with open_scene(tmp_path, Fault(kind=FaultKind.SHORT_HASH), catalogue=catalogue_of([series])) as scene:
        scene.assert_complete(await scene.run())
        _, receipt = scene.receipts()[scene.victim]
        assert receipt.proof.md5_images == 64
        assert any(image.md5.startswith("0") for image in receipt.images), "no hash of this series was shortened"


async def test_a_wrong_hash_that_stays(tmp_path: Path) -> None:
    """Trap 20: the image that differs is named."""
    await assert_fails(tmp_path, Fault(kind=FaultKind.WRONG_HASH), "DigestMismatchError")


@pytest.mark.parametrize("kind", [FaultKind.WRONG_SERIES, FaultKind.NOT_DICOM, FaultKind.WRONG_CRC, FaultKind.WRONG_SIZE])
async def test_other_images_than_were_asked_for(tmp_path: Path, kind: FaultKind) -> None:
    """Images of another series, a text, a CRC or size that does not hold: an attempt is lost, nothing is stored."""
    await assert_mends(tmp_path, Fault(kind=kind))


@pytest.mark.parametrize("at_bytes", [0, 40, 2_000, 15_000])
async def test_a_flipped_byte(tmp_path: Path, at_bytes: int) -> None:
    """Wherever it is, it costs an attempt and no more."""
    await assert_mends(tmp_path, Fault(kind=FaultKind.FLIPPED_BYTE, at_bytes=at_bytes))
