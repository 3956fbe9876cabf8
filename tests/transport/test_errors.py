"""Every way in which the network fails ends in one of our errors, with the foreign one as its cause."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence

import aiohttp
import anyio
import pytest
from aiohttp.http import HttpProcessingError

from downloader.clock import SystemClock
from downloader.errors import (
    ArchiveError,
    ArchiveFaultError,
    ArchiveUnreachableError,
    CutTransferError,
    StalledTransferError,
    TransferError,
    UnexpectedReplyError,
    Verdict,
)
from downloader.pacing import RateWatch
from downloader.transport.client import BATCH_BYTES, TransportSettings, open_transport
from downloader.transport.errors import translate
from tests.fakes.clock import FakeClock
from tests.transport.raw_server import CHUNKED, HOLD, chunk, reply, serve_raw
from tests.waiting import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.anyio
IMPATIENT = TransportSettings(connect_seconds=0.05, first_byte_seconds=0.05, idle_seconds=0.05)


async def receive(pieces: Sequence[bytes], settings: TransportSettings | None = None) -> bytes:
    """The body of a reply that is exactly these pieces."""
    async with (
        serve_raw(lambda _: pieces) as server,
        open_transport(settings or TransportSettings(), SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        return b"".join([b"".join(batch) async for batch in answer.batches()])


def every_client_error() -> Iterator[type[aiohttp.ClientError]]:
    """All subclasses of aiohttp.ClientError that the installed version has."""
    waiting: list[type[aiohttp.ClientError]] = [aiohttp.ClientError]
    while waiting:
        family = waiting.pop()
        yield family
        waiting.extend(family.__subclasses__())


@pytest.mark.parametrize("family", sorted(set(every_client_error()), key=str))
def test_every_error_of_aiohttp_has_a_translation(family: type[aiohttp.ClientError]) -> None:
    """Before the body an ArchiveError, in it a TransferError; a class that aiohttp grows later is walked here too."""
    error = family.__new__(family)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        error.status = 502
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        error._certificate_error = ssl.SSLCertVerificationError(1, "untrusted")
    before = translate(error, "http://host/", body_began=False)
    assert isinstance(before, ArchiveUnreachableError | ArchiveFaultError | UnexpectedReplyError)
    assert isinstance(before, ArchiveUnreachableError) == (
        isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | aiohttp.ClientHttpProxyError)
    )
    after = translate(error, "http://host/", body_began=True)
    assert type(after) is (StalledTransferError if isinstance(error, TimeoutError) else CutTransferError)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), OSError(5, "x"), ssl.SSLError(1, "bad record")])
def test_every_error_of_the_socket_has_a_translation(error: Exception) -> None:
    """What comes up from below aiohttp is translated by the same table."""
    assert isinstance(translate(error, "http://host/", body_began=False), ArchiveUnreachableError)
    assert isinstance(translate(error, "http://host/", body_began=True), TransferError)


def test_nonsense_has_a_translation() -> None:
    """Bad HTTP may be one byte that changed on its way; a name that cannot be a host's stays so."""
    assert isinstance(translate(HttpProcessingError(), "http://host/", body_began=False), ArchiveFaultError)
    assert isinstance(translate(UnicodeError(), "http://host/", body_began=False), UnexpectedReplyError)


