"""Plans and runs from Python say the same as the command, as values."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from downloader import api as tciad
from downloader.manifest import Manifest
from downloader.model import SeriesState
from downloader.sandbox import Fault, FaultKind
from downloader.store.records import Standing
from tests.acceptance.archives import ServedArchive, assert_mirrors, serve_archive, small_catalogue, write_manifest
from tests.tools import import_package

SERIES = 5
pd, pl = import_package("pandas"), import_package("polars")


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    with serve_archive(small_catalogue(SERIES)) as served:
        yield served


def wanted_from(archive: ServedArchive) -> dict[str, object]:
    return {"archive": {"base_url": archive.sandbox.base_url, "api": "v4"}, "select": [{"collection": "*"}]}


def test_a_plan_has_a_row_for_each_series_and_changes_nothing(archive: ServedArchive, tmp_path: Path) -> None:
    """Nothing is downloaded, and no library appears."""
    plan = tciad.plan(wanted_from(archive), output=tmp_path / "library")

    assert plan.report.selected == SERIES
    assert sorted(row.series_instance_uid for row in plan.series) == sorted(archive.public_series())
    assert {row.standing for row in plan.series} == {Standing.NEW}
    assert archive.downloads == 0
    assert not (tmp_path / "library").exists()


def test_a_run_fetches_and_proves(archive: ServedArchive, tmp_path: Path) -> None:
    """The library equals the archive image by image, and the result has a row for each series."""
    result = tciad.run(wanted_from(archive), output=tmp_path / "library", progress=False)

    assert result.is_complete
    assert result.report.completed == SERIES
    assert {row.state for row in result.series} == {SeriesState.COMPLETE}
    assert all((result.library / row.folder).is_dir() for row in result.series)
    assert_mirrors(tmp_path / "library", archive)


@pytest.mark.extras
@pytest.mark.needs("pandas", "polars")
def test_rows_go_straight_into_data_frames(archive: ServedArchive, tmp_path: Path) -> None:
    """Pandas and polars take the rows as they are, names and types included."""
    planned = tciad.plan(wanted_from(archive)).series
    stored = tciad.run(wanted_from(archive), output=tmp_path / "library", progress=False).series

    for rows in (planned, stored):
        frames = pd.DataFrame(rows), pl.DataFrame(rows)
        for frame in frames:
            assert len(frame) == SERIES
            assert sorted(frame["series_instance_uid"]) == sorted(archive.public_series())
            assert frame["image_count"].sum() == 2 * SERIES
    assert pd.DataFrame(stored)["stored_bytes"].sum() == sum(row.stored_bytes for row in stored) > 0


@pytest.mark.anyio
async def test_plain_functions_work_where_a_loop_is_running(archive: ServedArchive, tmp_path: Path) -> None:
    """As in a notebook, whose cells run inside a loop."""
    assert tciad.run(wanted_from(archive), output=tmp_path / "library", progress=False).is_complete


@pytest.mark.anyio
async def test_async_twins_run_on_the_callers_loop(archive: ServedArchive, tmp_path: Path) -> None:
    """They can be awaited beside other work."""
    assert (await tciad.plan_async(wanted_from(archive))).report.selected == SERIES
    assert (await tciad.run_async(wanted_from(archive), output=tmp_path / "library", progress=False)).is_complete
    assert len(await tciad.library_series_async(tmp_path / "library")) == SERIES


def test_failed_series_are_told_and_not_raised(tmp_path: Path) -> None:
    """A run that came to its end returns its result, whatever failed."""
    with serve_archive(small_catalogue(2)) as healthy:
        broken = healthy.public_series()[0]
    with serve_archive(small_catalogue(2), faults=[Fault(kind=FaultKind.WRONG_HASH, series_instance_uid=broken)]) as archive:
        result = tciad.run(wanted_from(archive), output=tmp_path / "library", attempts=1, progress=False)

    assert not result.is_complete
    assert [failure.series_instance_uid for failure in result.report.failures] == [broken]
    assert {row.series_instance_uid: row.error for row in result.series if row.state is SeriesState.FAILED} == {
        broken: "DigestMismatchError"
    }


def test_a_manifest_may_be_a_file(archive: ServedArchive, tmp_path: Path) -> None:
    """Paths are taken as text or as Path."""
    path = write_manifest(tmp_path / "all.yaml", archive.sandbox.base_url)

    assert tciad.plan(path).series == tciad.plan(str(path)).series != ()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            {"select": [{"colection": "LIDC-IDRI"}]},
            r"^manifest: select\[0\].colection: unknown key \(did you mean 'collection'\?\)$",
        ),
        ({"select": [{"modality": object()}]}, r"select\[0\].modality\[?0?\]?: .* is not allowed in a manifest"),
        ({}, r"^manifest: select: "),
        ("no-such-file.yaml", "no such file"),
    ],
)
def test_wrong_manifests_are_refused_in_a_sentence(wanted: dict[str, object] | str, said: str) -> None:
    """A mapping has no lines, so keys alone tell the place."""
    with pytest.raises(tciad.ManifestError, match=said):
        tciad.plan(wanted)


def test_wrong_options_are_refused_by_name() -> None:
    """As the keyword was written, not as the flag."""
    with pytest.raises(tciad.SettingsError, match=r"^min_free_space: "):
        tciad.plan({"select": [{"collection": "x"}]}, min_free_space="lots")
    with pytest.raises(tciad.SettingsError, match=r"^concurrency: "):
        tciad.plan({"select": [{"collection": "x"}]}, concurrency=0)


def test_a_manifest_from_a_mapping_equals_one_from_its_file(tmp_path: Path) -> None:
    """The same keys mean the same, whichever way they come; places aside."""
    text = "version: 1\nselect:\n  - collection: [A, B]\n    image_count: {min: 3}\nexclude:\n  - modality: SEG\nmax_shrink: 7%\n"
    (tmp_path / "manifest.yaml").write_text(text)
    from_file = tciad.manifest_from(tmp_path / "manifest.yaml")
    from_mapping = tciad.manifest_from(
        {
            "select": [{"collection": ("A", "B"), "image_count": {"min": 3}}],
            "exclude": [{"modality": "SEG"}],
            "max_shrink": "7%",
        }
    )

    def meaning(manifest: Manifest) -> tuple[object, ...]:
        return manifest.name, manifest.archive, [s.describe() for s in manifest.select], manifest.options

    assert meaning(from_file) == meaning(from_mapping)


def test_a_library_that_is_none_is_said(tmp_path: Path) -> None:
    """With what to do next."""
    with pytest.raises(tciad.StoreError, match="run a manifest first"):
        tciad.library_series(tmp_path)


def test_rows_of_one_manifest_can_be_asked_for(archive: ServedArchive, tmp_path: Path) -> None:
    """And a name that the library does not know is refused."""
    tciad.run({**wanted_from(archive), "name": "everything"}, output=tmp_path / "library", progress=False)

    assert len(tciad.library_series(tmp_path / "library", manifest="everything")) == SERIES
    with pytest.raises(tciad.SettingsError, match="it has everything"):
        tciad.library_series(tmp_path / "library", manifest="nothing")
