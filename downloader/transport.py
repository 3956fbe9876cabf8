"""The only HTTP client: one session, our errors, no total time-out.

A body may take hours. What ends it is silence (`idle_seconds`) or a trickle (`minimum_bytes_per_second`), never its length.
The time that the reader itself takes, to inflate or to keep to a bandwidth, counts as neither.
"""

import errno
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final
from urllib.request import getproxies_environment

import aiohttp
import anyio
import anyio.to_thread
from aiohttp.http import HttpProcessingError
from yarl import URL

from downloader import __version__
from downloader.clock import Clock
from downloader.connections import AskedOnlyConnector
from downloader.errors import (
    ArchiveFaultError,
    ArchiveUnreachableError,
    CutTransferError,
    LibraryError,
    SettingsError,
    StalledTransferError,
    TciadError,
    TransferError,
    UnexpectedReplyError,
)
from downloader.pacing import RateWatch
from downloader.proxies import choose_proxy
from downloader.redaction import redact

BATCH_BYTES: Final = 1024 * 1024
BATCH_SECONDS: Final = 1.0
"""On a slow line less is a batch: what is held here is lost when the process is killed, and no progress shows it."""
AHEAD_BYTES: Final = 1024 * 1024
AHEAD_OF_ALL_BYTES: Final = 6 * 1024 * 1024
"""Half of what may lie received and unread, of one body and of all: the line goes on while a batch is inflated."""
CHUNK_BYTES: Final = 64 * 1024
MAX_REDIRECTS: Final = 5
FOREIGN_ERRORS: Final = (aiohttp.ClientError, HttpProcessingError, OSError, UnicodeError)
"""What aiohttp, TLS and the sockets below it raise; `translate` knows all of them. A bad host name is a UnicodeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """How patient the transport is, and how it presents itself.

    `first_byte_seconds` bounds the wait for status and headers once connected: the archive runs its queries before it answers
    (ARCHIVE §4.3). A body must bring `minimum_bytes_per_second` over any `rate_window_seconds` spent waiting for it.
    """

    connect_seconds: float = 30.0
    first_byte_seconds: float = 300.0
    idle_seconds: float = 120.0
    minimum_bytes_per_second: float = 1024.0
    rate_window_seconds: float = 120.0
    max_connections: int = 10
    user_agent: str = f"tciad/{__version__} (NBIA mirror)"

    def __post_init__(self) -> None:
        for name in ("connect_seconds", "first_byte_seconds", "idle_seconds", "rate_window_seconds", "max_connections"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be more than 0")
        if self.minimum_bytes_per_second < 0:
            raise SettingsError("minimum_bytes_per_second must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What is sent. `headers` are the caller's own, which may hold credentials; `form` is the body of a POST."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None


class Reply:
    """Status and headers, and the body while it arrives.

    `url` is fit for messages: secrets in it are masked. `has_ended` tells that the body came to its end as HTTP says it must.
    """

    def __init__(self, response: aiohttp.ClientResponse, settings: TransportSettings, clock: Clock) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = mask(response.url)
        self.received_bytes = 0
        self.has_ended = False
        self._content = response.content
        self._idle_seconds = settings.idle_seconds
        self._clock = clock
        self._watch = RateWatch(
            minimum_bytes_per_second=settings.minimum_bytes_per_second, window_seconds=settings.rate_window_seconds
        )

    async def batches(self, min_bytes: int = BATCH_BYTES) -> AsyncGenerator[list[bytes], None]:
        """Yield the body in lists of chunks that together hold `min_bytes` or more; fewer on a slow line, and at the end.

        What came before an error is yielded before it is raised, so that a cut body can be salvaged.

        Raises:
            CutTransferError: the connection ended before the body did.
            StalledTransferError: no bytes for the idle time, or fewer than the minimum rate.
        """
        more = True
        while more:
            batch: list[bytes] = []
            failure: TransferError | None = None
            try:
                more = await self._fill(batch, min_bytes, BATCH_SECONDS)
            except TransferError as error:
                failure = error
            if batch:
                yield batch
            if failure is not None:
                raise failure

    async def chunks(self, max_bytes: int = CHUNK_BYTES) -> AsyncGenerator[bytes, None]:
        """Yield the body in pieces as they come, none larger than `max_bytes`. Raises as `batches` does."""
        async for batch in self.batches(min_bytes=1):
            for chunk in batch:
                for start in range(0, len(chunk), max_bytes):
                    yield chunk[start : start + max_bytes]

    async def text(self, limit_bytes: int) -> str:
        """The body's first `limit_bytes` as text; bytes that are not UTF-8 are replaced. Raises as `batches` does."""
        batch: list[bytes] = []
        await self._fill(batch, limit_bytes, inf)
        return b"".join(batch)[:limit_bytes].decode("utf-8", "replace")

    async def _fill(self, batch: list[bytes], min_bytes: int, longest_seconds: float) -> bool:
        """Read until `batch` holds enough or its first chunk is so old; false when the body has ended."""
        held_bytes = 0
        first_at = inf
        try:
            with anyio.fail_after(self._idle_seconds) as deadline:
                while held_bytes < min_bytes:
                    asked_at = self._clock.monotonic()
                    chunk = await self._content.readany()
                    if not chunk:
                        self.has_ended = True
                        return False
                    batch.append(chunk)
                    held_bytes += len(chunk)
                    self.received_bytes += len(chunk)
                    came_at = self._clock.monotonic()
                    if self._watch.is_too_slow(came_at - asked_at, len(chunk)):
                        raise StalledTransferError(f"{self.url} sends too slowly")
                    first_at = min(first_at, came_at)
                    if came_at - first_at >= longest_seconds:
                        return True
                    deadline.deadline = anyio.current_time() + self._idle_seconds
        except FOREIGN_ERRORS as error:
            raise translate(error, self.url, body_began=True) from error
        return True


