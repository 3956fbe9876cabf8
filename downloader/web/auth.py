"""Access control: hosts, origins, the token, and headers that restrict what a browser may do with the page.

Without a token only this machine has access, but a browser on it also sends requests of other sites: a page of another site
(Origin), or a name of another site that resolves to this machine (Host, DNS rebinding).
"""

import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, hdrs, web
from multidict import CIMultiDict

from downloader.web.address import ListenAddress, is_loopback_host
from downloader.web.responses import refuse
from downloader.web.wrong_tokens import WrongTokens

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Paths that need no token."""

LOGIN_PATHS: Final = frozenset({"/", "/login", "/page/page.css"})
"""Paths that a browser needs to show the login form."""

COOKIE: Final = "tciad"
SHORTEST_TOKEN: Final = 16
"""Characters: 64 bits, if the token is made of random hexadecimal digits."""

_SINGLE_HEADERS: Final = (hdrs.HOST, hdrs.ORIGIN, hdrs.AUTHORIZATION, "Sec-Fetch-Site", hdrs.EXPECT)
_SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # stricter ones make browsers send our own form with Origin: null (Fetch, 3.1)
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "tciad",
}


class Access(StrEnum):
    """What a request may do, by the token that it carries."""

    GRANTED = "granted"
    MISSING = "missing"
    WRONG = "wrong"
    SLOWED = "slowed"
    """Its token is wrong, and its address has sent too many wrong tokens recently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Decides about requests. `token` is empty if none is required, which is allowed on a loopback address only."""

    address: ListenAddress
    wrong_tokens: WrongTokens
    token: str = ""

    @property
    def session(self) -> str:
        """The cookie that a browser keeps instead of the token; it is valid for this service only."""
        return hmac.new(self.token.encode(), b"session", sha256).hexdigest()

    def access_of(self, request: web.BaseRequest) -> Access:
        """What a request may do by the token that its headers carry."""
        if not self.token:
            return Access.GRANTED
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        presented = [(bearer.strip(), self.token)] if scheme.lower() == "bearer" else []
        if cookie := request.cookies.get(COOKIE):
            presented.append((cookie, self.session))
        return self._compare(request, presented)

    def access_by(self, token: str, request: web.BaseRequest) -> Access:
        """What a request may do by a token that its body carries."""
        return self._compare(request, [(token, self.token)])

    def refusal_of(self, request: web.BaseRequest) -> web.Response | None:
        """The refusal of the request; None if it is allowed."""
        if wrong := malformed_part(request):
            return refuse(HTTPStatus.BAD_REQUEST, f"the request is malformed: {wrong}", "see /api/v1/openapi.json")
        if not self._is_own_host(_host_of(request)):
            return refuse(HTTPStatus.MISDIRECTED_REQUEST, "the Host header is not allowed", "use the address that --listen names")
        if request.method not in _SAFE_METHODS and not _is_own_origin(request):
            return refuse(HTTPStatus.FORBIDDEN, "cross-site requests are not allowed", "use the page of the service")
        if request.path in OPEN_PATHS or request.path in LOGIN_PATHS:
            return None
        access = self.access_of(request)
        if access is Access.GRANTED:
            return None
        if access is Access.SLOWED:
            refusal = refuse(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens from this address", "retry later")
            refusal.headers[hdrs.RETRY_AFTER] = self.retry_after(request)
            return refusal
        refusal = refuse(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong", "send Authorization: Bearer <token>")
        refusal.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="tciad"'
        return refusal

    def retry_after(self, request: web.BaseRequest) -> str:
        """Seconds until the address may try a token again (RFC 9110, 10.2.3)."""
        return str(max(1, self.wrong_tokens.wait_seconds(request.remote or "")))

    def _compare(self, request: web.BaseRequest, presented: Sequence[tuple[str, str]]) -> Access:
        """Whether one of the presented secrets is the expected one beside it; a right one is accepted from every address."""
        if not presented:
            return Access.MISSING
        # before the wait: behind a proxy or NAT the holder of the token has the address of those who guess
        matches = [_are_equal(given, expected) for given, expected in presented]
        if any(matches):
            return Access.GRANTED
        remote = request.remote or ""
        if self.wrong_tokens.wait_seconds(remote):
            return Access.SLOWED
        self.wrong_tokens.note(remote)
        return Access.WRONG

    def _is_own_host(self, host: str) -> bool:
        """Any name may resolve to a public address, where clients need the token anyway."""
        if not self.address.is_loopback:
            return True
        name = urlsplit(f"//{host}").hostname or ""
        return is_loopback_host(name) or name == self.address.host.lower()


def malformed_part(request: web.BaseRequest) -> str:
    """The part of the request that violates its standard; empty if none does.

    Only what the service reads is checked. Cookies of other services on the same host are ignored.
    """
    if not _is_visible_ascii(request.raw_path):
        return "its target is not a valid URI"
    if any(_has_control_or_surrogate(text) for pair in request.query.items() for text in pair):
        return "its query contains control characters"
    for name in _SINGLE_HEADERS:
        values = request.headers.getall(name, [])
        if len(values) > 1:
            return f"it has {len(values)} {name} headers"
        if any(map(_has_control_or_surrogate, values)):
            return f"its {name} header contains invalid characters"
    if request.version >= HttpVersion11 and hdrs.HOST not in request.headers:
        return "it has no Host header"
    if not _is_authority(_host_of(request)):
        return "its Host header is not a valid host"
    if not _is_origin(request.headers.get(hdrs.ORIGIN)):
        return "its Origin header is not a valid origin"
    if _has_control_or_surrogate(request.cookies.get(COOKIE, "")):
        return f"its cookie {COOKIE} contains invalid characters"
    return ""


def _host_of(request: web.BaseRequest) -> str:
    return request.headers.get(hdrs.HOST, "")


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= letter <= "~" for letter in text)


def _has_control_or_surrogate(text: str) -> bool:
    return any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text)


def _is_authority(host: str) -> bool:
    """Whether the text is a host, with or without a port; the empty one is (RFC 9112, 3.2)."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return False
    return parts.netloc == host and _is_visible_ascii(host) and "@" not in host


def _is_origin(origin: str | None) -> bool:
    if origin is None or origin == "null":
        return True
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return _is_authority(netloc)


def _is_own_origin(request: web.BaseRequest) -> bool:
    """Whether the request is from our own page; programs other than browsers send no origin (Fetch, Sec-Fetch-Site)."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE:
        return False
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or urlsplit(origin).netloc == _host_of(request)


def _are_equal(given: str, expected: str) -> bool:
    """Takes as long for a near miss as for any other text, of whatever length."""
    return hmac.compare_digest(_digest(given), _digest(expected))


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:  # noqa: ARG001 - as aiohttp calls it
    """Add the security headers; to every reply, refusals too."""
    response.headers.update(CIMultiDict(_HEADERS))
