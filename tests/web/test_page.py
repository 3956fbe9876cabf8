"""The page in Chromium, in states that a real service would be slow to reach; photographed for people to look at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser import DESK, PHONE, ColorScheme, WatchedPage, expect, open_browser, open_page
from tests.web import told_states
from tests.web.told_service import ToldService, serve_told

pytestmark = [pytest.mark.browser, pytest.mark.needs("playwright", "chromium")]
WIDE = {"width": 1440, "height": 900}
TOKEN = "a long random token"
VIEWS: list[tuple[dict[str, int], ColorScheme]] = [(WIDE, "light"), (PHONE, "dark"), (PHONE, "light"), (DESK, "dark")]
STATES = {
    "empty": (told_states.empty, "There is no manifest in /manifests yet.", "Empty"),
    "running": (told_states.running, "Mirroring: 21,223 of 21,429 series of 2 manifests are complete.", "Mirroring"),
    "failing": (told_states.failing, "2 manifests need attention: 1 broken, 3,936 series failed.", "Needs attention"),
    "out": (told_states.out, "tcia has not answered since", "Archive out"),
    "paused": (told_states.paused, "Paused. tcia has not answered since", "Paused, Archive out"),
    "complete": (told_states.complete, "Complete: all 20,411 series of 1 manifest.", "Complete"),
    "large": (told_states.large, "Mirroring: 1,161,854 of 1,220,055 series of 12 manifests are complete.", "Mirroring"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all of these tests."""
    with open_browser() as chromium:
        yield chromium


@contextmanager
def watch(
    browser: Any, service: ToldService, viewport: dict[str, int] | None = None, color_scheme: ColorScheme = "light"
) -> Iterator[WatchedPage]:
    """The page of the service, once it has loaded everything."""
    with (
        serve_told(service) as address,
        open_page(browser, f"{address}/", own=address, viewport=viewport, color_scheme=color_scheme) as watched,
    ):
        expect(watched.page.locator("#version")).to_contain_text("tciad")
        yield watched


def assert_words_are_whole(page: Any) -> None:
    """No figure, heading or button is broken in the middle of a word, and nothing is cut."""
    cut = page.evaluate(
        """[...document.querySelectorAll("dd, dt, h2, h3, button, .state, strong")].filter((part) =>
             part.offsetParent && part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).display !== "inline")
           .map((part) => part.textContent)"""
    )
    assert cut == []


@pytest.mark.parametrize(("viewport", "color_scheme"), VIEWS, ids=["desktop", "phone-dark", "phone", "desktop-dark"])
@pytest.mark.parametrize("state", STATES)
def test_each_state_is_told_and_fits(
    browser: Any, artefacts: Path, state: str, viewport: dict[str, int], color_scheme: ColorScheme
) -> None:
    """In a sentence, a title, an icon of the tab and words; nothing is wider than the window."""
    make, sentence, title = STATES[state]
    with watch(browser, make(), viewport, color_scheme) as watched:
        page = watched.page
        expect(page.locator("#headline")).to_contain_text(sentence)
        expect(page).to_have_title(f"{title} · tciad")
        assert page.locator("#favicon").get_attribute("href").startswith("data:image/svg+xml")
        assert page.locator("#state-icon svg").get_attribute("aria-label")
        page.screenshot(path=artefacts / f"page-{state}-{viewport['width']}-{color_scheme}.png", full_page=True)
        assert_words_are_whole(page)
        watched.assert_quiet()


