"""A small TCP proxy between client and sandbox, which does to the bytes on the line what a bad network does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit


class Harm(StrEnum):
    """What happens to a reply once this many of its bytes have passed."""

    CUT = "cut"
    RESET = "reset"
    CORRUPT = "corrupt"
    BLACKHOLE = "blackhole"
    DELAY = "delay"


@dataclass(frozen=True, slots=True)
class LineFault:
    """`at_bytes` counts the reply from its status line on. It strikes one reply to a request that holds `request`."""

    harm: Harm
    at_bytes: int = 0
    request: bytes = b"/getImage?"


@dataclass(slots=True)
class Proxy:
    """`faults` are taken in their order, each once; `rewrite` changes requests on their way."""

    base_url: str = ""
    faults: list[LineFault] = field(default_factory=list)
    rewrite: Callable[[bytes], bytes] = bytes
    refusals: int = 0
    struck: int = 0

    def fault_for(self, request: bytes) -> LineFault | None:
        """The fault that this request's reply will meet."""
        for fault in self.faults:
            if fault.request in request:
                self.faults.remove(fault)
                self.struck += 1
                return fault
        return None


@dataclass(slots=True)
class _Line:
    """One connection of the client, and the one that belongs to it on the other side."""

    proxy: Proxy
    client: asyncio.StreamWriter
    fault: LineFault | None = None
    passed_bytes: int = 0

    async def send(self, data: bytes) -> bool:
        """Pass on what the archive sent; false when the line is dead."""
        fault = self.fault
        here = -1 if fault is None else fault.at_bytes - self.passed_bytes
        self.passed_bytes += len(data)
        if fault is None or not here < len(data):
            self.client.write(data)
            await self.client.drain()
            return True
        self.fault = None
        here = max(here, 0)
        match fault.harm:
            case Harm.CORRUPT:
                self.client.write(data[:here] + bytes([data[here] ^ 0x15]) + data[here + 1 :])
            case Harm.DELAY:
                self.client.write(data[:here])
                await asyncio.sleep(0.05)
                self.client.write(data[here:])
            case _:
                self.client.write(data[:here])
                return await self._end(fault.harm)
        await self.client.drain()
        return True

    async def _end(self, harm: Harm) -> bool:
        with suppress(ConnectionError):
            await self.client.drain()
        if harm is Harm.BLACKHOLE:
            await asyncio.Event().wait()
        if harm is Harm.RESET:
            self.client.transport.abort()
        return False


@asynccontextmanager
async def serve_proxy(base_url: str) -> AsyncIterator[Proxy]:
    """Stand between a client and the sandbox at `base_url` for as long as the context lasts."""
    target = urlsplit(base_url)
    proxy = Proxy()
    lines: set[asyncio.Task[None]] = set()

    async def pass_requests(reader: asyncio.StreamReader, archive: asyncio.StreamWriter, line: _Line) -> None:
        while data := await reader.read(65536):
            fault = proxy.fault_for(data)
            if fault:
                line.fault, line.passed_bytes = fault, 0
            archive.write(proxy.rewrite(data))
            await archive.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if proxy.refusals:
            proxy.refusals -= 1
            writer.transport.abort()
            return
        from_archive, to_archive = await asyncio.open_connection(target.hostname, target.port)
        line = _Line(proxy, writer)
        requests = asyncio.create_task(pass_requests(reader, to_archive, line))
        try:
            while (data := await from_archive.read(65536)) and await line.send(data):
                pass
        except ConnectionError:
            pass
        finally:
            requests.cancel()
            await asyncio.wait([requests])
            writer.close()
            to_archive.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        lines.add(task)
        task.add_done_callback(lines.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    proxy.base_url = f"http://127.0.0.1:{port}{target.path}"
    try:
        yield proxy
    finally:
        listener.close()
        running = list(lines)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
