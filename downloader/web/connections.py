"""Which connections the server keeps open: few enough that library, store and archives always find a free file descriptor."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

_SHARE_OF_OPEN_FILES: Final = 4
_FEWEST: Final = 8
_MOST: Final = 512
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_log = structlog.get_logger(__name__)
MakeProtocol = Callable[[], asyncio.Protocol]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections there may be, and how long one may take to ask.

    Attributes:
        most: open at once.
        reserved: further ones that only loopback addresses get, for health checks.
        most_per_address: open at once from one remote address; loopback addresses share no such limit, since proxies use them.
        request_seconds: from the first byte of a request, or from the connection's start, until all of it has come.
        idle_seconds: between two requests.
    """

    most: int
    reserved: int = 8
    most_per_address: int
    request_seconds: float = 15.0
    idle_seconds: float = 75.0

    @property
    def backlog(self) -> int:
        """Connections that the system holds ready; the loop takes as many at once, each of which is an open file at first."""
        return min(128, max(_FEWEST, self.most // 4))


def limits_for(open_files: int) -> ConnectionLimits:
    """The limits for a process with this limit of open files."""
    most = max(_FEWEST, min(_MOST, open_files // _SHARE_OF_OPEN_FILES))
    return ConnectionLimits(most=most, most_per_address=max(_FEWEST, most // 2))


class Connections:
    """The open connections of one server.

    A connection whose request is not granted yet holds a place only until another one needs it: then the one that has waited
    longest is closed. So connections that never ask cannot keep out those that do.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._waiting: dict[asyncio.BaseTransport, _Connection] = {}
        self._by_address: Counter[str] = Counter()
        self._is_full = False

    def protocol(self, make_inner: MakeProtocol) -> asyncio.Protocol:
        """A protocol for a connection that was accepted; `make_inner` makes the one that serves it, if it is admitted."""
        return _Connection(self, make_inner)

    def grant(self, transport: asyncio.BaseTransport | None) -> None:
        """The request of this connection is answered now: it may take as long as that takes."""
        if transport is not None and transport in self._open:
            self._waiting.pop(transport, None)
            self._open[transport].expect_nothing()

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """The connection waits for its next request."""
        if transport is not None and transport in self._open:
            self._open[transport].expect_nothing()
            self._waiting.pop(transport, None)
            self._waiting[transport] = self._open[transport]

    def is_waiting(self, transport: asyncio.BaseTransport) -> bool:
        """Whether the connection has no request that is granted."""
        return transport in self._waiting

    def admit(self, connection: "_Connection", transport: asyncio.Transport) -> bool:
        """Whether there is a place for the new connection."""
        is_loopback = _is_loopback(connection.address)
        if not is_loopback and self._by_address[connection.address] >= self.limits.most_per_address:
            self._make_place(connection.address)
        most = self.limits.most + (self.limits.reserved if is_loopback else 0)
        if len(self._open) >= most:
            self._make_place(None)
        is_too_many = not is_loopback and self._by_address[connection.address] >= self.limits.most_per_address
        if is_too_many or len(self._open) >= most:
            self._log_full(connection.address)
            return False
        self._open[transport] = self._waiting[transport] = connection
        self._by_address[connection.address] += 1
        return True

    def forget(self, transport: asyncio.BaseTransport) -> None:
        """The connection is closed, or about to be."""
        connection = self._open.pop(transport, None)
        self._waiting.pop(transport, None)
        if connection is None:
            return
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]
        if len(self._open) < self.limits.most // 2:
            self._is_full = False

    def _make_place(self, address: str | None) -> None:
        """Close the connection, of that address or of any, that has waited longest for a request to be granted."""
        waiting = (transport for transport, each in self._waiting.items() if address in {None, each.address})
        transport = next(waiting, None)
        if transport is not None:
            self._waiting[transport].abort()
            self.forget(transport)

    def _log_full(self, address: str) -> None:
        """Once, until half of the places are free again: many are refused when any is."""
        if not self._is_full:
            self._is_full = True
            _log.warning("connection refused", remote=address, open_connections=len(self._open), most=self.limits.most)


class _Connection(asyncio.Protocol):
    """Stands before aiohttp's own protocol, and hands on everything once the connection is admitted."""

    def __init__(self, connections: Connections, make_inner: MakeProtocol) -> None:
        self._connections = connections
        self._make_inner = make_inner
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        if not isinstance(transport, asyncio.Transport):
            transport.close()
            return
        peer = transport.get_extra_info("peername")
        self._transport, self.address = transport, str(peer[0]) if peer else ""
        if not self._connections.admit(self, transport):
            transport.write(_FULL)
            transport.close()
            return
        self._expect_request()
        self._inner = self._make_inner()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._inner is not None and self._transport is not None:
            if self._timer is None and self._connections.is_waiting(self._transport):
                self._expect_request()
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """See asyncio."""
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        """See asyncio."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio."""
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.expect_nothing()
        if self._transport is not None:
            self._connections.forget(self._transport)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def expect_nothing(self) -> None:
        """No request is under way whose end has to come in time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        """Close the connection, whatever is still to be sent."""
        if self._transport is not None:
            self._transport.abort()

    def _expect_request(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._connections.limits.request_seconds, self.abort)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback
