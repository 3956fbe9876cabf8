"""What the catalogue tells differently of a series need not mean other images: nothing comes twice without need."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from downloader.manifest import ApiGeneration
from downloader.sandbox import catalogue_of, generated_series
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
