"""The sandbox as a server: routes, the order of checks and faults, and the record of what was asked."""

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Final

import anyio.to_thread
from aiohttp import web

from downloader.errors import SettingsError
from downloader.sandbox.answers import (
    Answer,
    Download,
    NoContent,
    Parameters,
    Refusal,
    SingleImage,
    Table,
    Text,
    first,
)
from downloader.sandbox.bindaas import BINDAAS, ROOT
from downloader.sandbox.builtin import builtin_catalogue
from downloader.sandbox.catalogue import Catalogue
from downloader.sandbox.downloads import members, plan
from downloader.sandbox.faults import DOWNLOADS, Family, Fault
from downloader.sandbox.formats import render
from downloader.sandbox.generations import Endpoint, Generation, Security
from downloader.sandbox.images import Images, SandboxImage
from downloader.sandbox.nbia_v1 import NBIA_V1
from downloader.sandbox.nbia_v2 import ADVANCED, NBIA_V2
from downloader.sandbox.nbia_v4 import NBIA_V4, without_include_md5
from downloader.sandbox.queries import View
from downloader.sandbox.replies import Reply, failure, whole
from downloader.sandbox.script import FaultScript
from downloader.sandbox.sending import StallGate, send
from downloader.sandbox.tampering import replaced_reply, tampered_plan, tampered_table, tampered_text
from downloader.sandbox.tokens import KEYCLOAK_PATH, PROXY_PATH, PROXY_PATHS, Access, TokenOffice, TokenStyle
from downloader.sandbox.zipwriter import zip_stream

