"""Sends replies: bodies are made in worker threads, a batch at a time, as fast as the client takes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread
from aiohttp import web

from downloader.sandbox.faults import Family, Fault, FaultKind
from downloader.sandbox.images import Buffer
from downloader.sandbox.replies import Reply

# Jersey holds back this much before it commits to chunks; a body that fits gets a Content-Length
# (docs/archives.md#download-headers).
_HELD_BACK_BYTES: Final = 8192
_BATCH_BYTES: Final = 256 * 1024


class StallGate:
    """Where stalled replies wait. They go on when the gate is opened, and end when their client leaves."""

    def __init__(self) -> None:
        self._opened = anyio.Event()
        self._arrival = anyio.Event()
        self._waiting = 0

    async def wait(self) -> None:
        """Stand still until the gate is opened."""
        self._waiting += 1
        self._arrival.set()
        self._arrival = anyio.Event()
        try:
            await self._opened.wait()
        finally:
            self._waiting -= 1

    async def wait_for(self, replies: int) -> None:
        """Return as soon as this many responses are stalled."""
        while self._waiting < replies:
            await self._arrival.wait()

    def open(self) -> None:
        """Release all that wait now; later ones wait for the next release."""
        self._opened.set()
        self._opened = anyio.Event()


@dataclass(slots=True)
class _Body:
    """Writes the body of one response and does to its bytes what a fault says."""

    request: web.Request
    response: web.StreamResponse
    fault: Fault | None
    gate: StallGate
    sent_bytes: int = 0
    ended: bool = False

    async def write(self, data: bytes) -> None:
        fault = self.fault
        place = None if fault is None or fault.at_bytes is None else fault.at_bytes - self.sent_bytes
        if fault is None:
            await self._send(data)
        elif fault.kind is FaultKind.DRIP:
            await self._drip(data, fault)
        elif place is None or place > len(data) or (place == len(data) and fault.kind is FaultKind.FLIPPED_BYTE):
            await self._send(data)
        else:
            await self._strike(data, max(place, 0), fault)

    async def _strike(self, data: bytes, place: int, fault: Fault) -> None:
        """The fault strikes within this data."""
        if fault.kind is FaultKind.FLIPPED_BYTE:
            self.fault = None
            await self._send(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
            return
        await self._send(data[:place])
        if fault.kind is FaultKind.STALL:
            self.fault = None
            await self.gate.wait()
            await self._send(data[place:])
            return
        self.ended = True
        if fault.kind is FaultKind.CUT and self.request.transport is not None:
            # Close, not abort: what was sent arrives, and then the line is dead without the last chunk.
            self.request.transport.close()

    async def _drip(self, data: bytes, fault: Fault) -> None:
        step = fault.size_bytes or 1
        for start in range(0, len(data), step):
            await anyio.sleep(fault.delay_seconds or 0)
            await self._send(data[start : start + step])

    async def _send(self, data: bytes) -> None:
        if data:
            await self.response.write(data)
            self.sent_bytes += len(data)


async def send(request: web.Request, reply: Reply, fault: Fault | None, gate: StallGate) -> web.StreamResponse:
    """Send a reply. Of faults only those of the body are looked at.

    HEAD runs through the whole body and throws it away, as the archive does (docs/archives.md#download-headers).
    """
    fault = fault if fault and fault.family is Family.BODY else None
    if fault and fault.kind is FaultKind.STALL and fault.at_bytes is None:
        await gate.wait()
    chunks = iter(reply.chunks)
    if request.method == "HEAD":
        await anyio.to_thread.run_sync(_exhaust, chunks)
        return web.Response(status=reply.status, headers=reply.headers)
    first = await anyio.to_thread.run_sync(_batch, chunks)
    length = reply.content_bytes
    if length is None and len(first) < _HELD_BACK_BYTES:
        length = len(first)
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if not fault:
        response.content_length = length
    await response.prepare(request)
    body = _Body(request, response, fault, gate)
    await body.write(first)
    while not body.ended and len(first) >= _BATCH_BYTES:
        first = await anyio.to_thread.run_sync(_batch, chunks)
        await body.write(first)
    return response


def _batch(chunks: Iterator[Buffer]) -> bytes:
    """The next batch of the body; one that is not full is the last."""
    batch = bytearray()
    for chunk in chunks:
        batch += chunk
        if len(batch) >= _BATCH_BYTES:
            break
    return bytes(batch)


def _exhaust(chunks: Iterator[Buffer]) -> None:
    for _ in chunks:
        pass
