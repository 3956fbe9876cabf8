"""Queries and verification from Python."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from downloader import api as tciad
from tests.acceptance.archives import ServedArchive, serve_archive, small_catalogue

SERIES = 4


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(SERIES)) as served:
        yield served


def test_a_query_goes_straight_into_data_frames(archive: ServedArchive) -> None:
    """By rows or by columns, under the archive's own names."""
    result = tciad.query("series", archive=archive.sandbox.base_url, api="v1", modality="CT")

    assert len(result) == SERIES
    for frame in (pd.DataFrame(result.columns), pl.DataFrame(result.columns)):
        assert list(frame.columns) == list(result.attributes)
        assert sorted(frame["SeriesInstanceUID"]) == sorted(archive.public_series())
    assert len(pd.DataFrame(result.rows)) == SERIES
    assert tciad.query("series", archive=archive.sandbox.base_url, collection="none such").rows == ()


@pytest.mark.anyio
async def test_both_twins_work_in_a_loop(archive: ServedArchive) -> None:
    """As in a notebook's cell."""
    base_url = archive.sandbox.base_url
    assert await tciad.query_async("collections", archive=base_url) == tciad.query("collections", archive=base_url)


@pytest.mark.parametrize(
    ("what", "archive", "api", "said"),
    [
        ("serie", "tcia", None, "did you mean 'series'"),
        ("series", "tciaa", None, "did you mean 'tcia'"),
        ("series", "tcia", "v1", "leave api out"),
        ("series", "http://127.0.0.1:1/x", "v3", "archive: "),
        ("images", "sandbox", None, "must be asked by series_instance_uid"),
    ],
)
def test_a_wrong_question_is_refused(what: str, archive: str, api: str | None, said: str) -> None:
    """With what would have been right."""
    with pytest.raises(tciad.SettingsError, match=said):
        tciad.query(what, archive=archive, api=api)


def test_a_library_is_verified_and_repaired(archive: ServedArchive, tmp_path: Path) -> None:
    """Findings are rows; a repair needs a manifest that says where the archive is."""
    wanted = {"archive": {"base_url": archive.sandbox.base_url}, "select": [{"collection": "*"}]}
    tciad.run(wanted, output=tmp_path, progress=False)
    assert tciad.verify(tmp_path, deep=True, progress=False).is_sound
    min(tmp_path.rglob("*.dcm")).unlink()

    found = tciad.verify(tmp_path, progress=False)

    assert (found.outcome, found.is_sound) == ("unsound", False)
    assert list(pd.DataFrame(found.findings)["kind"]) == ["missing-image"]
    assert tciad.verify(tmp_path, manifests=[wanted], repair=True, progress=False).outcome == "mended"
    assert tciad.verify(tmp_path, deep=True, progress=False).outcome == "sound"


def test_a_library_that_is_none_is_refused(tmp_path: Path) -> None:
    """With the next step."""
    with pytest.raises(tciad.StoreError, match="run a manifest first"):
        tciad.verify(tmp_path / "nothing", progress=False)
