"""Whether the service is alive, and whether it can do its work: for container runtimes and load balancers."""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from aiohttp import web

from downloader.clock import Clock
from downloader.service.port import ServiceReports, ServiceStatus
from downloader.web.responses import adapter_of, reply_json

BEAT_AGE: Final = timedelta(seconds=30)
"""A loop that has not turned for so long is stuck, though it may still answer now and then."""


async def respond_alive(service: ServiceReports, clock: Clock) -> web.Response:
    """200 while the loop turns."""
    alive = clock.now() - service.beat_at() < BEAT_AGE
    return _respond([] if alive else ["the service has not turned for half a minute"])


async def respond_ready(service: ServiceReports) -> web.Response:
    """200 when every library can be used and every archive was reachable lately."""
    return _respond(_problems(await service.status()))


def _problems(status: ServiceStatus) -> list[str]:
    problems = [f"{library.directory}: {library.problem}" for library in status.libraries if not library.usable]
    problems += [f"{archive.name}: {archive.problem}" for archive in status.archives if not archive.reachable]
    return [*problems, "the service drains"] if status.draining else problems


def _respond(problems: list[str]) -> web.Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return reply_json(adapter_of(dict[str, bool | list[str]]).dump_json({"ok": not problems, "problems": problems}), status)