_UP: Final = ("/nbia-api/services/up", "/nbia-api/up")
_GUEST_HEADER: Final = "Bearer undefined"
_ANONYMOUS: Final = "Exception while handling the request at hand.\n  "
_MAX_FORM_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request that reached an endpoint, and the fault that struck it."""

    method: str
    generation: str
    endpoint: str
    parameters: Parameters
    headers: Mapping[str, str]
    fault: Fault | None

    @property
    def series_instance_uid(self) -> str | None:
        """The series that the request asked for, if it asked for one."""
        return first(self.parameters, "SeriesInstanceUID")


class Sandbox:
    """A running sandbox. `base_url` is what an archive's base_url is: requests go to `<base_url>/v4/getSeries` and so on.

    `bindaas_url` is the same for the API of 2013, `tokens` issues what v2 asks for, at `token_url` or `keycloak_url`. `requests`
    holds every request in the order of arrival, `peak_downloads` the most ZIPs that were under way at once. `faults` can be added
    to while the sandbox runs.
    """

    def __init__(
        self, catalogue: Catalogue, faults: Sequence[Fault], access: Access, clock: Callable[[], datetime], seed: int
    ) -> None:
        self.origin = ""
        self.tokens = TokenOffice(access, clock)
        self.faults = FaultScript(faults)
        self.requests: list[LoggedRequest] = []
        self.running_downloads = 0
        self.peak_downloads = 0
        self._catalogue = catalogue
        self._images = Images()
        self._gate = StallGate()
        self._clock = clock
        self._shuffler = Random(seed)  # noqa: S311 - orders, not secrets

    @property
    def base_url(self) -> str:
        """The address of v1, v2 and v4."""
        return f"{self.origin}/nbia-api/services"

    @property
    def bindaas_url(self) -> str:
        """The address of the API of 2013."""
        return f"{self.origin}{ROOT.rstrip('/')}"

    @property
    def token_url(self) -> str:
        """Where the archive itself hands out tokens."""
        return f"{self.origin}{PROXY_PATH}"

    @property
    def keycloak_url(self) -> str:
        """Where Keycloak hands out tokens."""
        return f"{self.origin}{KEYCLOAK_PATH}"

    @property
    def catalogue(self) -> Catalogue:
        """What the sandbox holds now."""
        return self._catalogue

    def replace_catalogue(self, catalogue: Catalogue) -> None:
        """Hold something else from the next request on: series released, re-curated, withdrawn."""
        self._catalogue, self._images = catalogue, Images()

    def images_of(self, series_instance_uid: str) -> Sequence[SandboxImage]:
        """The images of a series as the catalogue knows them."""
        return self._images.of(self._catalogue.holdings[series_instance_uid])

    def md5(self, image: SandboxImage) -> str:
        """The hash that the archive stores for an image. Blocks while it is computed."""
        return self._images.md5(image)

    def file_size_bytes(self, series_instance_uid: str) -> int:
        """FileSize of a series."""
        return self._images.size_bytes(self._catalogue.holdings[series_instance_uid])

    def count(self, endpoint: str | None = None, *, series_instance_uid: str | None = None, method: str | None = None) -> int:
        """How many requests came, all or those to one endpoint, for one series, of one method."""
        return sum(
            endpoint in {None, request.endpoint}
            and series_instance_uid in {None, request.series_instance_uid}
            and method in {None, request.method}
            for request in self.requests
        )

    async def wait_for_stall(self, replies: int = 1) -> None:
        """Return as soon as this many responses are stalled by `stall` faults."""
        await self._gate.wait_for(replies)

    def release(self) -> None:
        """Let every stalled reply go on."""
        self._gate.open()

    async def respond(self, request: web.Request, generation: Generation, endpoint: Endpoint) -> web.StreamResponse:
        """Answer one request to one endpoint."""
        parameters = await _parameters(request, endpoint)
        refusal = generation.check(endpoint, parameters)
        fault = None if refusal else self.faults.take(endpoint.name, first(parameters, "SeriesInstanceUID"))
        self.requests.append(
            LoggedRequest(
                method=request.method,
                generation=generation.name,
                endpoint=endpoint.name,
                parameters=parameters,
                headers=dict(request.headers),
                fault=fault,
            )
        )
        if fault and fault.family is Family.TOKENS:
            self.tokens.forget()
        unwelcome = self._check_asker(request, generation)
        if unwelcome is not None:
            return await send(request, unwelcome, None, self._gate)
        if not _accepts(request, endpoint):
            return await send(request, failure(406), None, self._gate)
        with self._under_way(endpoint):
            make = partial(self._reply, generation, endpoint, parameters, refusal, fault)
            reply = await anyio.to_thread.run_sync(make)
            return await send(request, reply, fault, self._gate)

    async def issue_token(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a token. It is not among `requests`, since it holds a password."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        return await send(request, self.tokens.issue(request.path, form), None, self._gate)

    def _check_asker(self, request: web.Request, generation: Generation) -> Reply | None:
        """The response to a request without valid credentials (docs/archives.md#api-keys, #tokens); None for all others."""
        access = self.tokens.access
        if generation.security is Security.KEY:
            shown = request.headers.get(access.api_key_header) or request.query.get("api_key")
            return None if shown in access.api_keys else failure(401)
        if generation.security is Security.OPEN:
            return None
        header = request.headers.get("Authorization")
        if header is None:
            missing_is_fine = generation.security is Security.GOOD_TOKEN_OR_NONE
            return None if missing_is_fine else failure(500, _ANONYMOUS, content_type="text/plain")
        keycloak = access.style is TokenStyle.KEYCLOAK
        if self.tokens.accepts(header.removeprefix("Bearer ")) or (keycloak and header == _GUEST_HEADER):
            return None
        error = '{"error":"invalid_token","error_description":"Invalid access token"}'
        return Reply(status=401, content_bytes=0) if keycloak else whole("application/json", error, 401)

    @contextmanager
    def _under_way(self, endpoint: Endpoint) -> Iterator[None]:
        share = int(endpoint.name in DOWNLOADS)
        self.running_downloads += share
        self.peak_downloads = max(self.peak_downloads, self.running_downloads)
        try:
            yield
        finally:
            self.running_downloads -= share

    def _reply(
        self,
        generation: Generation,
        endpoint: Endpoint,
        parameters: Parameters,
        refusal: Refusal | None,
        fault: Fault | None,
    ) -> Reply:
        if refusal:
            return whole("application/json", refusal.text, refusal.status)
        images = self._images
        if fault and fault.family is Family.REPLY:
            return replaced_reply(fault, generation.refusal.format(first(parameters, "SeriesInstanceUID") or ""))
        view = View(
            catalogue=self._catalogue,
            images=images,
            folds_case=generation.folds_case,
            refusal=generation.refusal,
            retold=lambda listing: self.faults.retell(endpoint.name, listing, images),
        )
        answer = endpoint.answer(view, parameters)
        if isinstance(answer, Table):
            return _table_reply(answer, parameters, fault)
        if isinstance(answer, Download):
            return self._zip_reply(answer, fault)
        return _plain_reply(answer, endpoint)

    def _zip_reply(self, download: Download, fault: Fault | None) -> Reply:
        planned = plan(download, self._images, self._shuffler)
        if fault and fault.family is Family.ZIP:
            planned = tampered_plan(planned, fault, download.holding, self._catalogue, self._images)
        name = f"{download.holding.series.series_instance_uid}.zip"
        announced = {"imageCount": str(self._images.count(download.holding))} if download.announced else {}
        return Reply(
            status=200,
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Disposition": f'attachment; filename="{name}"',
                **announced,
            },
            chunks=zip_stream(members(planned, self._images, self._shuffler), self._clock()),
        )