class Transport:
    """Sends requests and gives replies; redirects are followed, statuses are the caller's affair."""

    def __init__(self, session: aiohttp.ClientSession, settings: TransportSettings, clock: Clock) -> None:
        self._session = session
        self._settings = settings
        self._clock = clock
        # waiting for a connection is no fault of the archive: it must not eat into the time that the archive has to answer
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
            raise UnexpectedReplyError("the archive's address is no URL", next_step="correct base_url") from error
        async with self._connections:
            response = await self._follow(_Request(method=method, url=target, headers=headers, form=form))
            try:
                yield Reply(response, self._settings, self._clock)
            finally:
                # gives the connection back if the body was read to its end, and closes it otherwise
                response.release()

    async def _follow(self, request: _Request) -> aiohttp.ClientResponse:
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(request)
            if response.status not in {301, 302, 303, 307, 308}:
                return response
            response.release()
            request = _redirect(request, response.status, response.headers.get("Location", ""))
        raise UnexpectedReplyError(
            f"{mask(request.url)}: more than {MAX_REDIRECTS} redirects", next_step="set base_url to the final address"
        )

    async def _send(self, request: _Request) -> aiohttp.ClientResponse:
        proxy, proxy_headers = choose_proxy(request.url, self._proxies)
        try:
            with anyio.fail_after(self._settings.connect_seconds + self._settings.first_byte_seconds):
                return await self._session.request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    data=request.form,
                    allow_redirects=False,
                    proxy=proxy,
                    proxy_headers=proxy_headers,
                )
        except FOREIGN_ERRORS as error:
            raise translate(error, mask(request.url), body_began=False) from error


