"""A reply, ready to be sent: status, headers, and a body that may be made while it is sent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from downloader.sandbox.images import Buffer

_REASONS: Final[Mapping[int, str]] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes out. `content_bytes` None means that the length is not known, so the body goes in chunks."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterable[Buffer] = ()
    content_bytes: int | None = None

    def with_headers(self, headers: Mapping[str, str]) -> "Reply":
        """The same reply with more headers."""
        return replace(self, headers={**self.headers, **headers})


def whole(content_type: str, text: str | bytes, status: int = 200) -> Reply:
    """A reply whose body is at hand. An empty body has no Content-Type (docs/archives.md#empty-replies)."""
    body = text.encode() if isinstance(text, str) else text
    headers = {"Content-Type": content_type} if body else {}
    return Reply(status=status, headers=headers, chunks=(body,) if body else (), content_bytes=len(body))


def failure(status: int, text: str | None = None, *, content_type: str = "text/html") -> Reply:
    """An error as nginx or Tomcat would word it, or with a text of its own."""
    title = f"{status} {_REASONS.get(status, 'Error')}"
    page = f"<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n<hr>\n</body>\n</html>\n"
    return whole(content_type, page if text is None else text, status)
