"""The page, and the login form for the token."""

from http import HTTPStatus
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from downloader.web.auth import COOKIE, Access, Guard
from downloader.web.responses import refuse

CONTENT_TYPES: Final = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "chart.js": "text/javascript",
    "parts.js": "text/javascript",
    "requests.js": "text/javascript",
}
_PROBLEM: Final = "<!-- problem -->"
_FORM: Final = "application/x-www-form-urlencoded"


class Pages:
    """Routes of the page, the login form and their files."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        folder = files("downloader.web.page")
        self._files = {name: (folder / name).read_text("utf-8") for name in ("page.html", "login.html", *CONTENT_TYPES)}

    async def respond_page(self, request: web.Request) -> web.Response:
        """The page, or the form."""
        access = self._guard.access_of(request)
        return _page(self._files["page.html"]) if access is Access.GRANTED else self._ask_for_token(request, access)

    async def respond_file(self, name: str, request: web.Request) -> web.Response:  # noqa: ARG002
        """What belongs to the page."""
        return web.Response(text=self._files[name], content_type=CONTENT_TYPES[name], charset="utf-8")

    async def log_in(self, request: web.Request) -> web.Response:
        """Check the token of the form, and set the cookie if it is right."""
        try:
            token = await _read_token(request)
        except (ValueError, web.RequestPayloadError):
            return refuse(HTTPStatus.BAD_REQUEST, "the form is not valid", f"send token=… as {_FORM}")
        access = self._guard.access_by(token, request)
        if access is not Access.GRANTED:
            return self._ask_for_token(request, access, "Wrong token.")
        reply = web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: "/"})
        reply.set_cookie(COOKIE, self._guard.session, httponly=True, samesite="Strict", secure=request.secure, path="/")
        return reply

    def _ask_for_token(self, request: web.Request, access: Access, problem: str = "") -> web.Response:
        if access is not Access.SLOWED:
            return self._form(problem, HTTPStatus.UNAUTHORIZED)
        seconds = self._guard.retry_after(request)
        form = self._form(f"Too many wrong tokens: retry in {seconds} s.", HTTPStatus.TOO_MANY_REQUESTS)
        form.headers[hdrs.RETRY_AFTER] = seconds
        return form

    def _form(self, problem: str, status: HTTPStatus) -> web.Response:
        told = f'<p class="bad" role="alert">{problem}</p>' if problem else ""
        return _page(self._files["login.html"].replace(_PROBLEM, told), status)


async def _read_token(request: web.Request) -> str:
    """What the form holds, read without the parts that aiohttp has for uploads.

    Raises:
        ValueError, RequestPayloadError: the body is not a valid form.
    """
    if request.content_type != _FORM or request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise ValueError
    body = await request.read()
    fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8)
    (token,) = fields.get("token", [""])
    return token.strip()


def _page(text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
