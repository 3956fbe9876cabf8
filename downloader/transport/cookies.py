"""Cookies that a host sets when it redirects: gateways before archives set one, and let requests with it pass (RFC 6265).

Kept apart by host and by account: no cookie is sent with the credentials of another account, or to another host.
"""

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from yarl import URL

COOKIE_BYTES_MAX: Final = 4096
COOKIES_MAX: Final = 20
HOSTS_MAX: Final = 64
_SECONDS: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cookie:
    value: str
    path: str
    is_secure: bool


class GateCookies:
    """The cookies of each host, for as long as the process lives: the newest few of the newest few hosts."""

    def __init__(self) -> None:
        self._of_host: OrderedDict[Hashable, dict[str, _Cookie]] = OrderedDict()

    def note(self, url: URL, who: Hashable, set_cookies: Iterable[str]) -> None:
        """Keep what the host of `url` set, in a reply to `who`. Invalid cookies are ignored."""
        for header in set_cookies:
            pair, *attributes = header.split(";")
            name, equals, value = pair.strip().partition("=")
            if not equals or not name or len(header) > COOKIE_BYTES_MAX or not header.isprintable():
                continue
            given = {key.strip().lower(): text.strip() for key, _, text in (part.partition("=") for part in attributes)}
            cookies = self._of_host.setdefault((url.host, who), {})
            self._of_host.move_to_end((url.host, who))
            cookies.pop(name, None)
            max_age = given.get("max-age", "1")
            if _SECONDS.fullmatch(max_age) and int(max_age) > 0:
                path = given.get("path", "")
                path = path if path.startswith("/") else url.path.rpartition("/")[0] or "/"
                cookies[name] = _Cookie(value=value.strip(), path=path, is_secure="secure" in given)
            while len(cookies) > COOKIES_MAX:
                del cookies[next(iter(cookies))]
        while len(self._of_host) > HOSTS_MAX:
            self._of_host.popitem(last=False)

    def header_for(self, url: URL, who: Hashable) -> str:
        """The value of the header Cookie for this host; empty without any. Secure cookies are sent over TLS only."""
        cookies = self._of_host.get((url.host, who), {})
        shown = [
            f"{name}={cookie.value}"
            for name, cookie in cookies.items()
            if (url.scheme == "https" or not cookie.is_secure) and _is_within(url.path, cookie.path)
        ]
        return "; ".join(shown)


def _is_within(path: str, cookie_path: str) -> bool:
    """RFC 6265 §5.1.4."""
    return path == cookie_path or path.startswith(cookie_path if cookie_path.endswith("/") else f"{cookie_path}/")
