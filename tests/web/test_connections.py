"""Connections that never ask anything take neither the places of others nor the files of the library."""

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from aiohttp import ClientSession

from downloader.web.connections import limits_for
from tests.waiting import LONGEST_WAIT_SECONDS
from tests.web.scene import LIMITS, TOKEN, served

pytestmark = pytest.mark.anyio
FEW = replace(LIMITS, most=8, most_per_address=4, reserved=2)
SOON = replace(LIMITS, request_seconds=0.05)


@asynccontextmanager
async def idle(port: int, count: int, sent: bytes = b"") -> AsyncIterator[list[socket.socket]]:
    """This many connections that send no more than that."""

    def connect() -> list[socket.socket]:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port), LONGEST_WAIT_SECONDS)) for _ in range(count)]
        for each in sockets:
            each.sendall(sent)
        return sockets

    with ExitStack() as stack:
        yield await anyio.to_thread.run_sync(connect)


def port_of(client: ClientSession) -> int:
    """Where the service listens."""
    assert client._base_url is not None
    assert client._base_url.port is not None
    return client._base_url.port


async def end_of(connection: socket.socket) -> bytes:
    """What came until the service closed the connection."""

    def read() -> bytes:
        received = b""
        try:
            while more := connection.recv(65_536):
                received += more
        except ConnectionResetError:
            pass
        return received

    return await anyio.to_thread.run_sync(read)


LOG_IN = (
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n"
)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HT",
        b"GET / HTTP/1.1\r\nX: y\r\n",
        LOG_IN,
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(sent: bytes, tmp_path: Path) -> None:
    """Neither its head, nor, before the token is known, its body."""
    async with (
        served(tmp_path, runs=False, token=TOKEN, limits=SOON) as http,
        idle(port_of(http.client), 1, sent) as (connection,),
    ):
        assert await end_of(connection) == b""


async def test_a_later_request_of_a_connection_has_to_come_in_time_as_well(tmp_path: Path) -> None:
    """Whatever the first one was."""
    async with (
        served(tmp_path, runs=False, limits=SOON) as http,
        idle(port_of(http.client), 1, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as (connection,),
    ):
        assert await anyio.to_thread.run_sync(connection.recv, 65_536)
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert await end_of(connection) == b""


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    """One that has asked, and asks no more."""
    async with (
        served(tmp_path, runs=False, limits=replace(LIMITS, idle_seconds=0.05)) as http,
        idle(port_of(http.client), 1, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as (connection,),
    ):
        assert (await end_of(connection)).startswith(b"HTTP/1.1 200")


async def test_idle_connections_make_room_for_those_that_ask(tmp_path: Path) -> None:
    """The one that has waited longest goes first; what is asked is answered however many there are."""
    async with served(tmp_path, runs=False, limits=FEW) as http, idle(port_of(http.client), 40) as connections:
        async with http.client.get("/api/v1/status") as reply:
            assert reply.status == 200
        assert await end_of(connections[0]) == b""


async def test_connections_that_are_answered_are_not_closed_for_others(tmp_path: Path) -> None:
    """When all places are taken so, others are refused, and a stream goes on."""
    async with served(tmp_path, runs=False, limits=replace(FEW, reserved=0, most=4)) as http:
        asked = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        async with idle(port_of(http.client), 2, asked) as streams:
            for stream in streams:
                assert await anyio.to_thread.run_sync(stream.recv, 12) == b"HTTP/1.1 200"
            async with idle(port_of(http.client), 30) as others:
                assert await end_of(others[0]) == b""
            for stream in streams:
                assert await anyio.to_thread.run_sync(stream.recv, 10)


@pytest.mark.parametrize(("open_files", "most"), [(64, 16), (256, 64), (1024, 256), (65_536, 512), (8, 8)])
def test_most_files_are_left_to_library_and_store(open_files: int, most: int) -> None:
    """Three of four, but for a few connections that there are always."""
    limits = limits_for(open_files)
    assert limits.most == most
    assert limits.most_per_address <= most
    assert limits.backlog <= max(8, most // 4)
