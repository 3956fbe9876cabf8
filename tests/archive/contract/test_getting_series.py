"""Getting series from beginning to end, in every generation: manifest, catalogue, download, proof, library."""

from dataclasses import replace
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.manifest import ApiGeneration, Selection
from downloader.model import Md5Mode
from downloader.sandbox import Fault, FaultKind
from tests.faults.scene import ATTEMPTS, NO_SINGLE_IMAGES, open_scene

pytestmark = pytest.mark.anyio
every_generation = pytest.mark.parametrize("api", ApiGeneration)


@every_generation
async def test_a_library_is_made_and_proven(tmp_path: Path, api: ApiGeneration) -> None:
    """Each receipt says what its proof rests on: MD5s and FileSize where the generation has them, the images' structure else."""
    async with open_scene(tmp_path) as scene:
        scene.assert_complete(await scene.run(api))
        proofs = {series: receipt.proof for series, (_, receipt) in scene.receipts().items()}
        receipts = [receipt for _, receipt in scene.receipts().values()]
    has_hashes = api is not ApiGeneration.BINDAAS
    assert {receipt.generation for receipt in receipts} == {api.value}
    assert proofs == {
        receipt.series.series_instance_uid: replace(
            receipt.proof, size=has_hashes, md5_images=len(receipt.images) if has_hashes else 0, merged=False
        )
        for receipt in receipts
    }


@every_generation
async def test_a_second_run_downloads_nothing(tmp_path: Path, api: ApiGeneration) -> None:
    """What the catalogue of this generation tells is enough to know a complete series again."""
    async with open_scene(tmp_path) as scene:
        await scene.run(api)
        before = len(scene.sandbox.requests)
        report = await scene.run(api)
        scene.assert_complete(report)
        # getPatientStudy counts the series that the list must have
        lists = {"getSeries", "getCollectionValues", "getPatientStudy"}
        assert {request.endpoint for request in scene.sandbox.requests[before:]} <= lists


@every_generation
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.SHORT_ZIP, times=1),
        Fault(kind=FaultKind.HALF_IMAGE, images=4, times=1),
        Fault(kind=FaultKind.CUT, at_bytes=9000, times=1),
        Fault(kind=FaultKind.CLEAN_CUT, at_bytes=9000, times=1),
        Fault(kind=FaultKind.EMPTY_ZIP, times=1),
        Fault(kind=FaultKind.STATUS, status=503, times=2),
        Fault(kind=FaultKind.HTML, times=1),
        Fault(kind=FaultKind.DENIED, times=1),
        Fault(kind=FaultKind.STATUS, status=500, endpoints=("getSeries",), times=2),
        Fault(kind=FaultKind.CUT_LIST, endpoints=("getSeries",), times=1),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.endpoints}",
)
async def test_what_passes_is_overcome(tmp_path: Path, api: ApiGeneration, fault: Fault) -> None:
    """The scripted faults are those of every generation."""
    async with open_scene(tmp_path, fault) as scene:
        scene.assert_complete(await scene.run(api))
        assert scene.sandbox.faults.struck(fault.kind) == fault.times


@every_generation
async def test_what_lasts_is_never_taken_for_complete(tmp_path: Path, api: ApiGeneration) -> None:
    """A ZIP that lacks images, for ever; the other series is whole."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.SHORT_ZIP), NO_SINGLE_IMAGES) as scene:
        message = scene.assert_failed(await scene.run(api), "IncompleteSeriesError")
    assert "1 of 4 images received" in message


@every_generation
async def test_a_listed_series_is_found_by_its_uid(tmp_path: Path, api: ApiGeneration) -> None:
    """Also where the generation cannot be asked for it."""
    async with open_scene(tmp_path) as scene:
        wanted = Selection(position="m.yaml:1", series_instance_uids=(scene.victim,))
        report = await scene.run(api, select=[wanted])
        assert (report.outcome, list(scene.receipts())) == ("complete", [scene.victim])


@every_generation
async def test_required_md5s_are_had_or_refused(tmp_path: Path, api: ApiGeneration) -> None:
    """The API of 2013 has none, and says so without an attempt at a download."""
    async with open_scene(tmp_path) as scene:
        report = await scene.run(api, options=RunOptions(attempts=ATTEMPTS, md5=Md5Mode.REQUIRE))
        if api is not ApiGeneration.BINDAAS:
            scene.assert_complete(report)
            return
        assert {failure.error for failure in report.failures} == {"UnexpectedReplyError"}
        assert "set md5: auto" in report.failures[0].message
        assert scene.sandbox.count("getImage") == 0


async def test_tokens_that_die_cost_no_attempt(tmp_path: Path) -> None:
    """Each series has one attempt, and the archive forgets its tokens three times, in lists and in downloads."""
    # a fault does not count the requests that another one struck: each of these strikes behind the retry of the one before it
    struck = [("getSeries", 0), ("getImageWithMD5Hash", 0), ("getImageWithMD5Hash", 1)]
    faults = [Fault(kind=FaultKind.FORGOTTEN_TOKENS, endpoints=(name,), after=after, times=1) for name, after in struck]
    async with open_scene(tmp_path, *faults) as scene:
        scene.assert_complete(await scene.run(ApiGeneration.V2, options=RunOptions(attempts=1, concurrency=1)))
        assert scene.sandbox.faults.struck(FaultKind.FORGOTTEN_TOKENS) == 3
        assert scene.sandbox.tokens.grants == ["password", *["refresh_token", "password"] * 3]
