"""Connections that are kept for the next request, and only while no unrequested bytes arrived on them.

A reply that comes twice, late, or before its request would be taken for the answer to the next request on the connection: a list
of series for a list of other series (RFC 9112 §9.3 binds replies to requests by nothing but their order). So a connection is
closed as soon as bytes arrive that belong to no request, and its socket is looked at before it is used again.
"""

import functools
import select
from typing import Any, Final

import aiohttp
from aiohttp import client_proto
from aiohttp.client_exceptions import ClientPayloadError, ServerDisconnectedError
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader

MOST_INTERIM_REPLIES: Final = 32
"""1xx replies before the final one; real servers send one or two (RFC 9110 §15.2)."""


class AskedOnly(client_proto.ResponseHandler):
    """The protocol of one connection. It accepts one response for each request and closes the connection on any other data."""

    def __init__(self, loop: Any) -> None:  # noqa: ANN401 - aiohttp's own signature
        super().__init__(loop=loop)
        self._is_new = True
        self._awaits_reply = False
        self._interim_replies = 0
        self._reply_body: StreamReader | None = None

    def has_unasked_bytes(self) -> bool:
        """Whether bytes arrived that belong to no request, or the peer has closed: one system call."""
        if self.transport is None or self.should_close:
            return True
        socket = self.transport.get_extra_info("socket")
        if socket is None or socket.fileno() < 0:
            return True
        waiting = select.poll()
        waiting.register(socket.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - aiohttp's own, many
        """See aiohttp: a request is about to be sent."""
        # used connections were looked at when they were chosen; TLS may have messages of its own waiting on a new one
        if self._is_new and not self._is_tls() and self.has_unasked_bytes():
            self._end(ServerDisconnectedError("response received before its request"))
        self._is_new = False
        self._awaits_reply = True
        self._interim_replies = 0
        self._reply_body = None
        super().set_response_params(**params)

    def _is_tls(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is not None

    def data_received(self, data: bytes) -> None:
        """See aiohttp. Bytes before the first request, or after the end of a reply, belong to nothing."""
        if data and not self._awaits_reply and (self._reply_body is None or self._reply_body.is_eof()):
            self._end(ServerDisconnectedError("response received before its request"))
            return
        super().data_received(data)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """See aiohttp: status and headers came."""
        message, body = data
        if 100 <= message.code < 200:
            self._interim_replies += 1
            if self._interim_replies > MOST_INTERIM_REPLIES:
                self._end(HttpProcessingError(message="too many interim responses"))
                return
        elif self._awaits_reply:
            self._awaits_reply = False
            self._reply_body = body
        else:
            self._refuse_second_reply()
            return
        super().feed_data(data, size)

    def _refuse_second_reply(self) -> None:
        """Two responses to one request: neither is used, because the right one cannot be determined."""
        error = ClientPayloadError("second response to one request")
        if self._reply_body is not None:
            self._reply_body.set_exception(error)
        self._end(error)

    def _end(self, error: Exception) -> None:
        """Close the connection now; a request that waits for its response fails with the error."""
        self.abort()
        # behind `abort`, which forgets it
        self.set_exception(error)


class AskedOnlyConnector(aiohttp.TCPConnector):
    """Keeps connections as aiohttp does, but reuses none that has unread bytes before a request."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of aiohttp.TCPConnector
        super().__init__(**options)
        self._factory = functools.partial(AskedOnly, loop=self._loop)  # type: ignore[assignment]  # a narrower class

    async def _get(self, key: Any, traces: Any) -> Any:  # noqa: ANN401 - aiohttp's own types are private
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            if isinstance(protocol, AskedOnly) and not protocol.has_unasked_bytes():
                return connection
            connection.close()
        return None
