"""Which HTTP proxy the environment names for a URL."""

from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.request import proxy_bypass

from yarl import URL

from downloader.errors import SettingsError
from downloader.redaction import register_secrets


def choose_proxy(url: URL, proxies: Mapping[str, str]) -> tuple[URL | None, dict[str, str]]:
    """The proxy for this URL and the headers that only the proxy may see, from an environment as urllib reads it.

    Requests to this machine never use a proxy.

    Raises:
        SettingsError: the proxy's address cannot be used.
    """
    address = proxies.get(url.scheme, "")
    if not address or _is_loopback(url.host or "") or proxy_bypass(f"{url.host}:{url.port}", proxies):
        return None, {}
    return parse_proxy(url.scheme, address)


def parse_proxy(scheme: str, address: str) -> tuple[URL, dict[str, str]]:
    """The proxy that the environment names for URLs of the scheme, and the headers that only the proxy may see.

    Raises:
        SettingsError: the address cannot be used. The error does not contain it, since it may contain a password.
    """
    try:
        proxy = URL(address if "://" in address else f"http://{address}")
    except ValueError:
        # without `from`: the address may hold a password
        proxy = URL()
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise SettingsError(
            f"{scheme.upper()}_PROXY is not the address of an HTTP proxy", next_step="use the form http://host:port"
        )
    if proxy.user is None:
        return proxy, {}
    register_secrets(proxy.password or "", f"{proxy.user}:{proxy.password or ''}")
    credentials = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    # aiohttp sends this on as Proxy-Authorization, with the request or with CONNECT as the scheme needs
    return proxy.with_user(None), {"Authorization": f"Basic {credentials}"}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