def test_a_pause_is_visible_whatever_else_is_wrong(browser: Any) -> None:
    """And the button that ends it confirms what it did."""
    service = told_states.paused()
    with watch(browser, service) as watched:
        page = watched.page
        expect(page.locator("#paused")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        expect(page.locator("#confirmation")).to_contain_text("Resumed")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        assert service.orders == ["resume"]
        watched.assert_quiet()


def test_failures_are_groups_that_open_and_are_retried(browser: Any, artefacts: Path) -> None:
    """3,936 failures are three rows; a page of series comes when a group opens; a retry says how many it took."""
    service = told_states.failing()
    with watch(browser, service, WIDE) as watched:
        page = watched.page
        groups = page.locator("#failures .group")
        expect(groups).to_have_count(3)
        expect(groups.nth(0)).to_contain_text("3,120 series: CutTransferError")
        expect(groups.nth(0)).to_contain_text("next retry: the first cycle after")
        assert service.limits == []
        groups.nth(0).locator("summary").click()
        expect(groups.nth(0).locator("li")).to_have_count(20)
        groups.nth(0).get_by_role("button", name="More series").click()
        expect(groups.nth(0).locator("li")).to_have_count(40)
        assert service.limits == [20, 20]
        page.screenshot(path=artefacts / "page-failing-open.png", full_page=True)
        groups.nth(1).get_by_role("button", name="Retry 811 series").click()
        expect(page.locator("#confirmation")).to_contain_text("811 series of IncompleteSeriesError")
        expect(groups).to_have_count(2)
        assert service.orders == ["retry None NSCLC-Radiomics-Interobserver1 IncompleteSeriesError"]


def test_a_running_mirror_says_how_fast_and_when_done(browser: Any) -> None:
    """With what that rests on, the limits, and the value below the pointer."""
    with watch(browser, told_states.running()) as watched:
        page = watched.page
        lidc = page.locator('[data-manifest="lidc"]')
        expect(lidc).to_contain_text("about 2 h at the rate of the last hour")
        expect(page.locator('[data-manifest="nlst"]')).not_to_contain_text("at the rate")
        expect(page.locator("#rates")).to_contain_text("4.00 MB/s")
        expect(page.locator("#rates")).to_contain_text("up to 16")
        expect(page.locator("#throughput text").first).to_be_visible()
        expect(page.locator("#throughput-text")).to_contain_text("Last hour")
        page.locator("#throughput").hover(position={"x": 300, "y": 60})
        expect(page.locator("#throughput-text")).to_contain_text("MB/s")
        expect(page.locator("#throughput .cursor")).to_have_count(1)
        page.locator("#throughput").focus()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#throughput .cursor")).to_have_count(1)
        watched.assert_quiet()


def test_nothing_is_forecast_where_nothing_can_be(browser: Any) -> None:
    """Of a mirror that waits for its archive."""
    with watch(browser, told_states.out()) as watched:
        expect(watched.page.locator('[data-manifest="lidc"]')).to_contain_text("waiting for tcia")
        expect(watched.page.locator("#main")).not_to_contain_text("at the rate")


def test_a_disk_that_will_be_full_is_told(browser: Any) -> None:
    """Before it is."""
    with watch(browser, told_states.failing()) as watched:
        expect(watched.page.locator("#libraries")).to_contain_text(
            "too little for all that is still to come: full in about 65 min"
        )


def test_a_million_series_are_searched_by_the_page(browser: Any) -> None:
    """Twenty rows at a time, and none before somebody asks."""
    service = told_states.large()
    with watch(browser, service) as watched:
        page = watched.page
        assert service.limits == []
        page.get_by_label("Identifier, patient").fill("LIDC")
        page.get_by_role("combobox", name="State").select_option("failed")
        page.get_by_role("button", name="Find").click()
        expect(page.locator("#found li")).to_have_count(20)
        page.get_by_role("button", name="More series").click()
        expect(page.locator("#found li")).to_have_count(40)
        assert service.limits == [20, 20]
        page.get_by_role("button", name="Older cycles").click()
        expect(page.locator("#history > div")).to_have_count(20)
        assert page.locator("*").count() < 3000


def test_past_cycles_open_their_change_reports(browser: Any) -> None:
    """What was new, and what failed."""
    with watch(browser, told_states.running()) as watched:
        cycle = watched.page.locator("#history > div").nth(2)
        expect(cycle).to_contain_text("incomplete")
        cycle.locator("summary").click()
        expect(cycle).to_contain_text("CutTransferError")
        expect(cycle).to_contain_text("and 4 more")


def test_every_control_has_a_name_and_is_reached_by_keyboard(browser: Any) -> None:
    """Landmarks and labels, as screen readers need them."""
    with watch(browser, told_states.failing()) as watched:
        page = watched.page
        unnamed = page.evaluate(
            """[...document.querySelectorAll("button, input, select, progress, summary, [role=img]")].filter((part) =>
                 !(part.textContent.trim() || part.getAttribute("aria-label") || part.getAttribute("aria-labelledby") ||
                   part.labels?.length)).map((part) => part.outerHTML)"""
        )
        assert unnamed == []
        assert page.get_by_role("main").count() == page.get_by_role("banner").count() == 1
        reached: list[str] = []
        for _ in range(16):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent.trim()"))
        assert reached[:2] == ["Skip to content", "Pause"]
        assert "Retry all failed series" in reached
        assert "Retry 3,120 series: CutTransferError in LIDC-IDRI" in reached


def contrast(page: Any, selector: str) -> float:
    """The contrast of a text with its card (WCAG 2.2, 1.4.3)."""
    colours: Callable[[str], Any] = page.evaluate
    text = colours(f"getComputedStyle(document.querySelector('{selector}')).color")
    ground = colours("getComputedStyle(document.querySelector('.card')).backgroundColor")
    lights = sorted(map(_light, (text, ground)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_colours_have_contrast(browser: Any, color_scheme: ColorScheme) -> None:
    """4.5 to 1 at least, in both schemes."""
    for make, selectors in ((told_states.failing, ("#headline", ".bad", ".quiet")), (told_states.paused, (".warn", ".good"))):
        with watch(browser, make(), color_scheme=color_scheme) as watched:
            for selector in selectors:
                assert contrast(watched.page, selector) >= 4.5, selector


def test_a_wrong_token_is_told(browser: Any, artefacts: Path) -> None:
    """And the right one is still taken."""
    with serve_told(told_states.complete(), TOKEN) as address, open_page(browser, f"{address}/", own=address) as watched:
        page = watched.page
        page.get_by_label("Token of this service").fill("not this one, it seems")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("Wrong token.")
        page.screenshot(path=artefacts / "page-wrong-token.png", full_page=True)
        page.get_by_label("Token of this service").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#headline")).to_contain_text("Complete")
        assert TOKEN not in page.content()