async def test_a_closed_port_is_unreachable() -> None:
    """The system's own words are in the message, aiohttp's error is the cause."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with open_transport(TransportSettings(), SystemClock()) as transport:
        with pytest.raises(ArchiveUnreachableError, match="no connection to the host") as caught:
            async with transport.get(f"http://127.0.0.1:{port}/x"):
                pass
    assert isinstance(caught.value.__cause__, aiohttp.ClientConnectorError)


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".test", "no-such-host.invalid"])
async def test_a_name_without_host_is_an_error_of_ours(host: str) -> None:
    """Names that cannot be, and names that are not."""
    async with open_transport(TransportSettings(), SystemClock()) as transport:
        with pytest.raises(ArchiveError):
            async with transport.get(f"http://{host}/"):
                pass


@pytest.mark.parametrize("url", ["", "archive", "ftp://archive/", "http://", "http://[::1", "http://host:99999/"])
async def test_an_address_that_is_no_url_is_given_up(url: str) -> None:
    """Nothing is retried that only a new base_url can mend."""
    async with open_transport(TransportSettings(), SystemClock()) as transport:
        with pytest.raises(UnexpectedReplyError):
            async with transport.get(url):
                pass


@pytest.mark.parametrize("pieces", [[], [b"HTTP/1.1 200 OK\r\nContent-Le"]])
async def test_no_whole_head_is_unreachable(pieces: list[bytes]) -> None:
    """The server accepts and hangs up."""
    with pytest.raises(ArchiveUnreachableError, match="before the response"):
        await receive(pieces)


async def test_what_is_not_http_is_a_fault() -> None:
    """Another program listens there."""
    with pytest.raises(ArchiveFaultError, match="not valid HTTP"):
        await receive([b"SSH-2.0-OpenSSH_9.2\r\n", HOLD])


async def test_no_answer_in_time_is_unreachable() -> None:
    """Headers that never come end after connect_seconds and first_byte_seconds."""
    with pytest.raises(ArchiveUnreachableError, match="the response timed out"):
        await receive([HOLD], IMPATIENT)


@pytest.mark.parametrize(
    "pieces",
    [
        [CHUNKED, chunk(b"x" * 1000)],
        [CHUNKED, b"400\r\nhalf"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"],
    ],
)
async def test_a_body_that_ends_early_is_cut(pieces: list[bytes]) -> None:
    """Chunked without last chunk, in mid-chunk, and shorter than its length."""
    with pytest.raises(CutTransferError):
        await receive(pieces)


async def test_a_body_with_broken_chunks_is_retried() -> None:
    """Whether it arrives with the head or after it."""
    with pytest.raises((CutTransferError, ArchiveFaultError)) as caught:
        await receive([CHUNKED, chunk(b"x" * 1000), b"not a length\r\n"])
    assert caught.value.verdict is Verdict.RETRY


async def collect(batches: AsyncIterator[list[bytes]], got: list[bytes]) -> None:
    """Keep what comes, whatever ends it."""
    async for batch in batches:
        got.extend(batch)


async def test_silence_in_a_body_is_a_stall_and_loses_nothing() -> None:
    """After idle_seconds without a byte the batch so far is given, then the error."""
    got: list[bytes] = []
    async with (
        serve_raw(lambda _: [CHUNKED, chunk(b"x" * 1000), HOLD]) as server,
        open_transport(IMPATIENT, SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        with pytest.raises(StalledTransferError, match="stopped sending"):
            await collect(answer.batches(), got)
    assert b"".join(got) == b"x" * 1000


async def test_a_trickle_is_a_stall() -> None:
    """A clock that says 10 s went by at each reading, and ten bytes at a time: 1 B/s is not enough."""

    class SlowClock(FakeClock):
        def monotonic(self) -> float:
            self.elapsed_seconds += 10.0
            return self.elapsed_seconds

    async with (
        serve_raw(lambda _: [CHUNKED, chunk(b"x" * 10), HOLD]) as server,
        open_transport(TransportSettings(minimum_bytes_per_second=2, rate_window_seconds=10), SlowClock()) as transport,
        transport.get(server.url) as answer,
    ):
        with pytest.raises(StalledTransferError, match="too slowly"):
            await collect(answer.batches(), [])


async def test_what_comes_slowly_is_given_before_it_is_much() -> None:
    """A clock that says a second went by at each reading: a reader that stops waiting for the rest keeps what has come."""

    class SlowClock(FakeClock):
        def monotonic(self) -> float:
            self.elapsed_seconds += 1.0
            return self.elapsed_seconds

    sent = b"x" * (BATCH_BYTES - 1)
    async with (
        serve_raw(lambda _: [CHUNKED, chunk(sent), HOLD]) as server,
        open_transport(TransportSettings(), SlowClock()) as transport,
        transport.get(server.url) as answer,
    ):
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            async for batch in answer.batches():
                assert 0 < sum(map(len, batch)) < len(sent)
                break


def test_the_rate_counts_a_whole_window() -> None:
    """Nothing is too slow before a window has gone by; a burst counts until it leaves the window."""
    watch = RateWatch(minimum_bytes_per_second=100, window_seconds=10)
    assert not any(watch.is_too_slow(1.0, 0) for _ in range(9))
    assert not watch.is_too_slow(1.0, 1_000)
    assert not any(watch.is_too_slow(1.0, 0) for _ in range(9))
    assert watch.is_too_slow(1.0, 0)


def test_the_rate_of_a_fast_body_is_watched_in_little_memory() -> None:
    """Millions of short waits share a few spans."""
    watch = RateWatch(minimum_bytes_per_second=100, window_seconds=10)
    assert not any(watch.is_too_slow(0.0001, 65_536) for _ in range(300_000))
    assert len(watch._spans) < 100


async def test_leaving_a_reply_half_read_frees_its_connection() -> None:
    """The next request works, with one connection allowed."""
    async with (
        serve_raw(lambda request: [CHUNKED, chunk(b"x" * 100_000), HOLD] if "/long" in request else reply(b"ok")) as server,
        open_transport(TransportSettings(max_connections=1), SystemClock()) as transport,
    ):
        async with transport.get(f"{server.url}/long") as answer:
            await answer.text(10)
        async with transport.get(f"{server.url}/next") as answer:
            assert await answer.text(10) == "ok"


async def test_cancelling_a_request_is_no_error() -> None:
    """A task that is cancelled leaves as cancelled tasks do."""
    async with (
        serve_raw(lambda _: [HOLD]) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
    ):
        with anyio.move_on_after(0.01) as scope:
            async with transport.get(server.url):
                pass
        assert scope.cancelled_caught


@pytest.mark.parametrize(
    "settings",
    [TransportSettings(longest_list_bytes=5000), TransportSettings(longest_list_seconds=0.000001)],
    ids=["bytes", "seconds"],
)
async def test_a_list_without_end_is_a_fault(settings: TransportSettings) -> None:
    """Though it comes fast enough: by its length, and by the time that it takes."""
    async with (
        serve_raw(lambda _: [CHUNKED, *(chunk(b" " * 1000) for _ in range(50)), chunk(b"")]) as server,
        open_transport(settings, SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        with pytest.raises(ArchiveFaultError, match="the list is too long"):
            async for _ in answer.chunks():
                pass
