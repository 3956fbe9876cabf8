"""A series is withdrawn only when a second, different question agrees, and deleted only when it is asked for once more."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.config.options import RunOptions
from downloader.engine.mirror import open_mirror
from downloader.manifest import ApiGeneration, Selection, WithdrawnPolicy
from downloader.results.run import RunReport
from downloader.sandbox import (
    Catalogue,
    Fault,
    FaultKind,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    generated_series,
    study_of,
)
from downloader.ui.progress import SilentProgress
from tests.faults.scene import OWN_FOLDER, Scene, open_scene

pytestmark = pytest.mark.anyio
V1, V4 = ApiGeneration.V1, ApiGeneration.V4
DAY_SECONDS = 86_400.0


def series(seed: int, **attributes: object) -> SandboxSeries:
    """A series of a few kilobytes."""
    return replace(generated_series(seed=seed, images=2, rows=16, columns=16), **attributes)  # type: ignore[arg-type]


def uid(seed: int) -> str:
    return series(seed).series_instance_uid


def held(*seeds: int) -> Catalogue:
    """Two patients of one collection: series 1 to 3 are of the first, all others of the second; each has a study of its own."""
    studies = {seed: study_of(series(seed), seed=seed) for seed in seeds}
    patients = (
        SandboxPatient(patient_id="P-1", studies=tuple(study for seed, study in studies.items() if seed <= 3)),
        SandboxPatient(patient_id="P-2", studies=tuple(study for seed, study in studies.items() if seed > 3)),
    )
    return Catalogue(collections=(SandboxCollection(name="Sandbox", patients=patients),))


FILTERED: Sequence[Selection] = [
    Selection(position="m:1", values={"collection": ("Sandbox",), "patient_id": ("P-1",)}),
    Selection(position="m:2", values={"collection": ("Sandbox",), "patient_id": ("P-2",), "modality": ("CT",)}),
]


async def cycle(
    scene: Scene,
    api: ApiGeneration = V4,
    policy: WithdrawnPolicy = WithdrawnPolicy.DELETE,
    select: Sequence[Selection] = FILTERED,
) -> RunReport:
    """One run that deletes what was withdrawn more than a day before; everything may vanish."""
    manifest = replace(scene.manifest(api, select), withdrawn=policy, withdrawn_grace_seconds=DAY_SECONDS)
    options = RunOptions(output=scene.library, min_free_bytes=0, minimum_bytes_per_second=0, attempts=2, max_shrink_percent=100.0)
    async with open_mirror(manifest, options, SilentProgress(), scene.clock) as run:
        report = await run.run()
    scene.clock.elapsed_seconds += 2 * DAY_SECONDS
    return report


def listed_by_name_only(seed: int, times: int | None = None) -> Fault:
    """A list that leaves the series out, whatever getSeries is asked for."""
    return Fault(kind=FaultKind.WITHDRAWN, series_instance_uid=uid(seed), endpoints=("getSeries",), times=times)


@pytest.mark.parametrize("api", [V4, V1])
@pytest.mark.parametrize(
    "struck", [Fault(kind=FaultKind.EMPTY, endpoints=("getSeries",), times=1), listed_by_name_only(1, times=1)]
)
async def test_a_list_that_is_wrong_once_withdraws_nothing(tmp_path: Path, api: ApiGeneration, struck: Fault) -> None:
    """An empty or short answer to a filtered query, well-formed and with status 200, and that in every run."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 4)) as scene:
        scene.assert_complete(await cycle(scene, api))
        for _ in range(3):
            scene.sandbox.faults.clear()
            scene.sandbox.faults.add(struck)
            report = await cycle(scene, api)
            assert scene.sandbox.faults.struck(struck.kind) == 1
            assert (report.tally.complete, report.tally.withdrawn) == (3, 0)
            assert set(scene.receipts()) == {uid(1), uid(2), uid(4)}


async def test_a_series_that_is_still_listed_by_itself_stays_and_is_told(tmp_path: Path) -> None:
    """The lists leave it out permanently, and it is never deleted."""
    async with open_scene(tmp_path, catalogue=held(1, 4, 5)) as scene:
        scene.assert_complete(await cycle(scene))
        scene.sandbox.faults.add(listed_by_name_only(4))
        for _ in range(3):
            report = await cycle(scene)
            assert report.tally.withdrawn == 0
            (told,) = [warning for warning in report.warnings if "contradicts itself" in warning]
            assert "omit 1 series" in told
            assert uid(4) in told
        assert set(scene.receipts()) == {uid(1), uid(4), uid(5)}


