"""Who may ask: hosts, origins, the token, and the headers that keep a browser from doing more than the page needs.

Without a token only this machine can ask, and a browser on it asks for many strangers: a page of another site (Origin), or a name
of another site that leads here (Host, DNS rebinding).
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from multidict import CIMultiDict

from downloader.web.address import ListenAddress, is_loopback_host
from downloader.web.replies import refuse

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What may be asked without a token."""

LOGIN_PATHS: Final = frozenset({"/", "/login", "/page/page.css"})
"""What a browser needs in order to be asked for the token."""

COOKIE: Final = "tciad"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Decides about requests. `token` is empty where none is asked for, which only a loopback address may do."""

    address: ListenAddress
    token: str = ""

    @property
    def session(self) -> str:
        """What a browser keeps instead of the token; it opens nothing but this service."""
        return hmac.new(self.token.encode(), b"session", sha256).hexdigest()

    def accepts(self, token: str) -> bool:
        """Whether that is the token. Takes as long for a near miss as for any other."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def knows(self, request: web.Request) -> bool:
        """Whether the request carries the token, or no token is asked for."""
        if not self.token:
            return True
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer" and self.accepts(bearer.strip()):
            return True
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self.session.encode())

    def refusal_of(self, request: web.Request) -> web.Response | None:
        """Why the request is not answered; None for one that is."""
        if not self._is_own_host(request.host):
            return refuse(HTTPStatus.MISDIRECTED_REQUEST, "this service is not called so", "ask by the address it listens on")
        if request.method not in _SAFE_METHODS and not _is_own_origin(request):
            return refuse(HTTPStatus.FORBIDDEN, "pages of other sites may give no orders", "use the page of the service")
        if request.path in OPEN_PATHS or request.path in LOGIN_PATHS or self.knows(request):
            return None
        refusal = refuse(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong", "send Authorization: Bearer <token>")
        refusal.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="tciad"'
        return refusal

    def _is_own_host(self, host: str) -> bool:
        """Any name may lead to a public address; whoever asks there has to have the token."""
        if not self.address.is_loopback:
            return True
        name = urlsplit(f"//{host}").hostname or ""
        return is_loopback_host(name) or name == self.address.host.lower()


def _is_own_origin(request: web.Request) -> bool:
    """Whether the page that asks is ours; programs that are no browser name none (Fetch, Sec-Fetch-Site)."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE:
        return False
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or urlsplit(origin).netloc == request.host


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001 - as aiohttp calls it
    """Tell browsers to be strict; for every reply, refusals too."""
    response.headers.update(CIMultiDict(_HEADERS))
