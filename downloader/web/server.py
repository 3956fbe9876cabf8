"""The HTTP part of the service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from typing import Final

import anyio
import structlog
from aiohttp import hdrs, web
from anyio.abc import TaskStatus

from downloader.clock import Clock
from downloader.errors import SettingsError
from downloader.service.port import Service
from downloader.web.address import ListenAddress
from downloader.web.api import PREFIX, Sources, routes_of
from downloader.web.events import EventStream
from downloader.web.guard import COOKIE, Guard, add_headers
from downloader.web.health import tell_alive, tell_ready
from downloader.web.metrics import Metrics
from downloader.web.openapi import openapi_document
from downloader.web.replies import Handler, adapter_of, refuse_errors, reply_json
from downloader.web.throughput import Throughput

_CONTENT_TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript"}
_LONGEST_BODY_BYTES: Final = 65_536
_LEAVE_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class HttpServer:
    """Implements `ServicePart`."""

    def __init__(self, guard: Guard, metrics: Metrics, clock: Clock) -> None:
        self._guard = guard
        self._metrics = metrics
        self._clock = clock

    @property
    def name(self) -> str:
        """See the port."""
        return "HTTP server"

    async def run(self, service: Service, *, task_status: TaskStatus[ListenAddress] = anyio.TASK_STATUS_IGNORED) -> None:
        """Answer until cancelled; `task_status` is told where.

        Raises:
            SettingsError: nobody can listen there.
        """
        throughput = Throughput(service, self._clock)
        async with self._listening(self._application(service, throughput)) as address:
            _log.info("listening", address=f"http://{address}", token=bool(self._guard.token))
            task_status.started(address)
            await throughput.keep_sampling()

    @asynccontextmanager
    async def _listening(self, application: web.Application) -> AsyncIterator[ListenAddress]:
        wanted = self._guard.address
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=_LEAVE_SECONDS)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, wanted.host, wanted.port).start()
            except OSError as error:
                raise SettingsError(
                    f"nothing can listen on {wanted}: {error.strerror or error}", next_step="choose another address with --listen"
                ) from error
            yield ListenAddress(host=wanted.host, port=runner.addresses[0][1])
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    def _application(self, service: Service, throughput: Throughput) -> web.Application:
        guard = self._guard

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            return guard.refusal_of(request) or await handler(request)

        application = web.Application(middlewares=[check, refuse_errors], client_max_size=_LONGEST_BODY_BYTES)
        application.on_response_prepare.append(add_headers)
        pages = Pages(self._guard)
        metrics, clock = self._metrics, self._clock

        async def alive(request: web.Request) -> web.Response:  # noqa: ARG001
            return await tell_alive(service, clock)

        async def ready(request: web.Request) -> web.Response:  # noqa: ARG001
            return await tell_ready(service)

        async def measure(request: web.Request) -> web.Response:
            body, content_type = await metrics.expose(service, request.headers.get(hdrs.ACCEPT, ""))
            return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

        application.add_routes(
            [
                web.get("/healthz", alive),
                web.get("/readyz", ready),
                web.get("/metrics", measure),
                *routes_of(Sources(service=service, throughput=throughput)),
                web.get(f"{PREFIX}/events", EventStream(service, clock).handle),
                web.get(f"{PREFIX}/openapi.json", tell_openapi),
                web.get("/", pages.tell_page),
                web.post("/login", pages.log_in),
                *[web.get(f"/page/{name}", partial(pages.tell_file, name)) for name in _CONTENT_TYPES],
            ]
        )
        return application


async def tell_openapi(request: web.Request) -> web.Response:  # noqa: ARG001
    """The description of the API."""
    return reply_json(adapter_of(dict).dump_json(openapi_document()))


class Pages:
    """The page, or the form that asks a browser for the token first."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        folder = files("downloader.web.page")
        self._files = {name: (folder / name).read_text("utf-8") for name in ("page.html", "login.html", *_CONTENT_TYPES)}

    async def tell_page(self, request: web.Request) -> web.Response:
        """The page for those who may see it."""
        if self._guard.knows(request):
            return _page(self._files["page.html"])
        return _page(self._files["login.html"], HTTPStatus.UNAUTHORIZED)

    async def tell_file(self, name: str, request: web.Request) -> web.Response:  # noqa: ARG002
        """What belongs to the page."""
        return web.Response(text=self._files[name], content_type=_CONTENT_TYPES[name], charset="utf-8")

    async def log_in(self, request: web.Request) -> web.Response:
        """Take the token from the form, and let the browser remember that it was right."""
        token = (await request.post()).get("token", "")
        if not isinstance(token, str) or not self._guard.accepts(token.strip()):
            return _page(self._files["login.html"], HTTPStatus.UNAUTHORIZED)
        reply = web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: "/"})
        reply.set_cookie(COOKIE, self._guard.session, httponly=True, samesite="Strict", secure=request.secure, path="/")
        return reply


def _page(text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