@asynccontextmanager
async def open_transport(settings: TransportSettings, clock: Clock) -> AsyncIterator[Transport]:
    """Open the session that every request of this process shares.

    Proxies are taken from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, certificate authorities from SSL_CERT_FILE or the system.
    A .netrc is not read.

    Raises:
        SettingsError: the certificate authorities cannot be read.
    """
    tls = await anyio.to_thread.run_sync(_load_tls)
    async with aiohttp.ClientSession(
        connector=AskedOnlyConnector(ssl=tls, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        # any Accept but this one risks a 406, and a compressed ZIP is only more work (ARCHIVE §2.1)
        headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": settings.user_agent},
        read_bufsize=max(CHUNK_BYTES, min(AHEAD_BYTES, AHEAD_OF_ALL_BYTES // settings.max_connections)),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_seconds),
    ) as session:
        yield Transport(session, settings, clock)


def _load_tls() -> ssl.SSLContext | bool:
    """What proves hosts: True is the system's authorities, which aiohttp has read when it was imported."""
    authorities = os.environ.get("SSL_CERT_FILE")
    if not authorities:
        return True
    context = ssl.create_default_context()
    # OpenSSL has read the file already, but says nothing when it cannot
    try:
        context.load_verify_locations(cafile=authorities)
    except OSError as error:
        raise SettingsError(
            f"SSL_CERT_FILE names {authorities}, which cannot be read as certificates", next_step="name a PEM file"
        ) from error
    return context


def _redirect(request: _Request, status: int, location: str) -> _Request:
    """The request that a redirect asks for (RFC 9110 §15.4), without what is not for the new host's eyes."""
    here = mask(request.url)
    advice = "set base_url to the archive's present address"
    try:
        target = request.url.join(URL(location)).with_fragment(None)
    except ValueError as error:
        raise UnexpectedReplyError(f"{here} redirects to what is no URL", next_step=advice) from error
    if not location or target.scheme not in {"http", "https"} or not target.host:
        raise UnexpectedReplyError(f"{here} redirects to nowhere", next_step=advice)
    if request.url.scheme == "https" and target.scheme != "https":
        raise UnexpectedReplyError(f"{here} redirects out of TLS to {mask(target)}", next_step=advice)
    if _is_same_host(request.url, target):
        headers, form = request.headers, request.form
    elif request.form is not None:
        raise UnexpectedReplyError(f"{here} redirects a form to another host, {mask(target)}", next_step=advice)
    else:
        headers, form = {}, None
    if status == 303:
        return _Request(method="GET", url=target, headers=headers)
    return replace(request, url=target, headers=headers, form=form)


def _is_same_host(here: URL, there: URL) -> bool:
    upgraded = here.scheme == "http" and there.scheme == "https" and here.is_default_port() and there.is_default_port()
    return here.host == there.host and (here.origin() == there.origin() or upgraded)


def mask(url: URL) -> str:
    """The URL for a message, without user and password and without the values of parameters that name a secret.

    A redirect may hold a secret of this process under any name: those are masked too.
    """
    secret_names = {name for name in url.query if any(word in name.lower() for word in ("key", "token", "pass", "secret"))}
    shown = url.with_user(None) if url.host else url
    return redact(str(shown.update_query(dict.fromkeys(secret_names, "***")) if secret_names else shown))


_UNREACHABLE: Final[tuple[tuple[type[Exception], str, str | None], ...]] = (
    (aiohttp.ClientConnectorDNSError, "the name of the host cannot be resolved", "check base_url and the network"),
    (
        aiohttp.ClientConnectorCertificateError,
        "the certificate of the host is not trusted",
        "if your network inspects TLS, set SSL_CERT_FILE to its certificate authority",
    ),
    (ssl.SSLError, "no TLS connection to the host", "check base_url and the network"),
    (aiohttp.ServerFingerprintMismatch, "the certificate of the host is not the one expected", None),
    (aiohttp.ClientProxyConnectionError, "the proxy cannot be reached", "check HTTP_PROXY and HTTPS_PROXY"),
    (aiohttp.ClientHttpProxyError, "the proxy refuses the connection", "check HTTP_PROXY and HTTPS_PROXY"),
    (aiohttp.ConnectionTimeoutError, "no connection in time", "check base_url and the network"),
    (TimeoutError, "no answer in time", None),
    (aiohttp.ServerDisconnectedError, "the connection ended before an answer came", None),
    (ConnectionResetError, "the connection was reset before an answer came", None),
    (aiohttp.ClientConnectorError, "no connection to the host", "check base_url and the network"),
    (aiohttp.ClientPayloadError, "the connection ended before an answer came", None),
    (aiohttp.ClientConnectionError, "the connection failed before an answer came", None),
    (OSError, "the connection failed before an answer came", None),
)
"""What went wrong before status and headers came, the most special class first: class, sentence, what to do."""


def translate(error: Exception, url: str, *, body_began: bool) -> TciadError:
    """Our error for one of FOREIGN_ERRORS; the only place that knows both families. Raise it `from` the foreign one.

    Args:
        error: what aiohttp or the socket raised.
        url: where it happened, masked.
        body_began: whether status and headers had come.
    """
    if body_began:
        if isinstance(error, TimeoutError):
            return StalledTransferError(f"{url} stopped sending")
        return CutTransferError(f"{url}: the connection ended before the body did")
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        # no fault of the archive: no series may pay for it with its attempts
        return LibraryError(
            f"no connection can be opened: {error.strerror}", next_step="raise the limit of open files (ulimit -n)"
        )
    for family, sentence, next_step in _UNREACHABLE:
        if isinstance(error, family):
            return ArchiveUnreachableError(f"{url}: {sentence}{_reason(error)}", next_step=next_step)
    if type(error) is aiohttp.ClientResponseError or isinstance(error, HttpProcessingError):
        # one byte changed on its way is enough for this, so it is not final
        return ArchiveFaultError(f"{url}: the answer is not sound HTTP", next_step="check base_url if this lasts")
    return UnexpectedReplyError(f"{url}: no such address can be asked ({type(error).__name__})", next_step="check base_url")


def _reason(error: Exception) -> str:
    """What the system said, in brackets; the text of aiohttp's own errors is for programmers and stays in `__cause__`."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f" ({error.status})"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f" ({getattr(error.certificate_error, 'verify_message', 'unknown reason')})"
    strerror = error.strerror if isinstance(error, OSError) else None
    return f" ({strerror})" if strerror else ""
