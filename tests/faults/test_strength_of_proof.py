"""What an archive can do is learned from evidence: a passing refusal costs an attempt, and never proof."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.manifest import ApiGeneration
from downloader.model import Digests, Md5Mode
from downloader.results.run import RunReport
from downloader.sandbox import Catalogue, Fault, FaultKind, catalogue_of, generated_series
from downloader.ui.run import render_run
from tests.faults.scene import OWN_FOLDER, Scene, open_scene

pytestmark = pytest.mark.anyio
V1, V4 = ApiGeneration.V1, ApiGeneration.V4
ATTEMPTS = 4
LISTS = {V1: ("getImageWithMD5Hash",), V4: ("getImage", "getImageWithMD5Hash")}
"""The endpoints that send MD5 lists, in the order in which they are asked."""
DOWNLOADS = ("getImage", "getImageWithMD5Hash")
SINGLE_MD5S = ("getMD5HashForImage", "getM5HashForImage", "getMD5Hierarchy")


def downloads(scene: Scene) -> int:
    """How often images of whole series were asked for."""
    return sum(scene.sandbox.count(endpoint) for endpoint in DOWNLOADS)


def several(count: int = 4) -> Catalogue:
    """This many small series."""
    return catalogue_of([generated_series(seed=seed, images=3, rows=16, columns=16) for seed in range(1, count + 1)])


def refusals(api: ApiGeneration, status: int, *, times: int | None) -> list[Fault]:
    """Every way with a list is refused this many times (None: for ever); v4's way without one is the same endpoint."""
    return [Fault(kind=FaultKind.STATUS, status=status, endpoints=(name,), times=times) for name in LISTS[api]]


async def run(scene: Scene, api: ApiGeneration, attempts: int = ATTEMPTS) -> RunReport:
    """One run with this many attempts."""
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
    missing = Fault(kind=FaultKind.STATUS, status=404, endpoints=(*LISTS[V1], *SINGLE_MD5S))
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


# What later runs make of weak proofs


def weakened(scene: Scene) -> set[str]:
    """The series whose receipts say that no digest of the archive vouches for them."""
    return {name for name, (_, receipt) in scene.receipts().items() if receipt.proof.digests is not Digests.ALL}


@pytest.mark.parametrize("api", [V1, V4])
async def test_weak_proof_is_told_and_mended_once_the_archive_offers_lists(tmp_path: Path, api: ApiGeneration) -> None:
    """By the report and the receipts; the digests of single images are enough, so nothing comes twice."""
    older = [*refusals(api, 404, times=3), Fault(kind=FaultKind.STATUS, status=404, endpoints=SINGLE_MD5S)]
    async with open_scene(tmp_path, *older, catalogue=several(1)) as scene:
        report = await scene.run(api, options=RunOptions(attempts=6))
        scene.assert_complete(report)
        assert report.as_json()["proof"] == {
            "all": 0,
            "some": 0,
            "none": 1,
            "unknown": 0,
            "proven_again": 0,
            "weak_series": [scene.victim],
        }
        assert any("has no MD5 list of the archive" in warning for warning in report.warnings)
        assert f"none of 1 ({scene.victim})" in render_run(report)
        assert weakened(scene) == {scene.victim}

        scene.sandbox.faults.clear()
        before = downloads(scene)
        report = await scene.run(api)
        scene.assert_complete(report)
        assert (report.proof.proven_by_all, report.proof.weak, report.proof.proven_again) == (1, 0, 1)
        assert (report.warnings, report.received_bytes, downloads(scene)) == ((), 0, before)
        assert weakened(scene) == set()

        asked = len(scene.sandbox.requests)
        report = await scene.run(api)
        assert report.proof.proven_again == 0
        assert not any("MD5" in request.endpoint or "M5" in request.endpoint for request in scene.sandbox.requests[asked:])


