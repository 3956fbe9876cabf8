"""Addresses of this machine and of private networks: no public archive has a reason to redirect there."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

_NAT64: Final = ip_network("64:ff9b::/96")


def is_private(address: str) -> bool:
    """Whether an IP address is not public: loopback, private, link-local, or of another special use (RFC 6890)."""
    return not _reached(ip_address(address.partition("%")[0])).is_global


def is_link_local(address: str) -> bool:
    """Whether an IP address is link-local, as those of the metadata services that give cloud machines credentials."""
    return _reached(ip_address(address.partition("%")[0])).is_link_local


def _reached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address within an address: IPv4 in IPv6 in its several forms."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


class PrivateAddressError(OSError):
    """A name resolves to a private address."""


class KnowingResolver(AbstractResolver):
    """Wraps a resolver, and remembers which hosts have private addresses."""

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
        """Note the address of the host of a requested URL; a proxy resolves names itself."""
        host = url.host or ""
        try:
            return (str(ip_address(host)),)
        except ValueError:
            return self._addresses.get(host, ())

    async def close(self) -> None:
        """See aiohttp."""
        await self._resolver.close()


class PublicResolver(AbstractResolver):
    """Wraps a resolver, and refuses names that resolve to a private address."""

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
