"""A series with contradictory catalogue rows has one truth in each resolve: the run warns, and does not fetch it every time."""

import json
from pathlib import Path
from typing import Any

import pytest

from downloader.manifest import ApiGeneration, Selection
from downloader.sandbox import Catalogue, Fault, FaultKind, catalogue_of, generated_series
from tests.faults.scene import Scene, open_scene

pytestmark = pytest.mark.anyio
V1, V4 = ApiGeneration.V1, ApiGeneration.V4
SERIES = generated_series(seed=1, images=3, rows=16, columns=16)
OTHER = generated_series(seed=2, images=1, rows=16, columns=16)
UID = SERIES.series_instance_uid
ENTRIES = [
    Selection(position="m:1", values={"collection": ("Sandbox",)}),
    Selection(position="m:2", values={"patient_id": (catalogue_of([SERIES]).collections[0].patients[0].patient_id,)}),
]
"""Two lists of the same series, in this order."""


def recounted(images: int, *, after: int = 0, times: int = 1) -> Fault:
    """A list that counts other images than there are, after this many lists that do not."""
    return Fault(
        kind=FaultKind.RECOUNTED, images=images, series_instance_uid=UID, endpoints=("getSeries",), after=after, times=times
    )


@pytest.mark.parametrize("api", [V4, V1])
@pytest.mark.parametrize("wrong", [0, 1], ids=["the first list", "the second list"])
async def test_a_series_that_two_lists_count_differently_is_fetched_once(tmp_path: Path, api: ApiGeneration, wrong: int) -> None:
    """Whichever list is the wrong one, and however often they are asked."""
    async with open_scene(tmp_path, catalogue=catalogue_of([SERIES])) as scene:
        for run in range(3):
            scene.sandbox.faults.clear()
            scene.sandbox.faults.add(recounted(9, after=wrong))
            before = downloads(scene)
            report = await scene.run(api, select=ENTRIES)
            scene.assert_complete(report)
            assert scene.sandbox.faults.struck(FaultKind.RECOUNTED) == 1
            (told,) = [warning for warning in report.warnings if "has contradictory catalogue rows" in warning]
            assert "3 images" in told
            assert "9 images" in told
            assert "3 images" in told.rpartition("; ")[2]
            assert downloads(scene) == before + (run == 0)
            assert changes(scene)["changed"] == []


async def test_a_real_change_is_taken_though_another_list_is_stale(tmp_path: Path) -> None:
    """The own row tells which of two rows holds."""
    async with open_scene(tmp_path, catalogue=catalogue_of([SERIES])) as scene:
        scene.assert_complete(await scene.run(select=ENTRIES))
        newer = generated_series(seed=1, images=4, rows=16, columns=16)
        scene.sandbox.replace_catalogue(catalogue_of([newer]))
        scene.sandbox.faults.add(recounted(7, after=1))
        report = await scene.run(select=ENTRIES)
        scene.assert_complete(report)
        assert len(scene.receipts()[UID][1].images) == 4


def grown_catalogue() -> Catalogue:
    """The series with one more image, and another series of the same study."""
    return catalogue_of([generated_series(seed=1, images=4, rows=16, columns=16), OTHER])


@pytest.mark.parametrize("api", [V4, V1])
async def test_a_stale_list_that_was_refused_keeps_no_old_version(tmp_path: Path, api: ApiGeneration) -> None:
    """The list is stale and short, and whole when it is asked for again: the new image comes in the same run, untold."""
    async with open_scene(tmp_path, catalogue=catalogue_of([SERIES, OTHER])) as scene:
        scene.assert_complete(await scene.run(api))
        scene.sandbox.replace_catalogue(grown_catalogue())
        short = Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=OTHER.series_instance_uid, endpoints=("getSeries",), times=1)
        scene.sandbox.faults.add(recounted(3))
        scene.sandbox.faults.add(short)
        report = await scene.run(api)
        scene.assert_complete(report)
        assert report.warnings == ()
        assert changes(scene)["changed"] == [UID]


@pytest.mark.parametrize("api", [V4, V1])
async def test_a_stale_list_in_every_resolve_keeps_no_old_version(tmp_path: Path, api: ApiGeneration) -> None:
    """The first list tells what the library has; the series' own row decides, and later runs fetch nothing again."""
    async with open_scene(tmp_path, catalogue=catalogue_of([SERIES, OTHER])) as scene:
        scene.assert_complete(await scene.run(api, select=ENTRIES))
        scene.sandbox.replace_catalogue(grown_catalogue())
        before = downloads(scene)
        for _ in range(3):
            scene.sandbox.faults.clear()
            scene.sandbox.faults.add(recounted(3))
            report = await scene.run(api, select=ENTRIES)
            scene.assert_complete(report)
            (told,) = [warning for warning in report.warnings if "has contradictory catalogue rows" in warning]
            assert "4 images" in told.rpartition("; ")[2]
            assert downloads(scene) == before + 1


async def test_a_receipt_alone_does_not_prove_which_of_two_lists_holds(tmp_path: Path) -> None:
    """Without the own row and without getSeriesSize what is there stays, the run ends with 3, and the next one asks again."""
    async with open_scene(tmp_path, catalogue=catalogue_of([SERIES])) as scene:
        scene.assert_complete(await scene.run(select=ENTRIES))
        scene.sandbox.faults.add(recounted(9))
        out = ("getSeriesMetadata", "getSeriesSize")
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=500, endpoints=out))
        before = downloads(scene)
        report = await scene.run(select=ENTRIES)
        assert (report.exit_code, report.tally.complete, downloads(scene)) == (3, 1, before)
        assert [warning for warning in report.warnings if "does not confirm" in warning]
        scene.sandbox.faults.clear()
        scene.assert_complete(await scene.run(select=ENTRIES))


def downloads(scene: Scene) -> int:
    """How often images were asked for."""
    return scene.sandbox.count("getImage") + scene.sandbox.count("getImageWithMD5Hash")


def changes(scene: Scene) -> dict[str, Any]:
    """The newest change report."""
    newest = max((scene.library / ".tciad" / "changes").glob("*.json"))
    document: dict[str, Any] = json.loads(newest.read_bytes())
    return document