@pytest.mark.parametrize("api", [V1, V4])
async def test_without_digests_of_single_images_a_series_comes_again_with_its_list(tmp_path: Path, api: ApiGeneration) -> None:
    """In place of what lies there; the next run finds nothing more to do."""
    no_singles = Fault(kind=FaultKind.STATUS, status=404, endpoints=SINGLE_MD5S)
    async with open_scene(tmp_path, no_singles, catalogue=several(2)) as scene:
        scene.assert_complete(await scene.run(api, options=RunOptions(md5=Md5Mode.OFF)))
        assert len(weakened(scene)) == 2
        report = await scene.run(api)
        scene.assert_complete(report)
        assert (report.proof.proven_again, report.proof.weak, weakened(scene)) == (2, 0, set())
        assert report.received_bytes > 0
        before = downloads(scene)
        scene.assert_complete(await scene.run(api))
        assert downloads(scene) == before


@pytest.mark.parametrize("digests", ["of single images", "in lists only"])
async def test_wrong_images_of_a_weak_proof_are_found_and_replaced(tmp_path: Path, digests: str) -> None:
    """They came while no list was asked for; the archive's MD5s show it, and the right ones take their place."""
    faults = [] if digests == "of single images" else [Fault(kind=FaultKind.STATUS, status=404, endpoints=SINGLE_MD5S)]
    altered = Fault(kind=FaultKind.CHANGED_IMAGE, endpoints=("getImage",), times=1)
    async with open_scene(tmp_path, altered, *faults, catalogue=several(1)) as scene:
        with pytest.raises(AssertionError):  # what lies there is wrong, and the scene sees it
            await scene.run(V4, options=RunOptions(md5=Md5Mode.OFF))
        report = await scene.run(V4)
        scene.assert_complete(report)
        assert weakened(scene) == set()
        if digests == "of single images":
            assert any("differ from the archive's MD5s" in warning for warning in report.warnings)


async def test_a_list_with_blanks_is_not_fetched_for_again(tmp_path: Path) -> None:
    """The archive has no hash of that image: the proof is as good as it can be, and the run warns."""
    async with open_scene(tmp_path, Fault(kind=FaultKind.BLANK_HASH), catalogue=several(1)) as scene:
        scene.assert_complete(await scene.run(V4))
        before = len(scene.sandbox.requests)
        report = await scene.run(V4)
        scene.assert_complete(report)
        assert report.proof.proven_by_some == 1
        assert report.warnings == ()
        catalogue = {"getCollectionValues", "getSeries", "getPatientStudy"}
        assert {request.endpoint for request in scene.sandbox.requests[before:]} <= catalogue


async def test_an_archive_without_digests_is_asked_about_a_few_series_only(tmp_path: Path) -> None:
    """In each run, so that it is noticed when it offers them; whatever it answers, what is complete stays so."""
    missing = Fault(kind=FaultKind.STATUS, status=404, endpoints=(*LISTS[V1], *SINGLE_MD5S))
    async with open_scene(tmp_path, missing, catalogue=several(9)) as scene:
        scene.assert_complete(await run(scene, V1))
        before, came = len(scene.sandbox.requests), downloads(scene)
        report = await run(scene, V1)
        scene.assert_complete(report)
        assert report.proof.proven_by_none == 9
        assert "9 complete series have no MD5 list of the archive" in report.warnings[0]
        asked = [request.endpoint for request in scene.sandbox.requests[before:]]
        assert asked.count("getM5HashForImage") == 3
        assert downloads(scene) - came == 3  # asked for, and refused


async def test_an_archive_whose_lists_the_library_shows_is_held_to_them(tmp_path: Path) -> None:
    """By a later run, in another process: series that are new then fail rather than come without a list."""
    async with open_scene(tmp_path, catalogue=several(1)) as scene:
        scene.assert_complete(await scene.run(V1))
        scene.sandbox.replace_catalogue(several(3))
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=404, endpoints=LISTS[V1]))
        report = await run(scene, V1)
        assert (report.exit_code, len(report.failures)) == (3, 2)
        assert "sent MD5 lists before" in report.failures[0].message
        assert len(scene.receipts()) == 1


