"""Chromium for tests of pages. It needs no network; requests and errors of the page are recorded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.tools import import_package
from tests.waiting import LONGEST_WAIT_SECONDS

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
# without playwright, the tests that use this are skipped (tests/tools.py)
sync_api = import_package("playwright.sync_api")
ColorScheme = Literal["dark", "light"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedPage:
    """A page, its requests to other hosts, and the messages in its console."""

    page: Any
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        """Fail if the page made requests to other hosts, reported errors, or overflows the window."""
        assert self.strangers == []
        assert self.complaints == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def expect(locator: Any) -> Any:
    """Wait for a condition of a part of the page."""
    sync_api.expect.set_options(timeout=LONGEST_WAIT_SECONDS * 1000)
    return sync_api.expect(locator)


@contextmanager
def open_browser() -> Iterator[Any]:
    """The installed Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@contextmanager
def open_page(
    browser: Any, address: str, *, own: str = "", color_scheme: ColorScheme = "light", viewport: dict[str, int] | None = None
) -> Iterator[WatchedPage]:
    """A page at an address. `own` are the prefixes of other addresses that it may request."""
    context = browser.new_context(color_scheme=color_scheme, viewport=viewport or DESK, has_touch=viewport == PHONE)
    context.set_default_timeout(LONGEST_WAIT_SECONDS * 1000)
    watched = WatchedPage(page=context.new_page())

    def admit(route: Any) -> None:
        asked = route.request.url
        if asked == address or (own and asked.startswith(own)):
            route.continue_()
            return
        watched.strangers.append(asked)
        route.abort()

    watched.page.route("**/*", admit)

    def listen(message: Any) -> None:
        if message.type in {"error", "warning"}:
            watched.complaints.append(message.text)

    def listen_to_errors(error: Any) -> None:
        watched.complaints.append(str(error))

    watched.page.on("console", listen)
    watched.page.on("pageerror", listen_to_errors)
    watched.page.goto(address)
    yield watched
    context.close()
