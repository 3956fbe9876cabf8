"""Limits how often a client may present wrong tokens. The right token is never limited."""

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import structlog

from downloader.clock import Clock

MOST_ADDRESSES: Final = 4_096
_NETWORK_BITS_OF_IPV6: Final = 64
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How many wrong tokens are checked at once, and how many per second after that."""

    burst: int
    per_second: float


PER_ADDRESS: Final = Allowance(burst=10, per_second=0.5)
IN_TOTAL: Final = Allowance(burst=100, per_second=10.0)


@dataclass(slots=True)
class _Count:
    """Wrong tokens that are not forgiven yet; `at_seconds` is when they were counted."""

    allowance: Allowance
    at_seconds: float
    wrong: float = 0.0
    is_told: bool = False

    def at(self, now_seconds: float) -> float:
        return max(0.0, self.wrong - (now_seconds - self.at_seconds) * self.allowance.per_second)

    def add(self, now_seconds: float) -> None:
        self.wrong, self.at_seconds = self.at(now_seconds) + 1, now_seconds

    def wait_seconds(self, now_seconds: float) -> float:
        return max(0.0, (self.at(now_seconds) + 1 - self.allowance.burst) / self.allowance.per_second)


class WrongTokens:
    """Counts wrong tokens by remote address and in total, in bounded memory.

    The right token is accepted always, from addresses that have to wait too: a proxy or NAT gives many clients one address. It
    has at least 16 characters, so that guesses do not find it. The total holds back only addresses that presented a wrong token
    lately.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._total = _Count(IN_TOTAL, clock.monotonic())
        self._by_network: OrderedDict[str, _Count] = OrderedDict()

    def wait_seconds(self, remote: str) -> int:
        """Seconds for which wrong tokens from this address are still refused unchecked; 0 if they are checked."""
        count = self._by_network.get(_network_of(remote))
        now = self._clock.monotonic()
        if count is None or not count.at(now):
            return 0
        return math.ceil(max(count.wait_seconds(now), self._total.wait_seconds(now)))

    def note(self, remote: str) -> None:
        """This address presented a wrong token."""
        now = self._clock.monotonic()
        network = _network_of(remote)
        count = self._by_network.setdefault(network, _Count(PER_ADDRESS, now))
        self._by_network.move_to_end(network)
        count.is_told = count.is_told and count.at(now) > 0
        count.add(now)
        self._total.add(now)
        if len(self._by_network) > MOST_ADDRESSES:
            self._by_network.popitem(last=False)
        if count.wait_seconds(now) and not count.is_told:
            count.is_told = True
            _log.warning("too many wrong tokens", remote=remote, wrong_tokens=PER_ADDRESS.burst)


def _network_of(remote: str) -> str:
    """The address, or the network that one customer of an IPv6 provider has (RFC 6177)."""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if isinstance(address, ipaddress.IPv4Address):
        return remote
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _NETWORK_BITS_OF_IPV6), strict=False))
