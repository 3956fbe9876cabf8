"""What an archive can do is learned from evidence: a passing refusal costs an attempt, and never proof."""

from pathlib import Path

import pytest

from downloader.manifest import ApiGeneration
from downloader.model import Md5Mode
from downloader.options import RunOptions
from downloader.sandbox import Catalogue, Fault, FaultKind, catalogue_of, generated_series
from downloader.views.report import RunReport
from tests.faults.scene import Scene, open_scene

pytestmark = pytest.mark.anyio
V1, V4 = ApiGeneration.V1, ApiGeneration.V4
ATTEMPTS = 4
LISTS = {V1: ("getImageWithMD5Hash",), V4: ("getImage", "getImageWithMD5Hash")}
"""The endpoints that send MD5 lists, in the order in which they are asked."""
DOWNLOADS = ("getImage", "getImageWithMD5Hash")


def several(count: int = 4) -> Catalogue:
    """So many small series."""
    return catalogue_of([generated_series(seed=seed, images=3, rows=16, columns=16) for seed in range(1, count + 1)])


def refusals(api: ApiGeneration, status: int, *, times: int | None) -> list[Fault]:
    """Every way with a list is refused so many times (None: for ever); v4's way without one is the same endpoint."""
    return [Fault(kind=FaultKind.STATUS, status=status, endpoints=(name,), times=times) for name in LISTS[api]]


async def run(scene: Scene, api: ApiGeneration, attempts: int = ATTEMPTS) -> RunReport:
    """One run with so many attempts."""
    return await scene.run(api, options=RunOptions(attempts=attempts))


@pytest.mark.parametrize("api", [V1, V4])
@pytest.mark.parametrize("status", [404, 405])
async def test_a_passing_refusal_never_costs_proof(tmp_path: Path, api: ApiGeneration, status: int) -> None:
    """The ZIPs that follow hold an image with wrong bytes, which the archive's lists show: they never complete."""
    altered = Fault(kind=FaultKind.CHANGED_IMAGE, endpoints=DOWNLOADS)
    async with open_scene(tmp_path, *refusals(api, status, times=1), altered, catalogue=several()) as scene:
        report = await run(scene, api)
        assert (report.exit_code, report.completed) == (3, 0)
        assert {failure.error for failure in report.failures} == {"DigestMismatchError"}
        assert scene.receipts() == {}


@pytest.mark.parametrize("api", [V1, V4])
@pytest.mark.parametrize("status", [404, 405])
async def test_a_passing_refusal_costs_an_attempt(tmp_path: Path, api: ApiGeneration, status: int) -> None:
    """Then every series comes with its list, as if nothing had been."""
    async with open_scene(tmp_path, *refusals(api, status, times=1), catalogue=several()) as scene:
        scene.assert_complete(await run(scene, api))
        assert {receipt.proof.md5_images for _, receipt in scene.receipts().values()} == {3}


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_an_older_deployment_without_lists_completes_in_one_run(tmp_path: Path, count: int) -> None:
    """Be it one series or several: each is refused a few times at most, and after three none is asked any more."""
    missing = Fault(kind=FaultKind.STATUS, status=404, endpoints=LISTS[V1])
    async with open_scene(tmp_path, missing, catalogue=several(count)) as scene:
        scene.assert_complete(await run(scene, V1))
        assert {receipt.proof.md5_images for _, receipt in scene.receipts().values()} == {0}


@pytest.mark.parametrize("api", [V1, V4])
@pytest.mark.parametrize("lists", ["off", "not offered"])
async def test_a_series_that_grew_and_was_sent_short_fits_no_old_row(tmp_path: Path, api: ApiGeneration, lists: str) -> None:
    """Without a list nothing else tells that an image is missing: the catalogue is asked once more, and then all of it comes."""
    stale = Fault(kind=FaultKind.RECOUNTED, images=2, endpoints=("getSeries",), times=1)
    short = Fault(kind=FaultKind.SHORT_ZIP, images=2, endpoints=("getImage",), times=1)
    faults = [stale, short] if lists == "off" else [stale, *refusals(api, 404, times=3), short]
    async with open_scene(tmp_path, *faults, catalogue=several(1)) as scene:
        md5 = Md5Mode.OFF if lists == "off" else Md5Mode.AUTO
        scene.assert_complete(await scene.run(api, options=RunOptions(attempts=6, md5=md5)))
        ((_, receipt),) = scene.receipts().values()
        assert (len(receipt.images), receipt.series.image_count) == (3, 3)
        assert scene.sandbox.faults.struck(FaultKind.SHORT_ZIP) == 1


async def test_a_series_that_stays_short_of_its_newest_row_is_not_complete(tmp_path: Path) -> None:
    """However often the old row is believed at first."""
    stale = Fault(kind=FaultKind.RECOUNTED, images=2, endpoints=("getSeries",), times=1)
    short = Fault(kind=FaultKind.SHORT_ZIP, images=2, endpoints=("getImage",))
    async with open_scene(tmp_path, stale, short, catalogue=several(1)) as scene:
        report = await scene.run(V4, options=RunOptions(attempts=3, md5=Md5Mode.OFF))
        assert [failure.error for failure in report.failures] == ["IncompleteSeriesError"]
        assert scene.receipts() == {}


async def test_a_row_that_holds_is_asked_once_more_and_nothing_else(tmp_path: Path) -> None:
    """Only where no list comes; with lists there is no such request."""
    async with open_scene(tmp_path, catalogue=several(2)) as scene:
        scene.assert_complete(await scene.run(V4, options=RunOptions(md5=Md5Mode.OFF)))
        assert scene.sandbox.count("getSeriesMetadata") == 2
        assert scene.sandbox.count("getImage") == 2
