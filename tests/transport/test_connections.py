"""A connection answers what was asked on it, and nothing else: what comes unasked ends it and is never taken for an answer."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import ServerDisconnectedError

from downloader.clock import SystemClock
from downloader.errors import ArchiveFaultError, ArchiveUnreachableError, CutTransferError
from downloader.transport.client import Transport, TransportSettings, open_transport
from downloader.transport.connections import MOST_INTERIM_REPLIES, AskedOnly

pytestmark = pytest.mark.anyio


def kept(body: str) -> bytes:
    """A whole reply that leaves the connection open."""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Line:
    """One connection, as the server sees it; `number` counts from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer

    async def request(self) -> str:
        """The path of the next request."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        return head.split()[1].decode()

    async def send(self, content: bytes) -> None:
        """Send these bytes now."""
        self._writer.write(content)
        await self._writer.drain()

    async def answer_all(self) -> None:
        """Answer each request with its own path."""
        while True:
            await self.send(kept(await self.request()))


class Server:
    """Plays one script for each connection."""

    url = ""
    lines = 0


@asynccontextmanager
async def serving(play: Callable[[Line], Awaitable[None]]) -> AsyncIterator[tuple[Server, Transport]]:
    """The server and a client."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.lines += 1
        try:
            await play(Line(server.lines, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener, open_transport(TransportSettings(), SystemClock()) as transport:
        yield server, transport
    for task in list(tasks):
        task.cancel()


async def ask(transport: Transport, url: str) -> str:
    """The whole answer."""
    async with transport.get(url) as reply:
        return await reply.text(1000)


async def test_a_sound_connection_is_used_again() -> None:
    """The look at the socket costs no connection."""
    async with serving(Line.answer_all) as (server, transport):
        for path in ("/a", "/b", "/c"):
            assert await ask(transport, f"{server.url}{path}") == path
        assert server.lines == 1


async def test_two_replies_to_one_request_are_both_refused() -> None:
    """They came together, so nothing tells which of them is the answer; the next request has a connection of its own."""

    async def play(line: Line) -> None:
        if line.number > 1:
            await line.answer_all()
        await line.request()
        await line.send(kept("one") + kept("two"))
        await line.request()

    async with serving(play) as (server, transport):
        with pytest.raises((CutTransferError, ArchiveUnreachableError)):
            await ask(transport, f"{server.url}/a")
        assert await ask(transport, f"{server.url}/b") == "/b"
        assert server.lines == 2


@pytest.mark.parametrize("late", [kept("stray"), b"HTTP/1.1 200 OK\r\nContent-Le", b"\r\n", b"x"])
async def test_what_comes_late_is_not_the_answer_to_the_next_request(late: bytes) -> None:
    """It lies in the socket, unread, when the next request is about to be sent: the event loop had no turn in between."""
    answered, sent = asyncio.Event(), asyncio.Event()

    async def play(line: Line) -> None:
        if line.number > 1:
            await line.answer_all()
        await line.send(kept(await line.request()))
        await answered.wait()
        await line.send(late)
        sent.set()
        await line.request()

    async with serving(play) as (server, transport):
        assert await ask(transport, f"{server.url}/a") == "/a"
        answered.set()
        await sent.wait()
        assert await ask(transport, f"{server.url}/b") == "/b"
        assert server.lines == 2


async def test_what_was_read_on_an_idle_connection_ends_it() -> None:
    """The same where the event loop had its turn: the client hangs up by itself, and the server sees it."""
    answered, gone = asyncio.Event(), asyncio.Event()

    async def play(line: Line) -> None:
        if line.number > 1:
            await line.answer_all()
        await line.send(kept(await line.request()))
        await answered.wait()
        await line.send(kept("stray"))
        try:
            await line.request()
        finally:
            gone.set()

    async with serving(play) as (server, transport):
        assert await ask(transport, f"{server.url}/a") == "/a"
        answered.set()
        async with asyncio.timeout(20):
            await gone.wait()
        assert await ask(transport, f"{server.url}/b") == "/b"
        assert server.lines == 2


async def test_a_second_reply_behind_the_end_of_a_long_one() -> None:
    """Its beginning comes in one piece with the end of the body that is being read."""
    read_head = asyncio.Event()

    async def play(line: Line) -> None:
        if line.number > 1:
            await line.answer_all()
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await read_head.wait()
        await line.send(b"body" + kept("stray"))
        await line.request()

    async with serving(play) as (server, transport):
        async with transport.get(f"{server.url}/a") as reply:
            read_head.set()
            with pytest.raises(CutTransferError):
                await reply.text(1000)
        assert await ask(transport, f"{server.url}/b") == "/b"
        assert server.lines == 2


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_reply_before_the_first_request_is_no_answer(is_read: bool) -> None:
    """Whether the event loop has read it yet or not: the request then fails, and goes over another connection."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        _, line = await loop.create_connection(lambda: AskedOnly(loop), sock=ours)
        closed = line.closed
        assert closed is not None
        assert not line.has_unasked_bytes()
        theirs.sendall(kept("early"))
        if is_read:
            await loop.sock_recv(theirs, 1)  # which ends when the client hangs up
        line.set_response_params()
        with pytest.raises(ServerDisconnectedError):
            await line.read()
        await closed


async def test_interim_replies_are_passed_over() -> None:
    """As many as a server may have reason for."""

    async def play(line: Line) -> None:
        path = await line.request()
        await line.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * MOST_INTERIM_REPLIES + kept(path))
        await line.answer_all()

    async with serving(play) as (server, transport):
        for path in ("/a", "/b"):
            assert await ask(transport, f"{server.url}{path}") == path
        assert server.lines == 1


async def test_interim_replies_without_end_are_a_fault() -> None:
    """By their number: they would keep the request waiting for as long as they come."""

    async def play(line: Line) -> None:
        await line.request()
        while True:
            await line.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    async with serving(play) as (server, transport):
        with pytest.raises(ArchiveFaultError, match="not valid HTTP"):
            await ask(transport, f"{server.url}/a")
