"""`tciad report`, from the command to the page in a browser."""

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from downloader.errors import SettingsError
from downloader.library.spreadsheet_cells import text_of
from downloader.model import SeriesState
from downloader.sandbox import Catalogue, Fault, FaultKind, SandboxCollection, SandboxPatient, generated_series, study_of
from downloader.ui.library_report.extras import require_extra
from tests.acceptance.archives import serve_archive, small_series
from tests.acceptance.command import Ended, run_command
from tests.acceptance.crashes import Mirror, mirror_of
from tests.browser import DESK, PHONE, ColorScheme, open_browser, open_page
from tests.tools import import_package

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
HOSTILE = "<img src=x onerror=alert(1)>\"'&"
COMPLETE = 4


def hostile_catalogue() -> Catalogue:
    """Two collections; what the archive says of the second is markup. One series will fail."""
    plain = SandboxPatient(patient_id="SB-0001", studies=(study_of(*small_series(3), seed=0),))
    series = generated_series(seed=9, images=2, rows=16, columns=16, series_description=HOSTILE, manufacturer="=1+1")
    lost = generated_series(seed=10, images=2, rows=16, columns=16)
    marked = SandboxPatient(patient_id=HOSTILE, studies=(study_of(series, lost, seed=5),))
    return Catalogue(
        collections=(
            SandboxCollection(name="Plain", patients=(plain,)),
            SandboxCollection(name=HOSTILE, patients=(marked,), license_name=HOSTILE, license_uri="javascript:alert(1)"),
        )
    )


def lost_series() -> str:
    """The one that fails."""
    return generated_series(seed=10, images=2, rows=16, columns=16).series_instance_uid


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """A library with four complete series and one that failed."""
    catalogue = hostile_catalogue()
    with serve_archive(catalogue, [Fault(kind=FaultKind.WRONG_CRC, series_instance_uid=lost_series())]) as archive:
        mirror = mirror_of(archive, tmp_path_factory.mktemp("report"))
        mirror.manifest.write_text(mirror.manifest.read_text() + "download: {attempts: 1}\n")
        assert mirror.run().exit_code == 3
        yield mirror


def report(mirror: Mirror, *flags: str | Path) -> Ended:
    """Ends with 0."""
    ended = run_command("report", "-o", mirror.library, *flags)
    assert ended.exit_code == 0, ended.stderr
    return ended


@pytest.mark.extras
@pytest.mark.needs("matplotlib")
def test_the_page_is_one_file_in_the_library(mirror: Mirror) -> None:
    """It is named on stdout with what the library holds; --json says the same."""
    page = mirror.library / "report.html"
    assert report(mirror).stdout.startswith(f"{page}: {COMPLETE} of 5 series complete, 8 images")
    assert [path.name for path in mirror.library.iterdir() if "report" in path.name] == ["report.html"]
    document = report(mirror, "--json").document
    assert (document["format"], document["report"]) == ("html", str(page))
    assert document["series"] == {"selected": 5, "complete": 4, "pending": 0, "claimed": 0, "failed": 1, "withdrawn": 0}
    assert document["images"] == 2 * COMPLETE


@pytest.mark.browser
@pytest.mark.needs("matplotlib", "playwright", "chromium")
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_in_a_browser(
    mirror: Mirror, tmp_path: Path, color_scheme: ColorScheme, viewport: dict[str, int], artefacts: Path
) -> None:
    """It loads nothing, runs nothing, fits the window, and shows collections, plots, failures, runs and licences."""
    target = tmp_path / "page.html"
    report(mirror, "--to", target)
    with (
        open_browser() as browser,
        open_page(browser, target.as_uri(), color_scheme=color_scheme, viewport=viewport) as watched,
    ):
        page = watched.page
        watched.assert_quiet()
        assert page.locator("#collections tbody tr").count() == 2
        assert page.locator("#collections tbody th").all_inner_texts() == ["Plain", HOSTILE]
        assert page.locator("svg").count() == 6
        plots = [box for box in (plot.bounding_box() for plot in page.locator("svg").all()) if box]
        assert len(plots) == 6
        assert min(box["width"] for box in plots) > 200
        assert page.locator("#failures code").all_inner_texts()[0] == lost_series()
        assert page.locator("#runs tbody tr").count() == 1
        assert HOSTILE in page.locator("#licences").inner_text()
        assert page.locator("script").count() == 0
        assert page.locator("img").count() == 0
        assert page.locator("a[href^=javascript]").count() == 0
        shot = artefacts / f"report-{color_scheme}-{viewport['width']}.png"
        page.screenshot(path=shot, full_page=True)
        with import_package("PIL.Image").open(shot) as image:
            shade = image.convert("L").tobytes()[0]
    assert (shade > 128) is (color_scheme == "light")


