"""The HTTP part of the service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio
import structlog
from aiohttp import hdrs, web
from anyio.abc import TaskStatus

from downloader.clock import Clock
from downloader.errors import PartDiedError, SettingsError
from downloader.service.port import Service
from downloader.web.address import ListenAddress
from downloader.web.api import PREFIX, Sources, routes_of
from downloader.web.auth import LOGIN_PATHS, Guard, add_headers
from downloader.web.connections import ConnectionLimits, Connections
from downloader.web.events import EventStream
from downloader.web.forecast import Forecast
from downloader.web.health import respond_alive, respond_ready
from downloader.web.metrics import Metrics
from downloader.web.openapi import openapi_document
from downloader.web.pages import CONTENT_TYPES, Pages
from downloader.web.request_log import log_of_requests
from downloader.web.responses import adapter_of, refuse_errors, reply_json
from downloader.web.throughput import Throughput

_LONGEST_BODY_BYTES: Final = 65_536
_LEAVE_SECONDS: Final = 1.0
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_log = structlog.get_logger(__name__)


class HttpServer:
    """Implements `ServicePart`."""

    def __init__(self, guard: Guard, metrics: Metrics, clock: Clock, limits: ConnectionLimits) -> None:
        self._guard = guard
        self._metrics = metrics
        self._clock = clock
        self._limits = limits

    @property
    def name(self) -> str:
        """See the port."""
        return "HTTP server"

    async def run(self, service: Service, *, task_status: TaskStatus[ListenAddress] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `task_status` gets the address.

        Raises:
            SettingsError: the address cannot be listened on.
        """
        forecast = Forecast()
        throughput = Throughput(service, self._clock, forecast)
        sources = Sources(service=service, throughput=throughput, forecast=forecast)
        async with self._listening(sources) as address:
            _log.info("listening", address=f"http://{address}", token=bool(self._guard.token))
            task_status.started(address)
            await throughput.keep_sampling()

    @asynccontextmanager
    async def _listening(self, sources: Sources) -> AsyncIterator[ListenAddress]:
        wanted, limits = self._guard.address, self._limits
        connections = Connections(limits)
        runner = web.AppRunner(
            self._application(sources),
            access_log=None,
            logger=log_of_requests(),
            handler_cancellation=True,
            shutdown_timeout=_LEAVE_SECONDS,
            keepalive_timeout=limits.idle_seconds,
            # no body that the service reads is ever compressed
            auto_decompress=False,
        )
        await runner.setup()
        try:
            server = runner.server
            if server is None:
                raise PartDiedError("the HTTP server did not start", next_step="please report it with the log")
            # before routing and before aiohttp answers Expect, both of which trust what the request says
            server.request_handler = partial(self._check, connections, server.request_handler)
            async with _listen(partial(connections.protocol, server), wanted, limits.backlog) as address:
                yield address
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    async def _check(self, connections: Connections, handler: Answer, request: web.BaseRequest) -> web.StreamResponse:
        try:
            refusal = self._guard.refusal_of(request)
            if refusal is not None:
                await add_headers(request, refusal)
                return refusal
            if request.path not in LOGIN_PATHS:
                connections.grant(request.transport)
            return await handler(request)
        finally:
            connections.answered(request.transport)

    def _application(self, sources: Sources) -> web.Application:
        service = sources.service
        application = web.Application(middlewares=[refuse_errors], client_max_size=_LONGEST_BODY_BYTES)
        application.on_response_prepare.append(add_headers)
        pages = Pages(self._guard)
        metrics, clock = self._metrics, self._clock

        async def alive(request: web.Request) -> web.Response:  # noqa: ARG001
            return await respond_alive(service, clock)

        async def ready(request: web.Request) -> web.Response:  # noqa: ARG001
            return await respond_ready(service, clock)

        async def measure(request: web.Request) -> web.Response:
            body, content_type = await metrics.expose(service, request.headers.get(hdrs.ACCEPT, ""))
            return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

        application.add_routes(
            [
                web.get("/healthz", alive),
                web.get("/readyz", ready),
                web.get("/metrics", measure),
                *routes_of(sources),
                web.get(f"{PREFIX}/events", EventStream(service, clock, most=self._limits.most // 2).handle),
                web.get(f"{PREFIX}/openapi.json", respond_openapi),
                web.get("/", pages.respond_page),
                web.post("/login", pages.log_in),
                *[web.get(f"/page/{name}", partial(pages.respond_file, name)) for name in CONTENT_TYPES],
            ]
        )
        return application


async def respond_openapi(request: web.Request) -> web.Response:  # noqa: ARG001
    """The description of the API."""
    return reply_json(adapter_of(dict).dump_json(openapi_document()))


@asynccontextmanager
async def _listen(
    make_protocol: Callable[[], asyncio.Protocol], wanted: ListenAddress, backlog: int
) -> AsyncIterator[ListenAddress]:
    """Accept connections as long as the context lasts; those that are open stay so after it."""
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(make_protocol, wanted.host, wanted.port, backlog=backlog)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {wanted}: {error.strerror or error}", next_step="choose another address with --listen"
        ) from error
    try:
        yield ListenAddress(host=wanted.host, port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
