"""Addresses of this machine and of private networks: no public archive has a reason to redirect there."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

_NAT64: Final = ip_network("64:ff9b::/96")


def is_private(address: str) -> bool:
    """Whether an IP address is no public one: loopback, private, link-local, or of another special use (RFC 6890)."""
    return not _reached(ip_address(address.partition("%")[0])).is_global


def is_link_local(address: str) -> bool:
    """Whether an IP address is that of a neighbour on the line, as the services are that give a cloud machine its credentials."""
    return _reached(ip_address(address.partition("%")[0])).is_link_local


def _reached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address within an address: IPv4 in IPv6 in its several forms."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


class PrivateAddressError(OSError):
    """A name leads to an address that is not to be asked."""


class KnowingResolver(AbstractResolver):
    """Resolves as another does, and remembers which hosts have private addresses."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver
        self._addresses: dict[str, tuple[str, ...]] = {}

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """See aiohttp."""
        found = await self._resolver.resolve(host, port, family)  # type: ignore[arg-type]  # aiohttp's own enumeration
        if len(self._addresses) < 1000:
            self._addresses[host] = tuple(result["host"] for result in found)
        return found

    def addresses(self, url: URL) -> tuple[str, ...]:
        """What the host of a URL that was asked turned out to be; nothing where a proxy knows."""
        host = url.host or ""
        try:
            return (str(ip_address(host)),)
        except ValueError:
            return self._addresses.get(host, ())

    async def close(self) -> None:
        """See aiohttp."""
        await self._resolver.close()


class PublicResolver(AbstractResolver):
    """Resolves as another does, and refuses names that lead to a private address."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """See aiohttp. Raises PrivateAddressError."""
        found = await self._resolver.resolve(host, port, family)  # type: ignore[arg-type]  # aiohttp's own enumeration
        if any(is_private(result["host"]) for result in found):
            raise PrivateAddressError(f"{host} resolves to a private address")
        return found

    async def close(self) -> None:
        """See aiohttp."""
        await self._resolver.close()