async def test_a_store_of_an_older_tciad_learns_the_strength_from_receipts(tmp_path: Path) -> None:
    """Before anything is asked of the archive."""
    async with open_scene(tmp_path, catalogue=several(2)) as scene:
        scene.assert_complete(await scene.run(V4))
        with closing(sqlite3.connect(scene.library / OWN_FOLDER / "state.db")) as store, store:
            store.execute("UPDATE series SET digests = NULL, md5_list = NULL")
        report = await scene.run(V4)
        assert (report.proof.proven_by_all, report.proof.unknown) == (2, 0)


async def test_an_archive_that_contradicts_itself_takes_nothing_away(tmp_path: Path) -> None:
    """Its list differs from the images that it sends: the copy in the library stays complete, and the run warns."""
    faults = [Fault(kind=FaultKind.STATUS, status=404, endpoints=SINGLE_MD5S), Fault(kind=FaultKind.WRONG_HASH)]
    async with open_scene(tmp_path, *faults, catalogue=several(1)) as scene:
        scene.assert_complete(await scene.run(V4, options=RunOptions(md5=Md5Mode.OFF)))
        report = await scene.run(V4)
        scene.assert_complete(report)
        assert weakened(scene) == {scene.victim}
        assert any("differs from the images that it sends now" in warning for warning in report.warnings)


async def test_a_list_with_blanks_is_fetched_once_where_md5s_are_required(tmp_path: Path) -> None:
    """What is complete is proven as well as it can be; only new series need every MD5."""
    faults = [Fault(kind=FaultKind.STATUS, status=404, endpoints=SINGLE_MD5S), Fault(kind=FaultKind.BLANK_HASH)]
    async with open_scene(tmp_path, *faults, catalogue=several(1)) as scene:
        scene.assert_complete(await scene.run(V4, options=RunOptions(md5=Md5Mode.OFF)))
        before = downloads(scene)
        reports = [await scene.run(V4, options=RunOptions(md5=Md5Mode.REQUIRE)) for _ in range(3)]
        scene.assert_complete(reports[-1])
        assert [report.proof.proven_by_some for report in reports] == [1, 1, 1]
        assert downloads(scene) == before + 1


@pytest.mark.parametrize("kind", [FaultKind.EMPTY_ZIP, FaultKind.LICENSE_ONLY])
async def test_a_status_of_200_without_a_list_shows_no_lists(tmp_path: Path, kind: FaultKind) -> None:
    """A deployment without lists answers one request for a list with a ZIP of nothing, and every series still completes."""
    once = Fault(kind=kind, endpoints=LISTS[V1], times=1)
    missing = Fault(kind=FaultKind.STATUS, status=404, endpoints=(*LISTS[V1], *SINGLE_MD5S))
    async with open_scene(tmp_path, once, missing, catalogue=several()) as scene:
        scene.assert_complete(await run(scene, V1, attempts=6))


@pytest.mark.parametrize("status", [401, 403])
async def test_guarded_md5s_leave_the_lists_to_prove_what_is_weak(tmp_path: Path, status: int) -> None:
    """The archive gives MD5s of single images and series to accounts only, and lists to everybody."""
    guarded = Fault(kind=FaultKind.STATUS, status=status, endpoints=SINGLE_MD5S)
    async with open_scene(tmp_path, guarded, catalogue=several(2)) as scene:
        scene.assert_complete(await scene.run(V4, options=RunOptions(md5=Md5Mode.OFF)))
        report = await scene.run(V4)
        scene.assert_complete(report)
        assert (report.proof.proven_again, report.proof.weak) == (2, 0)


@pytest.mark.parametrize("attempts", [1, 2])
async def test_an_older_deployment_without_lists_completes_in_few_attempts(tmp_path: Path, attempts: int) -> None:
    """A refusal in each attempt that a series has is enough, and the run warns of weaker proofs."""
    missing = Fault(kind=FaultKind.STATUS, status=404, endpoints=(*LISTS[V1], *SINGLE_MD5S))
    async with open_scene(tmp_path, missing, catalogue=several()) as scene:
        report = await run(scene, V1, attempts)
        scene.assert_complete(report)
        assert report.proof.proven_by_none == 4
        assert "have no MD5 list of the archive" in report.warnings[0]