def _table_reply(table: Table, parameters: Parameters, fault: Fault | None) -> Reply:
    requested = first(parameters, "format")
    if not fault or fault.family is not Family.TABLE:
        return render(table, requested)
    return tampered_text(render(tampered_table(table, fault), requested), fault)


def _plain_reply(answer: Answer, endpoint: Endpoint) -> Reply:
    match answer:
        case Text(text):
            return whole(endpoint.produces[0], text)
        case Refusal(text, status):
            return whole("application/json", text, status)
        case NoContent():
            return Reply(status=204, content_bytes=0)
        case SingleImage(image):
            disposition = f"attachment; filename={image.sop_instance_uid}.dcm"
            headers = {"Content-Type": "application/dicom", "Content-Disposition": disposition}
            return Reply(status=200, headers=headers, chunks=image.chunks(), content_bytes=image.size_bytes)
        case _:
            return failure(500)


async def _parameters(request: web.Request, endpoint: Endpoint) -> Parameters:
    given = await request.post() if endpoint.method == "POST" else request.query
    parameters: dict[str, list[str]] = {}
    for name, value in given.items():
        parameters.setdefault(name, []).append(str(value))
    return parameters


def _accepts(request: web.Request, endpoint: Endpoint) -> bool:
    """Whether the Accept header has room for a type that the endpoint declares (docs/archives.md#reply-formats)."""
    ranges = {part.split(";")[0].strip() for part in request.headers.get("Accept", "*/*").split(",")}
    return any(
        accepted in ranges for declared in endpoint.produces for accepted in (declared, f"{declared.split('/')[0]}/*", "*/*")
    )


@asynccontextmanager
async def serve_sandbox(
    catalogue: Catalogue | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Sequence[Fault] = (),
    include_md5: bool = True,
    apis: Collection[str] | None = None,
    access: Access | None = None,
    clock: Callable[[], datetime] | None = None,
    seed: int = 0,
) -> AsyncIterator[Sandbox]:
    """Serve a catalogue for as long as the context lasts; what is still under way at its end is cut off.

    Args:
        catalogue: what to serve; the built-in one unless given.
        host: address to listen on.
        port: 0 picks a free one.
        faults: the script of faults.
        include_md5: whether v4's getImage knows IncludeMD5; without it this is a deployment from before November 2025.
        apis: which generations this deployment speaks, by their names; all of them unless given.
        access: who may ask, and how tokens are issued.
        clock: the time that ZIP members get, and by which tokens expire; now unless given.
        seed: makes the order of images and of MD5 lists, which differs from reply to reply.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    sandbox = Sandbox(catalogue or builtin_catalogue(), faults, access or Access(), clock or partial(datetime.now, UTC), seed)
    every = (NBIA_V1, NBIA_V2, ADVANCED, NBIA_V4 if include_md5 else without_include_md5(NBIA_V4), BINDAAS)
    generations = [generation for generation in every if apis is None or generation.name in apis]
    application = web.Application(client_max_size=_MAX_FORM_BYTES)
    application.router.add_route("*", "/{path:.*}", _router(sandbox, generations))
    application.on_response_prepare.append(_dress)
    # A client that leaves ends its reply at once, and the end of the context does not wait for slow readers.
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        sandbox.origin = f"http://{_authority(runner)}"
        yield sandbox
    finally:
        await runner.cleanup()


def _authority(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _router(
    sandbox: Sandbox, generations: Sequence[Generation]
) -> Callable[[web.Request], Coroutine[None, None, web.StreamResponse]]:
    targets = {
        f"{root}{generation.prefix}{endpoint.name}": (generation, endpoint)
        for generation in generations
        for root in generation.roots
        for endpoint in generation.endpoints
    }

    async def route(request: web.Request) -> web.StreamResponse:
        gate = StallGate()
        if request.path in _UP:
            return await send(request, whole("text/plain", "up"), None, gate)
        if request.path in {*PROXY_PATHS, KEYCLOAK_PATH} and request.method == "POST":
            return await sandbox.issue_token(request)
        if request.path not in targets:
            return await send(request, failure(404), None, gate)
        generation, endpoint = targets[request.path]
        if request.method not in ({"GET", "HEAD"} if endpoint.method == "GET" else {endpoint.method}):
            return await send(request, failure(405), None, gate)
        return await sandbox.respond(request, generation, endpoint)

    return route


async def _dress(_: web.Request, response: web.StreamResponse) -> None:
    """Headers that stand on every reply (docs/archives.md#api-history, #reply-formats)."""
    response.headers["Server"] = "nginx"
    response.headers["Access-Control-Allow-Origin"] = "*"
