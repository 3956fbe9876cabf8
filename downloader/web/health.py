"""Whether the service is alive, and whether it can do its work: for container runtimes and load balancers."""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import web

from downloader.clock import Clock
from downloader.service.port import ServiceReports
from downloader.web.responses import adapter_of, reply_json

BEAT_AGE: Final = timedelta(seconds=30)
"""After this time without a turn the event loop counts as blocked, even if it still responds sometimes."""


async def respond_alive(service: ServiceReports, clock: Clock) -> web.Response:
    """200 while the loop turns."""
    return _respond(_blocked(service, clock))


async def respond_ready(service: ServiceReports, clock: Clock) -> web.Response:
    """200 while the loop turns, every library can be used and the service does not drain. Archives do not matter."""
    return _respond([*_blocked(service, clock), *await service.problems()])


def _blocked(service: ServiceReports, clock: Clock) -> list[str]:
    alive = clock.now() - service.beat_at() < BEAT_AGE
    return [] if alive else ["the event loop has been blocked for more than 30 s"]


def _respond(problems: list[str]) -> web.Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return reply_json(adapter_of(dict[str, bool | list[str]]).dump_json({"ok": not problems, "problems": problems}), status)
