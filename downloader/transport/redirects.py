"""The request that follows a redirect (RFC 9110 §15.4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from yarl import URL

from downloader.errors import UnexpectedReplyError
from downloader.transport.errors import PRIVATE_ADVICE, mask
from downloader.transport.private_addresses import is_link_local, is_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. `headers` are those of the caller, which may contain credentials; `form` is the body of a POST."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for (RFC 9110 §15.4), without credentials if the host is another one."""
    here = mask(request.url)
    advice = "set base_url to the archive's current address"
    try:
        target = request.url.join(URL(location)).with_fragment(None)
    except ValueError as error:
        raise UnexpectedReplyError(f"{here} redirects to an invalid URL", next_step=advice) from error
    if not location or target.scheme not in {"http", "https"} or not target.host:
        raise UnexpectedReplyError(f"{here} redirects without a valid HTTP address", next_step=advice)
    if request.url.scheme == "https" and target.scheme != "https":
        raise UnexpectedReplyError(f"{here} redirects from TLS to the unencrypted {mask(target)}", next_step=advice)
    if _is_same_host(request.url, target):
        headers, form = request.headers, request.form
    elif request.form is not None:
        raise UnexpectedReplyError(f"{here} redirects a form to another host ({mask(target)})", next_step=advice)
    else:
        headers, form = {}, None
    if status == 303:
        return Request(method="GET", url=target, headers=headers)
    return replace(request, url=target, headers=headers, form=form)


def _is_same_host(here: URL, there: URL) -> bool:
    upgraded = here.scheme == "http" and there.scheme == "https" and here.is_default_port() and there.is_default_port()
    return here.host == there.host and (here.origin() == there.origin() or upgraded)


def refuse_private(url: URL, *, base_is_private: bool, base_is_link_local: bool) -> None:
    """Refuse a redirect to an address of this machine or its network, unless the archive is there itself.

    Raises:
        UnexpectedReplyError: the host is such an address. Of a name the resolver finds out.
    """
    try:
        address = str(ip_address(url.host or ""))
    except ValueError:
        return
    if (is_private(address) and not base_is_private) or (is_link_local(address) and not base_is_link_local):
        raise UnexpectedReplyError(f"the archive redirects to a private address, {mask(url)}", next_step=PRIVATE_ADVICE)
