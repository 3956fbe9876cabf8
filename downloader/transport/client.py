"""The only HTTP client: one session, our errors, no total time-out.

A body may take hours. It is ended by missing data (`idle_seconds`) or a low rate (`minimum_bytes_per_second`), never its length.
The time that the reader itself takes, to inflate or to keep to a bandwidth, counts as neither.
"""

import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from typing import Final
from urllib.request import getproxies_environment

import aiohttp
import anyio
import anyio.to_thread
from aiohttp.abc import AbstractResolver
from yarl import URL

from downloader import __version__
from downloader.clock import Clock
from downloader.errors import (
    ArchiveFaultError,
    SettingsError,
    StalledTransferError,
    TransferError,
    UnexpectedReplyError,
)
from downloader.pacing import RateWatch
from downloader.transport.connections import AskedOnlyConnector
from downloader.transport.content_coding import ContentDecoder, decoder_for
from downloader.transport.cookies import GateCookies
from downloader.transport.errors import FOREIGN_ERRORS, mask, translate
from downloader.transport.private_addresses import KnowingResolver, PublicResolver, is_link_local, is_private
from downloader.transport.proxies import choose_proxy
from downloader.transport.redirects import Request, redirected, refuse_private

BATCH_BYTES: Final = 1024 * 1024
BATCH_SECONDS: Final = 1.0
"""On a slow line less is a batch: what is held here is lost when the process is killed, and no progress shows it."""
AHEAD_BYTES: Final = 1024 * 1024
AHEAD_OF_ALL_BYTES: Final = 6 * 1024 * 1024
"""Half of what may lie received and unread, of one body and of all: the line goes on while a batch is inflated."""
CHUNK_BYTES: Final = 64 * 1024
MAX_REDIRECTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """Time-outs and limits of the transport, and its User-Agent.

    `first_byte_seconds` bounds the wait for status and headers once connected: the archive runs its queries before it answers
    (docs/archives.md#download-headers). A body must bring `minimum_bytes_per_second` over any `rate_window_seconds` spent
    waiting for it. The largest archive lists half a million series in half a gigabyte: the bounds of a list end what has no
    end.
    """

    connect_seconds: float = 30.0
    first_byte_seconds: float = 300.0
    idle_seconds: float = 120.0
    minimum_bytes_per_second: float = 1024.0
    rate_window_seconds: float = 120.0
    longest_list_bytes: int = 8 * 1024**3
    longest_list_seconds: float = 6 * 3600.0
    max_connections: int = 10
    user_agent: str = f"tciad/{__version__} (NBIA mirror)"

    def __post_init__(self) -> None:
        for name in ("connect_seconds", "first_byte_seconds", "idle_seconds", "rate_window_seconds", "max_connections"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be more than 0")
        if self.minimum_bytes_per_second < 0:
            raise SettingsError("minimum_bytes_per_second must not be negative")


class Reply:
    """Status and headers, and the body while it arrives.

    `url` is for messages: secrets in it are masked. `has_ended`: the body was received to its end as HTTP defines it.
    """

    def __init__(self, response: aiohttp.ClientResponse, settings: TransportSettings, clock: Clock) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._url = response.url
        self.received_bytes = 0
        self.has_ended = False
        self._content = response.content
        self._encoding = response.headers.get("Content-Encoding", "")
        self._decoder: ContentDecoder | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._settings = settings
        self._idle_seconds = settings.idle_seconds
        self._clock = clock
        self._watch = RateWatch(
            minimum_bytes_per_second=settings.minimum_bytes_per_second, window_seconds=settings.rate_window_seconds
        )

    @property
    def url(self) -> str:
        """The address of the reply, for messages: without secrets."""
        return mask(self._url)

    async def batches(self, min_bytes: int = BATCH_BYTES) -> AsyncGenerator[list[bytes], None]:
        """Yield the body in lists of chunks that together hold `min_bytes` or more; fewer on a slow line, and at the end.

        Data received before an error is yielded before the error is raised, so that a cut body can be salvaged.

        Raises:
            ArchiveFaultError: the body is compressed in a way that cannot be read.
            CutTransferError: the connection ended before the body did.
            StalledTransferError: no bytes for the idle time, or fewer than the minimum rate.
        """
        more = True
        while more:
            batch: list[bytes] = []
            failure: TransferError | ArchiveFaultError | None = None
            try:
                more = await self._fill(batch, min_bytes, BATCH_SECONDS)
            except (TransferError, ArchiveFaultError) as error:
                failure = error
            if batch:
                yield batch
            if failure is not None:
                raise failure

    async def chunks(self, max_bytes: int = CHUNK_BYTES) -> AsyncGenerator[bytes, None]:
        """Yield the body of a list in pieces as they come, none larger than `max_bytes`. Raises as `batches` does.

        Raises:
            ArchiveFaultError: the list is longer, or takes longer, than any list of an archive.
        """
        began_at, came_bytes = self._clock.monotonic(), 0
        async for batch in self.batches(min_bytes=1):
            came_bytes += sum(map(len, batch))
            took_seconds = self._clock.monotonic() - began_at
            if came_bytes > self._settings.longest_list_bytes or took_seconds > self._settings.longest_list_seconds:
                raise ArchiveFaultError(
                    f"{self.url}: the list is too long: {came_bytes:,} bytes received so far",
                    next_step="check base_url if this persists",
                )
            for chunk in batch:
                for start in range(0, len(chunk), max_bytes):
                    yield chunk[start : start + max_bytes]

    async def text(self, limit_bytes: int) -> str:
        """The body's first `limit_bytes` as text; bytes that are not UTF-8 are replaced. Raises as `batches` does.

        Bytes of a refusal that cannot be decoded are left out.
        """
        batch: list[bytes] = []
        try:
            await self._fill(batch, limit_bytes, inf)
        except ArchiveFaultError:
            if self.status == HTTPStatus.OK:
                raise
        return b"".join(batch)[:limit_bytes].decode("utf-8", "replace")

    async def _read(self) -> bytes:
        chunk = await self._content.readany()
        self.received_bytes += len(chunk)
        return chunk

    async def _read_decoded(self) -> bytes:
        """The next bytes of a body that came compressed."""
        decoder = self._decoder = self._decoder or decoder_for(self._encoding, self.url)
        while not (piece := next(self._pieces, b"")):
            chunk = await self._read()
            if decoder is None:
                return chunk
            if not chunk:
                decoder.finish()
                return b""
            self._pieces = decoder.decode(chunk)
        return piece

    async def _fill(self, batch: list[bytes], min_bytes: int, longest_seconds: float) -> bool:
        """Read until `batch` holds enough or its first chunk is so old; false when the body has ended."""
        held_bytes = 0
        first_at = inf
        try:
            with anyio.fail_after(self._idle_seconds) as deadline:
                while held_bytes < min_bytes:
                    asked_at = self._clock.monotonic()
                    chunk = await (self._read_decoded() if self._encoding else self._read())
                    if not chunk:
                        self.has_ended = True
                        return False
                    batch.append(chunk)
                    held_bytes += len(chunk)
                    came_at = self._clock.monotonic()
                    if self._watch.is_too_slow(came_at - asked_at, len(chunk)):
                        raise StalledTransferError(f"{self.url} sends data too slowly")
                    first_at = min(first_at, came_at)
                    if came_at - first_at >= longest_seconds:
                        return True
                    deadline.deadline = anyio.current_time() + self._idle_seconds
        except FOREIGN_ERRORS as error:
            raise translate(error, self.url, body_began=True) from error
        return True


class Transport:
    """Sends requests and gives replies; follows redirects; the caller handles statuses."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        public_session: aiohttp.ClientSession,
        resolver: KnowingResolver,
        settings: TransportSettings,
        clock: Clock,
    ) -> None:
        self._session = session
        self._public_session = public_session
        self._resolver = resolver
        # made with the first cookie that a host sets: most archives set none
        self._cookies: GateCookies | None = None
        self._settings = settings
        self._clock = clock
        # the wait for a free connection must not count as time that the archive takes to respond
        self._connections = anyio.Semaphore(settings.max_connections)
        self._proxies = getproxies_environment()

    def get(
        self, url: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        """GET a URL and enter once status and headers are there.

        `headers` are credentials as far as redirects go: no other host gets them.

        Raises:
            ArchiveUnreachableError: no connection, or no answer in time.
            UnexpectedReplyError: not HTTP, or redirects that lead nowhere or out of TLS.
        """
        return self._open("GET", url, params=params or {}, headers=headers or {}, form=None)

    def post_form(
        self, url: str, *, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        """POST a form; otherwise as `get`. A redirect to another host is refused, since the form may hold credentials."""
        return self._open("POST", url, params={}, headers=headers or {}, form=form)

    @asynccontextmanager
    async def _open(
        self, method: str, url: str, *, params: Mapping[str, str], headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> AsyncIterator[Reply]:
        try:
            target = URL(url).update_query(params)
        except ValueError as error:
            raise UnexpectedReplyError("the address of the archive is not a valid URL", next_step="correct base_url") from error
        async with self._connections:
            response = await self._follow(Request(method=method, url=target, headers=headers, form=form))
            try:
                yield Reply(response, self._settings, self._clock)
            finally:
                # gives the connection back if the body was read to its end, and closes it otherwise
                response.release()

    async def _follow(self, request: Request) -> aiohttp.ClientResponse:
        who = frozenset(request.headers.items())
        base, is_elsewhere = request.url, False
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(request, who, public_only=is_elsewhere and not self._is_private(base))
            if response.status not in {301, 302, 303, 307, 308}:
                return response
            self._cookies = self._cookies or GateCookies()
            self._cookies.note(request.url, who, response.headers.getall("Set-Cookie", ()))
            response.release()
            request = redirected(request, response.status, response.headers.get("Location", ""))
            if request.url.host != base.host:
                is_elsewhere = True
                refuse_private(request.url, base_is_private=self._is_private(base), base_is_link_local=self._is_link_local(base))
        raise UnexpectedReplyError(
            f"{mask(request.url)}: more than {MAX_REDIRECTS} redirects", next_step="set base_url to the final address"
        )

    def _is_private(self, url: URL) -> bool:
        return any(map(is_private, self._resolver.addresses(url)))

    def _is_link_local(self, url: URL) -> bool:
        return any(map(is_link_local, self._resolver.addresses(url)))

    async def _send(self, request: Request, who: frozenset[tuple[str, str]], *, public_only: bool) -> aiohttp.ClientResponse:
        proxy, proxy_headers = choose_proxy(request.url, self._proxies) if self._proxies else (None, None)
        cookie = self._cookies.header_for(request.url, who) if self._cookies else ""
        # a proxy has a private address itself, and resolves names on its own
        session = self._public_session if public_only and proxy is None else self._session
        try:
            with anyio.fail_after(self._settings.connect_seconds + self._settings.first_byte_seconds):
                return await session.request(
                    request.method,
                    request.url,
                    headers={**request.headers, "Cookie": cookie} if cookie else request.headers,
                    data=request.form,
                    allow_redirects=False,
                    proxy=proxy,
                    proxy_headers=proxy_headers,
                )
        except FOREIGN_ERRORS as error:
            raise translate(error, mask(request.url), body_began=False) from error


@asynccontextmanager
async def open_transport(
    settings: TransportSettings, clock: Clock, resolver: AbstractResolver | None = None
) -> AsyncIterator[Transport]:
    """Open the session that every request of this process shares. `resolver` finds addresses; by default the system's does.

    Proxies are taken from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, certificate authorities from SSL_CERT_FILE or the system.
    A .netrc is not read.

    Raises:
        SettingsError: the certificate authorities cannot be read.
    """
    tls = await anyio.to_thread.run_sync(_load_tls)
    knowing = KnowingResolver(resolver or aiohttp.ThreadedResolver())

    def open_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # any Accept but this one risks a 406, and a compressed ZIP is only more work (docs/archives.md#reply-formats)
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": settings.user_agent},
            read_bufsize=max(CHUNK_BYTES, min(AHEAD_BYTES, AHEAD_OF_ALL_BYTES // settings.max_connections)),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_seconds),
            auto_decompress=False,
        )

    async with (
        open_session(AskedOnlyConnector(ssl=tls, limit=0, resolver=knowing)) as session,
        open_session(AskedOnlyConnector(ssl=tls, limit=0, resolver=PublicResolver(knowing))) as public_session,
    ):
        yield Transport(session, public_session, knowing, settings, clock)


def _load_tls() -> ssl.SSLContext | bool:
    """What proves hosts: True is the system's authorities, which aiohttp has read when it was imported."""
    authorities = os.environ.get("SSL_CERT_FILE")
    if not authorities:
        return True
    context = ssl.create_default_context()
    # OpenSSL has read the file already, but reports no errors
    try:
        context.load_verify_locations(cafile=authorities)
    except OSError as error:
        raise SettingsError(
            f"SSL_CERT_FILE names {authorities}, which cannot be read as certificates", next_step="name a PEM file"
        ) from error
    return context
