"""What the transport gives of sound replies, and what it sends."""

import pytest

from downloader.clock import SystemClock
from downloader.errors import SettingsError
from downloader.transport.client import TransportSettings, open_transport
from tests.transport.raw_server import CHUNKED, chunk, reply, serve_raw

pytestmark = pytest.mark.anyio


async def test_a_reply_has_status_headers_and_text() -> None:
    """Any status is a reply; headers are found in any case."""
    async with (
        serve_raw(lambda _: reply(b"caf\xc3\xa9", status="404 Not Found", headers=["Retry-After: 7"])) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        assert answer.status == 404
        assert answer.headers["retry-after"] == "7"
        assert await answer.text(100) == "café"


async def test_text_stops_at_its_limit() -> None:
    """Of a long body only the beginning is read, and bytes that are no UTF-8 are replaced."""
    async with (
        serve_raw(lambda _: reply(b"\xff" + b"x" * 1_000_000)) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        assert await answer.text(4) == "\ufffdxxx"


async def test_batches_hold_at_least_what_was_asked_but_the_last() -> None:
    """Concatenated batches are the body; each but the last reaches the minimum; the bytes are counted."""
    body = bytes(range(256)) * 4096
    async with (
        serve_raw(lambda _: [CHUNKED, *(chunk(body[n : n + 9_000]) for n in range(0, len(body), 9_000)), b"0\r\n\r\n"]) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        batches = [b"".join(batch) async for batch in answer.batches(min_bytes=100_000)]
        assert b"".join(batches) == body
        assert all(len(batch) >= 100_000 for batch in batches[:-1])
        assert answer.received_bytes == len(body)


async def test_chunks_are_never_larger_than_asked() -> None:
    """A parser that must not hold the loop for long gets small pieces."""
    body = b"z" * 300_000
    async with (
        serve_raw(lambda _: reply(body)) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        pieces = [piece async for piece in answer.chunks(max_bytes=1_000)]
        assert b"".join(pieces) == body
        assert max(map(len, pieces)) == 1_000


async def test_requests_say_who_asks_and_accept_anything_uncompressed() -> None:
    """Accept is `*/*` since anything else risks a 406 (docs/archives.md#reply-formats)."""
    async with (
        serve_raw(lambda _: reply()) as server,
        open_transport(TransportSettings(user_agent="tciad/test"), SystemClock()) as transport,
        transport.get(server.url, headers={"api_key": "k"}),
    ):
        head = server.requests[0].lower()
        assert "\r\naccept: */*\r\n" in head
        assert "\r\naccept-encoding: identity\r\n" in head
        assert "\r\nuser-agent: tciad/test\r\n" in head
        assert "\r\napi_key: k\r\n" in head


async def test_parameters_are_sent_to_the_letter() -> None:
    """Blanks at the end, quotes, signs and letters beyond ASCII reach the archive as they are (trap 25)."""
    async with (
        serve_raw(lambda _: reply()) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(f"{server.url}/q", params={"A": "a+b %&=/é ", "B": '"x"'}),
    ):
        assert server.requests[0].startswith("GET /q?A=a%2Bb+%25%26%3D/%C3%A9+&B=%22x%22 HTTP/1.1")


async def test_a_form_is_posted_urlencoded() -> None:
    """POST bodies are forms."""
    async with (
        serve_raw(lambda _: reply()) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.post_form(f"{server.url}/q", form={"list": "1.2,1.3", "format": "json"}),
    ):
        assert server.requests[0].startswith("POST /q HTTP/1.1")
        assert "application/x-www-form-urlencoded" in server.requests[0]
        assert server.requests[0].endswith("\r\n\r\nlist=1.2%2C1.3&format=json")


async def test_the_connection_limit_queues_requests() -> None:
    """With one connection allowed, the next request is sent when the first reply is left."""
    async with (
        serve_raw(lambda _: reply(b"x")) as server,
        open_transport(TransportSettings(max_connections=1), SystemClock()) as transport,
    ):
        for _ in range(3):
            async with transport.get(server.url) as answer:
                assert await answer.text(10) == "x"
        assert len(server.requests) == 3


@pytest.mark.parametrize("name", ["connect_seconds", "first_byte_seconds", "idle_seconds", "rate_window_seconds"])
def test_time_outs_of_nothing_are_refused(name: str) -> None:
    """Zero would mean for ever to some and at once to others."""
    with pytest.raises(SettingsError, match=name):
        TransportSettings(**{name: 0.0})  # type: ignore[arg-type]  # the name is a parameter of the test