def rows_of(mirror: Mirror, target: Path) -> list[dict[str, Any]]:
    """The rows that a file of series holds, all as text; what is absent is empty."""
    report(mirror, "--to", target)
    if target.suffix == ".csv":
        cells = csv.DictReader(target.read_text(encoding="utf-8").splitlines())
        return [{name: text_of(cell) for name, cell in row.items()} for row in cells]
    rows = (
        json.loads(target.read_text())
        if target.suffix == ".json"
        else import_package("pyarrow.parquet").read_table(target).to_pylist()
    )
    return [{name: _as_text(cell) for name, cell in row.items()} for row in rows]


def _as_text(cell: object) -> str:
    if isinstance(cell, date):
        return cell.isoformat()
    return "" if cell is None else str(cell)


@pytest.mark.extras
@pytest.mark.needs("pyarrow")
def test_the_rows_are_the_same_in_each_format(mirror: Mirror, tmp_path: Path) -> None:
    """All series with every column: those that failed too."""
    as_csv, as_json, as_parquet = (rows_of(mirror, tmp_path / f"series.{suffix}") for suffix in ("csv", "json", "parquet"))
    assert as_csv == as_json == as_parquet
    assert any(row["manufacturer"].startswith("=") for row in as_csv), "a formula is kept from spreadsheets, not from programs"
    assert sorted(row["series_instance_uid"] for row in as_csv) == sorted(mirror.archive.public_series())
    assert [row["state"] for row in as_csv].count(SeriesState.COMPLETE) == COMPLETE
    assert {row["collection"] for row in as_csv} == {"Plain", HOSTILE}
    for row in as_csv:
        assert bool(row["folder"]) is (row["state"] == SeriesState.COMPLETE)
        assert bool(row["error"]) is (row["state"] == SeriesState.FAILED)


def test_rows_go_to_stdout_and_replace_files_whole(mirror: Mirror, tmp_path: Path) -> None:
    """A file that was there is replaced; a link to it stays a link."""
    target, link = tmp_path / "rows.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    report(mirror, "--to", link)
    assert report(mirror, "--to", "-", "--format", "csv").stdout == target.read_text(encoding="utf-8")
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "rows.csv"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--format", "pdf"], "--format"),
        (["--to", "-"], "html cannot be written to stdout"),
        (["--to", "-", "--format", "parquet"], "parquet cannot be written to stdout"),
        (["--to", "-", "--format", "csv", "--json"], "stdout can have one document only"),
        (["--to", "nowhere/report.html"], "nowhere/report.html cannot be a file"),
        (["--to", "."], "is a folder"),
        (
            ["--to", "x.pdf"],
            "--to x.pdf: no report format has the extension .pdf; use .html, .csv, .parquet or .json, or set --format",
        ),
        (["--to", "x.json", "--format", "csv"], "--to x.json has the extension of json, which contradicts --format csv"),
    ],
)
def test_what_cannot_be_written_is_explained(mirror: Mirror, flags: list[str], said: str) -> None:
    """With exit 2, before anything is read."""
    ended = run_command("report", "-o", mirror.library, *flags)
    assert (ended.exit_code, said in ended.stderr) == (2, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_full_disk_leaves_no_half_report(mirror: Mirror) -> None:
    """Exit 5, and the place is named."""
    ended = run_command("report", "-o", mirror.library, "--format", "csv", "--to", "/dev/full")
    assert (ended.exit_code, "/dev/full" in ended.stderr) == (5, True), ended.stderr


def test_no_library_no_report(tmp_path: Path) -> None:
    """As with every verb that looks at a library."""
    ended = run_command("report", "-o", tmp_path / "nothing")
    assert ended.exit_code == 6, ended.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_missing_extra_is_named() -> None:
    """With the command that installs it."""
    with pytest.raises(SettingsError, match=r"--format parquet needs no_such_package") as caught:
        require_extra("no_such_package", "--format parquet")
    assert "tciad[report]" in str(caught.value.next_step)
