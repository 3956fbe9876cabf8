"""A server on a real socket that says word for word what the test wrote, which no sound HTTP library would."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

HOLD = b""
"""In place of bytes: say nothing more, and keep the connection until the client leaves."""


@dataclass
class RawServer:
    """`requests` are the requests so far, head and form as text; `port` is where it listens."""

    scheme: str
    port: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The server's root."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


Script = Callable[[str], Sequence[bytes]]
"""Gives for a request's text what to send, piece by piece; then the connection is closed."""


@asynccontextmanager
async def serve_raw(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Answer every request by the script."""
    server = RawServer(scheme="https" if tls else "http")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            request = await _read_request(reader)
            server.requests.append(request)
            for piece in script(request):
                if piece == HOLD:
                    await reader.read()
                writer.write(piece)
                await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


async def _read_request(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return (head + await reader.readexactly(length)).decode()


def reply(body: bytes = b"", *, status: str = "200 OK", headers: Sequence[str] = ()) -> list[bytes]:
    """A whole reply with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ["\r\n".join(lines).encode() + b"\r\n\r\n" + body]


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def chunk(body: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(body), body)
