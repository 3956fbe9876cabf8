"""Withdrawn and changed series: what happens to their images, when, and what the change report says of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from downloader.config.options import RunOptions
from downloader.engine.mirror import open_mirror
from downloader.errors import CredentialsRejectedError
from downloader.manifest import WithdrawnPolicy
from downloader.results.run import RunReport
from downloader.sandbox import (
    Catalogue,
    Fault,
    FaultKind,
    SandboxCollection,
    SandboxPatient,
    SandboxSeries,
    catalogue_of,
    generated_series,
    study_of,
)
from downloader.ui.progress import SilentProgress
from tests.faults.scene import Scene, open_scene

pytestmark = pytest.mark.anyio
DAY_SECONDS = 86_400.0


def series(seed: int, images: int = 2, **attributes: object) -> SandboxSeries:
    """A series of a few kilobytes."""
    return replace(generated_series(seed=seed, images=images, rows=16, columns=16), **attributes)  # type: ignore[arg-type]


def uid(seed: int) -> str:
    return series(seed).series_instance_uid


async def cycle(
    scene: Scene,
    policy: WithdrawnPolicy = WithdrawnPolicy.KEEP,
    *,
    name: str = "m",
    grace_days: float = 30,
    max_shrink_percent: float = 100.0,
    concurrency: int = 4,
) -> RunReport:
    """One run of the manifest of that name, with a policy for what is withdrawn."""
    manifest = replace(scene.manifest(), name=name, withdrawn=policy, withdrawn_grace_seconds=grace_days * DAY_SECONDS)
    options = RunOptions(
        output=scene.library,
        min_free_bytes=0,
        minimum_bytes_per_second=0,
        attempts=2,
        max_shrink_percent=max_shrink_percent,
        concurrency=concurrency,
    )
    async with open_mirror(manifest, options, SilentProgress(), scene.clock) as run:
        report = await run.run()
    scene.clock.elapsed_seconds += 1
    return report


def hold(scene: Scene, *held: SandboxSeries) -> None:
    scene.sandbox.replace_catalogue(catalogue_of(held))


def changes(scene: Scene) -> dict[str, Any]:
    """The newest change report."""
    newest = max((scene.library / ".tciad" / "changes").glob("*.json"))
    document: dict[str, Any] = json.loads(newest.read_bytes())
    return document


def stored(scene: Scene) -> set[str]:
    return set(scene.receipts())


def tabled(scene: Scene) -> set[str]:
    """The series that metadata.csv lists."""
    text = (scene.library / "metadata.csv").read_text()
    return {name for name in (uid(seed) for seed in range(1, 9)) if name in text}


@pytest.fixture
def three() -> Sequence[SandboxSeries]:
    return [series(1), series(2), series(3)]


async def test_the_table_of_a_run_that_died_is_written_by_the_next(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """Although that one stores nothing itself: what was stored, and what was withdrawn, is in the store and in no table."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        assert tabled(scene) == {uid(1), uid(2), uid(3)}
        hold(scene, *three[:2], series(4), series(5))
        refused = Fault(kind=FaultKind.STATUS, status=401, endpoints=("getImage",), series_instance_uid=uid(5))
        scene.sandbox.faults.add(refused)
        with pytest.raises(CredentialsRejectedError):
            await cycle(scene, concurrency=1)
        assert stored(scene) == {uid(1), uid(2), uid(3), uid(4)}
        assert tabled(scene) == {uid(1), uid(2), uid(3)}
        scene.sandbox.faults.clear()
        scene.sandbox.faults.add(replace(refused, status=500))
        await cycle(scene)
        assert tabled(scene) == {uid(1), uid(2), uid(4)}
        table = (scene.library / "metadata.csv").stat()
        await cycle(scene)
        assert (scene.library / "metadata.csv").stat() == table, "it says everything by now"


