"""What the catalogue tells differently of a series need not mean other images: nothing comes twice without need."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from downloader.config.options import RunOptions, StorageFormat
from downloader.manifest import ApiGeneration
from downloader.model import Md5Mode
from downloader.sandbox import Catalogue, Fault, FaultKind, catalogue_of, generated_series
from tests.faults.scene import Scene, open_scene

pytestmark = pytest.mark.anyio
SUBMITTED_AT = datetime(2022, 5, 6, 7, 8, 9, tzinfo=UTC)


def mtimes(scene: Scene) -> dict[str, int]:
    """When each receipt was last written."""
    return {uid: (folder / ".receipt.json").stat().st_mtime_ns for uid, (folder, _) in scene.receipts().items()}


@pytest.mark.parametrize("first", [ApiGeneration.V1, ApiGeneration.V2, ApiGeneration.V4])
@pytest.mark.parametrize("then", [ApiGeneration.V1, ApiGeneration.V2, ApiGeneration.V4])
async def test_another_generation_of_the_same_archive_downloads_nothing(
    tmp_path: Path, first: ApiGeneration, then: ApiGeneration
) -> None:
    """v1 tells the second of a submission and v4 its day: after a change of `api` every series is complete as it lies there."""
    series = [replace(generated_series(seed=seed, images=3, rows=16, columns=16), submitted_at=SUBMITTED_AT) for seed in (1, 2)]
    catalogue = catalogue_of(series)
    async with open_scene(tmp_path, catalogue=catalogue) as scene:
        scene.assert_complete(await scene.run(first))
        before = mtimes(scene)
        for api in (then, first):
            report = await scene.run(api)
            scene.assert_complete(report)
            assert report.received_bytes == 0
        assert mtimes(scene) == before


def dated(on: date, submitted_at: datetime, description: str = "first") -> Catalogue:
    """The same two series, with these dates."""
    made = [generated_series(seed=seed, images=3, rows=16, columns=16) for seed in (1, 2)]
    return catalogue_of(
        [replace(one, date_released=on, submitted_at=submitted_at, series_description=description) for one in made]
    )


BEFORE = dated(date(2022, 1, 1), SUBMITTED_AT)
AFTER = dated(date(2023, 2, 2), SUBMITTED_AT + timedelta(days=300))
EDITED = dated(date(2023, 2, 2), SUBMITTED_AT + timedelta(days=300), description="other")


@pytest.mark.parametrize("storage", StorageFormat)
@pytest.mark.parametrize("api", [ApiGeneration.V4, ApiGeneration.V2])
async def test_other_dates_of_the_same_images_download_nothing(
    tmp_path: Path, api: ApiGeneration, storage: StorageFormat
) -> None:
    """The archive's digest of the series is that of the receipt: the dates are noted, and the next run finds nothing to do."""
    options = RunOptions(attempts=1, format=storage)
    async with open_scene(tmp_path, catalogue=BEFORE) as scene:
        scene.assert_complete(await scene.run(api, options=options))
        scene.sandbox.replace_catalogue(AFTER)
        report = await scene.run(api, options=options)
        scene.assert_complete(report)
        assert (report.completed, report.received_bytes) == (2, 0)
        for _, receipt in scene.receipts().values():
            assert receipt.series.date_released == date(2023, 2, 2)
            assert receipt.proof.md5_images == 3
        before = mtimes(scene)
        report = await scene.run(api, options=options)
        assert (report.completed, report.already_complete) == (0, 2)
        assert mtimes(scene) == before


async def test_other_dates_of_other_images_are_another_version(tmp_path: Path) -> None:
    """As many images of the same size with another description in them: the digest is another one, and the series comes again."""
    async with open_scene(tmp_path, catalogue=BEFORE) as scene:
        scene.assert_complete(await scene.run())
        scene.sandbox.replace_catalogue(EDITED)
        report = await scene.run()
        scene.assert_complete(report)
        assert (report.completed, report.received_bytes > 0) == (2, True)


@pytest.mark.parametrize(("api", "md5"), [(ApiGeneration.V1, Md5Mode.AUTO), (ApiGeneration.V4, Md5Mode.OFF)])
async def test_without_a_digest_other_dates_are_another_version(tmp_path: Path, api: ApiGeneration, md5: Md5Mode) -> None:
    """v1 has no digest of a series, and `md5: off` asks for none: the series comes again."""
    async with open_scene(tmp_path, catalogue=BEFORE) as scene:
        scene.assert_complete(await scene.run(api, options=RunOptions(attempts=1, md5=md5)))
        scene.sandbox.replace_catalogue(AFTER)
        report = await scene.run(api, options=RunOptions(attempts=1, md5=md5))
        scene.assert_complete(report)
        assert report.received_bytes > 0


@pytest.mark.parametrize("status", [401, 403])
async def test_a_guarded_digest_costs_a_download_and_no_run(tmp_path: Path, status: int) -> None:
    """The archive gives its images to everybody and its digests to accounts only: a series with other dates comes again."""
    guarded = Fault(kind=FaultKind.STATUS, status=status, endpoints=("getMD5Hierarchy",))
    async with open_scene(tmp_path, guarded, catalogue=BEFORE) as scene:
        scene.assert_complete(await scene.run(ApiGeneration.V4))
        scene.sandbox.replace_catalogue(AFTER)
        report = await scene.run(ApiGeneration.V4)
        scene.assert_complete(report)
        assert (report.completed, report.received_bytes > 0) == (2, True)
