"""The traps of getImage where series are kept as ZIPs: what is believed is the same, and nothing unproven is ever stored."""

from pathlib import Path

import pytest

from downloader.config.options import RunOptions, StorageFormat
from downloader.manifest import ApiGeneration
from downloader.sandbox import Fault, FaultKind
from tests.faults.scene import ATTEMPTS, open_scene

pytestmark = pytest.mark.anyio
ZIP = RunOptions(attempts=ATTEMPTS, format=StorageFormat.ZIP)


@pytest.mark.parametrize("api", ApiGeneration)
async def test_every_generation_gives_zips_that_are_kept(tmp_path: Path, api: ApiGeneration) -> None:
    """With md5hashes.csv or without, whatever members are called."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run(api, options=ZIP))
        for folder, receipt in scene.receipts().values():
            assert receipt.zip is not None
            assert {path.suffix for path in folder.iterdir() if path.name[0] != "."} == {".zip"}
        again = await scene.run(api, options=ZIP)
        assert (again.completed, again.received_bytes) == (0, 0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.SHORT_ZIP, images=3),
        Fault(kind=FaultKind.HALF_IMAGE, images=4),
        Fault(kind=FaultKind.NO_MD5_LIST),
        Fault(kind=FaultKind.WRONG_HASH),
        Fault(kind=FaultKind.LICENSE_ONLY),
        Fault(kind=FaultKind.EMPTY_ZIP),
        Fault(kind=FaultKind.CUT, at_bytes=12_000),
        Fault(kind=FaultKind.CLEAN_CUT, at_bytes=12_000),
        Fault(kind=FaultKind.FLIPPED_BYTE, at_bytes=9_000),
        Fault(kind=FaultKind.DUPLICATE_IMAGE),
        Fault(kind=FaultKind.WRONG_SERIES),
        Fault(kind=FaultKind.EXTRA_IMAGE),
        Fault(kind=FaultKind.NOT_DICOM),
        Fault(kind=FaultKind.WRONG_CRC),
        Fault(kind=FaultKind.WRONG_SIZE),
        Fault(kind=FaultKind.HTML),
        Fault(kind=FaultKind.EMPTY),
    ],
    ids=lambda fault: fault.kind.value,
)
async def test_a_wrong_zip_is_not_kept(tmp_path: Path, fault: Fault) -> None:
    """Lasting, it is a failure that stores nothing; once, it costs an attempt, and the whole ZIP is asked for again."""
    async with open_scene(tmp_path, fault) as scene:
        report = await scene.run(options=ZIP)
        assert (report.exit_code, set(scene.receipts())) == (3, {scene.neighbour})
        scene.assert_nothing_staged()
        scene.sandbox.faults.clear()
        scene.assert_complete(await scene.run(options=ZIP))
        assert scene.sandbox.count("getSingleImage") == 0


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.CLEAN_CUT])
async def test_a_zip_that_breaks_off_each_time_says_what_would_help(tmp_path: Path, kind: FaultKind) -> None:
    """No ZIP can be continued. Kept as images, the series goes on where the line broke, and comes in the end."""
    async with open_scene(tmp_path, Fault(kind=kind, at_bytes=12_000)) as scene:
        message = scene.assert_failed(await scene.run(options=ZIP), "CutTransferError", "TruncatedZipError")
        assert "use output.format: images" in message
        scene.assert_complete(await scene.run(options=RunOptions(attempts=ATTEMPTS, format=StorageFormat.IMAGES)))


async def test_both_formats_can_lie_in_one_library(tmp_path: Path) -> None:
    """What is complete stays as it is; what is fetched from now on is kept in the new way."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.EMPTY_ZIP, times=1)) as scene:
        await scene.run(options=RunOptions(attempts=1))
        scene.assert_complete(await scene.run(options=ZIP))
        kept = {name: receipt.zip is not None for name, (_, receipt) in scene.receipts().items()}
        assert kept == {scene.victim: True, scene.neighbour: False}
        assert scene.sandbox.count("getImage") == 3