async def test_a_first_run_reports_everything_as_new(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """In the catalogue's order, with how it ended."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        report = changes(scene)
        assert (report["manifest"], report["outcome"], report["doubted"]) == ("m", "complete", False)
        assert set(report["new"]) == {uid(1), uid(2), uid(3)}
        assert report["counts"] == {"new": 3, "changed": 0, "returned": 0, "withdrawn": 0, "removed": 0, "failed": 0}
        await cycle(scene)
        assert changes(scene)["counts"]["new"] == 0


@pytest.mark.parametrize(
    "newer",
    [
        series(2, images=3),
        series(2, images=2, submitted_at=datetime(2026, 1, 1, tzinfo=UTC)),
        series(2, images=2, date_released=date(2026, 1, 1)),
        replace(series(2), content=generated_series(seed=2, images=2, rows=20, columns=16).content),
    ],
    ids=["image count", "submission", "release", "size"],
)
async def test_a_changed_series_is_fetched_anew_and_replaces_the_old_one(
    tmp_path: Path, three: Sequence[SandboxSeries], newer: SandboxSeries
) -> None:
    """Each of the four figures tells it."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        hold(scene, series(1), newer, series(3))
        report = await cycle(scene)
        assert (report.completed, report.already_complete) == (1, 2)
        assert changes(scene)["changed"] == [uid(2)]
        scene.assert_complete(report)
        scene.assert_nothing_wrong()


async def test_a_changed_series_that_cannot_be_fetched_leaves_the_old_one(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """The old images stay whole until the new ones are proven."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        before = scene.receipts()[uid(2)]
        hold(scene, series(1), series(2, images=3), series(3))
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=500, endpoints=("getImage", "getSingleImage")))
        await cycle(scene)
        assert scene.receipts()[uid(2)] == before
        assert [failed["series_instance_uid"] for failed in changes(scene)["failed"]] == [uid(2)]
        assert changes(scene)["failed"][0]["error"] == "ArchiveFaultError"
        scene.sandbox.faults.clear()
        report = await cycle(scene)
        scene.assert_complete(report)


async def test_a_series_that_moved_to_another_patient_leaves_nothing_behind(tmp_path: Path) -> None:
    """The old folder goes once the new one is there."""

    def catalogue(patient_id: str, images: int) -> Catalogue:
        patients = (
            SandboxPatient(patient_id=patient_id, studies=(study_of(series(1, images), seed=1),)),
            SandboxPatient(patient_id="other", studies=(study_of(series(2), seed=2),)),
        )
        return Catalogue(collections=(SandboxCollection(name="Sandbox", patients=patients),))

    async with open_scene(tmp_path, catalogue=catalogue("before", 2)) as scene:
        await cycle(scene)
        scene.sandbox.replace_catalogue(catalogue("after", 3))
        await cycle(scene)
        assert {path.name for path in (scene.library / "Sandbox").iterdir()} == {"LICENSE", "after", "other"}
        scene.assert_nothing_wrong()


async def test_a_withdrawn_series_is_kept_unless_told_otherwise(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """It is marked and reported once, and leaves metadata.csv; its images stay."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        hold(scene, series(1), series(2))
        report = await cycle(scene)
        assert (report.outcome, report.tally.withdrawn, report.tally.selected) == ("complete", 1, 2)
        assert changes(scene)["withdrawn"] == [uid(3)]
        scene.clock.elapsed_seconds += 400 * DAY_SECONDS
        await cycle(scene)
        assert changes(scene)["counts"] == dict.fromkeys(["new", "changed", "returned", "withdrawn", "removed", "failed"], 0)
        assert stored(scene) == {uid(1), uid(2), uid(3)}
        assert tabled(scene) == {uid(1), uid(2)}


@pytest.mark.parametrize("policy", [WithdrawnPolicy.QUARANTINE, WithdrawnPolicy.DELETE])
async def test_nothing_is_removed_before_the_grace_is_over(
    tmp_path: Path, three: Sequence[SandboxSeries], policy: WithdrawnPolicy
) -> None:
    """Then it is, and the report says what became of it."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene, policy)
        hold(scene, series(1), series(2))
        await cycle(scene, policy)
        withdrawn_seconds = scene.clock.elapsed_seconds - 1
        scene.clock.elapsed_seconds = withdrawn_seconds + 30 * DAY_SECONDS - 1
        await cycle(scene, policy)
        assert stored(scene) == {uid(1), uid(2), uid(3)}
        scene.clock.elapsed_seconds = withdrawn_seconds + 30 * DAY_SECONDS
        report = await cycle(scene, policy)
        assert stored(scene) == {uid(1), uid(2)}
        assert (report.outcome, report.tally.withdrawn) == ("complete", 1)
        (removed,) = changes(scene)["removed"]
        quarantine = scene.library / ".tciad" / "quarantine"
        kept = list(quarantine.rglob("*.dcm"))
        assert removed["series_instance_uid"] == uid(3)
        assert (len(kept), bool(removed["quarantine"])) == ((2, True) if policy is WithdrawnPolicy.QUARANTINE else (0, False))
        await cycle(scene, policy)
        assert changes(scene)["removed"] == []
        scene.assert_nothing_staged()


ORDERS = [order for order in product(("careful", "m"), repeat=3) if len(set(order)) == 2]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.parametrize("careful", [WithdrawnPolicy.KEEP, WithdrawnPolicy.QUARANTINE])
async def test_the_most_careful_manifest_decides_in_every_order_of_runs(
    tmp_path: Path, three: Sequence[SandboxSeries], careful: WithdrawnPolicy, order: tuple[str, ...]
) -> None:
    """A manifest that deletes does so to what no other manifest of the library keeps, whichever ran first, or last."""
    policies = {"careful": careful, "m": WithdrawnPolicy.DELETE}
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        for name, policy in policies.items():
            await cycle(scene, policy, name=name, grace_days=0)
        hold(scene, series(1), series(2))
        for name in (*order, *policies):
            await cycle(scene, policies[name], name=name, grace_days=0)
        in_quarantine = len(list((scene.library / ".tciad" / "quarantine").rglob("*.dcm")))
        if careful is WithdrawnPolicy.KEEP:
            assert (stored(scene), in_quarantine) == ({uid(1), uid(2), uid(3)}, 0)
        else:
            assert (stored(scene), in_quarantine) == ({uid(1), uid(2)}, 2)


async def test_the_longest_grace_counts(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """Of all manifests that want the series deleted."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        for name, days in (("slow", 20), ("m", 2)):
            await cycle(scene, WithdrawnPolicy.DELETE, name=name, grace_days=days)
        hold(scene, series(1), series(2))
        for wait_days, left in ((0, 3), (10, 3), (11, 2)):
            scene.clock.elapsed_seconds += wait_days * DAY_SECONDS
            for name, days in (("slow", 20), ("m", 2)):
                await cycle(scene, WithdrawnPolicy.DELETE, name=name, grace_days=days)
            assert len(stored(scene)) == left


async def test_a_removed_series_that_comes_back_is_fetched_again(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """And reported as returned."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        hold(scene, series(1), series(2))
        await cycle(scene, WithdrawnPolicy.DELETE, grace_days=0)
        assert stored(scene) == {uid(1), uid(2)}
        assert changes(scene)["counts"] | {"withdrawn": 1, "removed": 1} == changes(scene)["counts"]
        hold(scene, *three)
        report = await cycle(scene, WithdrawnPolicy.DELETE, grace_days=0)
        assert changes(scene)["returned"] == [uid(3)]
        scene.assert_complete(report)


async def test_a_kept_series_that_comes_back_needs_no_download(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """Its receipt still proves it, and its grace begins anew the next time."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        hold(scene, series(1), series(2))
        await cycle(scene)
        hold(scene, *three)
        before = scene.sandbox.count("getImage")
        scene.assert_complete(await cycle(scene))
        assert scene.sandbox.count("getImage") == before
        scene.clock.elapsed_seconds += 29 * DAY_SECONDS
        hold(scene, series(1), series(2))
        await cycle(scene, WithdrawnPolicy.DELETE)
        assert stored(scene) == {uid(1), uid(2), uid(3)}


async def test_a_doubted_catalogue_removes_nothing(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """Not even what was withdrawn long before."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        hold(scene, series(1), series(2))
        await cycle(scene)
        scene.clock.elapsed_seconds += 60 * DAY_SECONDS
        hold(scene, series(1))
        report = await cycle(scene, WithdrawnPolicy.DELETE, max_shrink_percent=5)
        assert (report.outcome, changes(scene)["doubted"], changes(scene)["removed"]) == ("incomplete", True, [])
        assert stored(scene) == {uid(1), uid(2), uid(3)}


async def test_a_catalogue_that_cannot_be_read_removes_nothing(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """The run fails before anything is touched."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        hold(scene, series(1), series(2))
        await cycle(scene)
        scene.clock.elapsed_seconds += 60 * DAY_SECONDS
        scene.sandbox.faults.add(Fault(kind=FaultKind.EMPTY, endpoints=("getSeries", "getCollectionValues")))
        with pytest.raises(Exception, match="lists no"):
            await cycle(scene, WithdrawnPolicy.DELETE)
        assert stored(scene) == {uid(1), uid(2), uid(3)}


async def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, three: Sequence[SandboxSeries]) -> None:
    """Without its receipt it is unknown which series it is."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        folder, _ = scene.receipts()[uid(3)]
        (folder / ".receipt.json").unlink()
        hold(scene, series(1), series(2))
        await cycle(scene, WithdrawnPolicy.DELETE, grace_days=0)
        assert len(list(folder.glob("*.dcm"))) == 2
        assert changes(scene)["removed"] == []


async def test_a_withdrawn_series_whose_folder_is_gone_is_forgotten_quietly(
    tmp_path: Path, three: Sequence[SandboxSeries]
) -> None:
    """Somebody, or a killed run, was faster."""
    async with open_scene(tmp_path, catalogue=catalogue_of(three)) as scene:
        await cycle(scene)
        folder, _ = scene.receipts()[uid(3)]
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        hold(scene, series(1), series(2))
        await cycle(scene, WithdrawnPolicy.QUARANTINE, grace_days=0)
        assert [removed["quarantine"] for removed in changes(scene)["removed"]] == [""]
