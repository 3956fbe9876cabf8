"""The address that the service listens on."""

import ipaddress
from dataclasses import dataclass
from typing import Final

from downloader.errors import SettingsError

DEFAULT_LISTEN: Final = "127.0.0.1:8642"
OFF: Final = "off"
_LOCAL_NAMES: Final = frozenset({"localhost"})
_HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """A host, by name or number and without brackets, and a port; port 0 is any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback_host(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback_host(host: str) -> bool:
    """Whether the host is this machine, and reached without a network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in _LOCAL_NAMES


def parse_listen(text: str, said_by: str) -> ListenAddress:
    """Read `HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        SettingsError: the text is not such an address.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    is_port = port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT
    if not colon or not name or not is_port or (":" in name and not bracketed):
        raise SettingsError(f"{said_by}: {text!r} is not HOST:PORT", next_step=f"use for example {DEFAULT_LISTEN}, or {OFF}")
    return ListenAddress(host=name, port=int(port))
