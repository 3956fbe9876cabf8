"""Bodies that come compressed unasked are read, and bombs do not go off."""

import gzip
import zlib

import pytest

from downloader.clock import SystemClock
from downloader.errors import ArchiveFaultError, CutTransferError
from downloader.transport.client import TransportSettings, open_transport
from downloader.transport.content_coding import ALWAYS_BYTES, PIECE_BYTES, decoder_for
from tests.transport.raw_server import reply, serve_raw

pytestmark = pytest.mark.anyio
BODY = b'[{"SeriesInstanceUID":"1.2.3"}]' * 100
RAW = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
FORMS = {
    "gzip": ("gzip", gzip.compress(BODY)),
    "X-GZIP": ("X-GZIP", gzip.compress(BODY)),
    "two members": ("gzip", gzip.compress(BODY[:10]) + gzip.compress(BODY[10:])),
    "zlib": ("deflate", zlib.compress(BODY)),
    "raw deflate": ("deflate", RAW.compress(BODY) + RAW.flush()),
    "identity": ("identity", BODY),
}


async def read(coding: str, content: bytes, status: str = "200 OK") -> str:
    """The text of a reply with this Content-Encoding."""
    async with (
        serve_raw(lambda _: reply(content, status=status, headers=[f"Content-Encoding: {coding}"])) as server,
        open_transport(TransportSettings(), SystemClock()) as transport,
        transport.get(server.url) as answer,
    ):
        return await answer.text(1 << 20)


@pytest.mark.parametrize("form", FORMS)
async def test_what_a_proxy_compressed_is_read(form: str) -> None:
    """Though identity was asked for."""
    assert (await read(*FORMS[form])).encode() == BODY


async def test_a_compressed_reply_that_breaks_off_is_cut() -> None:
    """HTTP's own length held."""
    with pytest.raises(CutTransferError, match="is truncated"):
        await read("gzip", gzip.compress(BODY)[:-9])


@pytest.mark.parametrize(
    ("coding", "content"), [("br", b"x"), ("gzip, gzip", b"x"), ("gzip", b"no gzip"), ("deflate", b"\xff" * 9)]
)
async def test_what_cannot_be_decoded_is_a_fault(coding: str, content: bytes) -> None:
    """It may pass, as the proxy may."""
    with pytest.raises(ArchiveFaultError):
        await read(coding, content)
    assert await read(coding, content, status="404 Not Found") == "", "the status tells more"


def test_a_bomb_is_stopped_in_small_pieces() -> None:
    """A megabyte of blanks for each kilobyte."""
    decoder = decoder_for("gzip", "http://x/")
    assert decoder is not None
    pieces: list[int] = []
    with pytest.raises(ArchiveFaultError, match="grows to more than"):
        pieces.extend(map(len, decoder.decode(gzip.compress(b" " * (ALWAYS_BYTES * 2)))))
    assert max(pieces) <= PIECE_BYTES
    assert sum(pieces) <= ALWAYS_BYTES