@pytest.mark.parametrize(
    ("api", "broken"),
    [
        (V4, Fault(kind=FaultKind.STATUS, status=500, endpoints=("getSeriesMetadata",))),
        (V4, Fault(kind=FaultKind.JSON_TEXT, endpoints=("getSeriesMetadata",))),
        (V1, Fault(kind=FaultKind.EMPTY, endpoints=("getSeries",), after=2)),
        (V1, Fault(kind=FaultKind.STATUS, status=502, endpoints=("getSeries",), after=2)),
    ],
)
async def test_without_a_second_answer_nothing_is_withdrawn(tmp_path: Path, api: ApiGeneration, broken: Fault) -> None:
    """An archive that cannot be asked once more, or denies what it listed a moment before; the run says so and ends with 3."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 3, 4)) as scene:
        scene.assert_complete(await cycle(scene, api))
        scene.sandbox.replace_catalogue(held(1, 2, 4))
        scene.sandbox.faults.add(broken)
        report = await cycle(scene, api)
        assert (report.exit_code, report.tally.withdrawn, report.tally.complete) == (3, 0, 4)
        assert "no series was marked as withdrawn" in report.warnings[-1]
        scene.sandbox.faults.clear()
        report = await cycle(scene, api)
        assert (report.exit_code, report.tally.withdrawn, report.tally.complete) == (0, 1, 3)


@pytest.mark.parametrize("api", [V4, V1])
async def test_what_a_second_question_denies_too_is_withdrawn(tmp_path: Path, api: ApiGeneration) -> None:
    """With a few requests more, and none in a run in which nothing vanished."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 3, 4)) as scene:
        await cycle(scene, api)
        scene.sandbox.requests.clear()
        await cycle(scene, api)
        ordinary = scene.sandbox.count()
        scene.sandbox.replace_catalogue(held(1, 2, 4))
        scene.sandbox.requests.clear()
        report = await cycle(scene, api)
        assert (report.exit_code, report.warnings, report.tally.withdrawn) == (0, (), 1)
        # v4: the list of four and the lost one singly; v1: the lost one and three that are known singly
        assert scene.sandbox.count() == ordinary + (2 if api is V4 else 4)
        assert (await cycle(scene, api)).tally.withdrawn == 1
        assert set(scene.receipts()) == {uid(1), uid(2), uid(4)}


async def test_a_series_that_no_longer_fits_the_manifest_is_not_withdrawn(tmp_path: Path) -> None:
    """The archive says now that it is of another modality: no longer wanted, and left in the library."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 4)) as scene:
        await cycle(scene)
        patients = scene.sandbox.catalogue.collections[0].patients
        other = replace(patients[1], studies=(study_of(series(4, modality="MR"), seed=4),))
        scene.sandbox.replace_catalogue(
            Catalogue(collections=(SandboxCollection(name="Sandbox", patients=(patients[0], other)),))
        )
        report = await cycle(scene)
        assert (report.tally.selected, report.tally.withdrawn) == (2, 0)
        await cycle(scene)
        assert uid(4) in scene.receipts()


async def lose_one(scene: Scene) -> None:
    """A run after which series 5 is withdrawn, and its grace is over."""
    await cycle(scene)
    scene.sandbox.replace_catalogue(held(1, 2, 4))
    assert (await cycle(scene)).tally.withdrawn == 1


async def test_a_series_that_is_listed_again_before_it_is_deleted_stays(tmp_path: Path) -> None:
    """The list of the same run left it out."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 4, 5)) as scene:
        await lose_one(scene)
        scene.sandbox.replace_catalogue(held(1, 2, 4, 5))
        scene.sandbox.faults.add(listed_by_name_only(5))
        report = await cycle(scene)
        assert "1 withdrawn series are listed again and were not deleted" in report.warnings[-1]
        assert uid(5) in scene.receipts()
        scene.sandbox.faults.clear()
        scene.assert_complete(await cycle(scene))


@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.STATUS])
async def test_a_series_is_not_deleted_while_its_archive_cannot_be_asked(tmp_path: Path, kind: FaultKind) -> None:
    """Nor while it answers with nothing, also for series that it has."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 4, 5)) as scene:
        await lose_one(scene)
        lists = Fault(kind=kind, endpoints=("getSeries",), after=2)
        scene.sandbox.faults.add(Fault(kind=kind, endpoints=("getSeriesMetadata",)), lists)
        report = await cycle(scene)
        assert "1 withdrawn series were not deleted" in report.warnings[-1]
        assert uid(5) in scene.receipts()
        scene.sandbox.faults.clear()
        await cycle(scene)
        assert uid(5) not in scene.receipts()


async def test_a_quarantine_needs_no_last_question(tmp_path: Path) -> None:
    """What lies in quarantine can come back."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 4, 5)) as scene:
        await lose_one(scene)
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, endpoints=("getSeriesMetadata",)))
        await cycle(scene, policy=WithdrawnPolicy.QUARANTINE)
        assert uid(5) not in scene.receipts()


async def test_a_series_whose_study_was_never_named_is_not_deleted(tmp_path: Path) -> None:
    """The list of its study cannot be asked for, which is one of the two questions before a deletion."""
    async with open_scene(tmp_path, catalogue=held(1, 2, 4, 5)) as scene:
        await lose_one(scene)
        with closing(sqlite3.connect(scene.library / OWN_FOLDER / "state.db")) as store, store:
            store.execute("UPDATE series SET study_instance_uid = NULL WHERE series_instance_uid = ?", (uid(5),))
        report = await cycle(scene)
        assert "1 withdrawn series were not deleted, because their catalogue rows name no study" in report.warnings[-1]
        assert uid(5) in scene.receipts()
