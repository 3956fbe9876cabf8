"""The page of the service, driven in a browser as people drive it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from downloader.sandbox import Catalogue, Fault, FaultKind, SandboxCollection, SandboxPatient, generated_series, study_of
from tests.acceptance.archives import ServedArchive, assert_mirrors, serve_archive, write_manifest
from tests.acceptance.test_serve import Served, serving
from tests.browser import DESK, PHONE, ColorScheme, WatchedPage, expect, open_browser, open_page

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.needs("playwright", "chromium")]
HOSTILE = '<img src=x onerror=alert(1)>"'
TOKEN = "a long random token"


def catalogue() -> Catalogue:
    """One series that is large enough to stand still in its middle, one that fails at first; texts that are markup."""
    large = generated_series(seed=1, images=64, rows=256, columns=256)
    bad = generated_series(seed=2, images=2, rows=16, columns=16)
    patient = SandboxPatient(patient_id=HOSTILE, studies=(study_of(large, bad, seed=0),))
    return Catalogue(collections=(SandboxCollection(name=HOSTILE, patients=(patient,)),))


def uid(seed: int) -> str:
    """Of the series made with that seed."""
    return generated_series(seed=seed, images=1, rows=16, columns=16).series_instance_uid


@contextmanager
def watching(
    served: Served, viewport: dict[str, int] | None = None, color_scheme: ColorScheme = "light"
) -> Iterator[WatchedPage]:
    """The page of a running service."""
    address = served.until("listening")["address"]
    with (
        open_browser() as browser,
        open_page(browser, f"{address}/", own=address, viewport=viewport, color_scheme=color_scheme) as watched,
    ):
        yield watched


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the manifests go."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    return folder


@pytest.fixture
def archive() -> Iterator[ServedArchive]:
    """It stands still once in the large series, and sends the other one wrong once."""
    faults = [
        Fault(kind=FaultKind.STALL, at_bytes=2_500_000, times=1, series_instance_uid=uid(1)),
        Fault(kind=FaultKind.WRONG_CRC, times=1, series_instance_uid=uid(2)),
    ]
    with serve_archive(catalogue(), faults) as served:
        yield served


@pytest.mark.parametrize(("viewport", "color_scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_a_cycle_is_watched_and_a_failure_tried_again(
    archive: ServedArchive, folder: Path, tmp_path: Path, artefacts: Path, viewport: dict[str, int], color_scheme: ColorScheme
) -> None:
    """Live progress is seen; the failure has its reason, and goes by its button; nothing is asked of any other host."""
    write_manifest(folder / "m.yaml", archive.sandbox.base_url, "download: {attempts: 1}")
    with serving(folder, tmp_path / "library") as served, watching(served, viewport, color_scheme) as watched:
        page = watched.page
        archive.wait_for_stall()
        active = page.locator("#running li")
        expect(active).to_have_count(1)
        expect(active).to_contain_text(uid(1))
        expect(active).to_contain_text(HOSTILE)
        expect(active.locator("progress")).to_have_attribute("max", "64")
        assert 0 < float(active.locator("progress").evaluate("bar => bar.value")) < 64
        group = page.locator('#failures [data-error="CorruptZipError"]')
        group.locator("summary").click()
        failure = group.locator(f'[data-series="{uid(2)}"]')
        expect(failure).to_contain_text("CorruptZipError")
        expect(page.locator("#headline")).to_contain_text("1 manifest needs attention: 1 series failed")
        expect(page.locator("#manifests article")).to_contain_text("Needs attention")
        page.screenshot(path=artefacts / f"page-running-{color_scheme}-{viewport['width']}.png", full_page=True)
        archive.release()
        expect(page.locator("#idle")).to_be_visible()
        expect(page.locator("#manifests article")).to_contain_text("incomplete")
        failure.get_by_role("button", name="Retry").click()
        expect(page.locator("#confirmation")).to_contain_text(f"Series {uid(2)} is retried now.")
        expect(page.locator("#no-failures")).to_be_visible()
        expect(page.locator("#manifests article")).to_contain_text("100 %")
        page.screenshot(path=artefacts / f"page-complete-{color_scheme}-{viewport['width']}.png", full_page=True)
        watched.assert_quiet()
        assert page.locator("img").count() == 0
    assert_mirrors(tmp_path / "library", archive)


def test_pause_and_run_by_keyboard(folder: Path, tmp_path: Path) -> None:
    """Every control is reached by the tabulator, and told by a name."""
    with serve_archive(catalogue()) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url)
        with serving(folder, tmp_path / "library") as served, watching(served) as watched:
            page = watched.page
            expect(page.locator("#manifests article")).to_contain_text("100 %")
            names = []
            for _ in range(12):
                page.keyboard.press("Tab")
                names.append(
                    page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
                )
            assert names[0] == "Skip to content"
            assert "Pause" in names
            assert "Run m now" in names
            page.get_by_role("button", name="Pause").focus()
            page.keyboard.press("Enter")
            expect(page.locator("#headline")).to_contain_text("Paused")
            assert (tmp_path / "library" / ".tciad" / "paused").exists()
            page.get_by_role("button", name="Resume").press("Enter")
            expect(page.locator("#headline")).to_contain_text("Complete: all 2 series of 1 manifest.")
            page.get_by_role("button", name="Run m now").press("Enter")
            served.until("run ended")
            assert served.until("run ended")["completed"] == 0
            watched.assert_quiet()


def test_a_browser_is_asked_for_the_token(folder: Path, tmp_path: Path) -> None:
    """Once it was right, the page works; the token itself is nowhere in it."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with serve_archive(catalogue()) as archive:
        write_manifest(folder / "m.yaml", archive.sandbox.base_url)
        with serving(folder, tmp_path / "library", "--token-file", str(tmp_path / "token")) as served:
            address = served.until("listening", token=True)["address"]
            with open_browser() as browser, open_page(browser, f"{address}/", own=address) as watched:
                page = watched.page
                page.get_by_label("Token of this service").fill(TOKEN)
                watched.complaints.clear()  # Chromium complains of every 401
                page.get_by_role("button", name="Sign in").click()
                expect(page.locator("#manifests article")).to_contain_text("100 %")
                assert TOKEN not in page.content()
                watched.assert_quiet()
