"""Compressed bodies that were not requested: inflated in small pieces, up to a limit.

Some proxies compress every response. Only gzip and deflate are read (RFC 9110 §8.4.1).
"""

import zlib
from collections.abc import Iterator
from typing import Final

from downloader.errors import ArchiveFaultError, CutTransferError

PIECE_BYTES: Final = 64 * 1024
MOST_TIMES: Final = 200
"""How much longer than its compressed form a body may be. Catalogues, which repeat themselves, shrink to a fortieth."""
ALWAYS_BYTES: Final = 16 * 1024 * 1024
"""Up to this length a body may be as compressible as it likes."""
_IDENTITY: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})


class ContentDecoder:
    """Inflates one body.

    Args:
        coding: what Content-Encoding names, `gzip` or `deflate`.
        url: for messages.

    Raises:
        ArchiveFaultError: another coding.
    """

    def __init__(self, coding: str, url: str) -> None:
        if coding not in _GZIP and coding != "deflate":
            raise ArchiveFaultError(
                f"{url}: the reply is encoded as {coding[:40]!r}, which was not requested",
                next_step="check for a proxy that compresses responses",
            )
        self._url = url
        self._window = 16 + zlib.MAX_WBITS if coding in _GZIP else zlib.MAX_WBITS
        self._is_gzip = coding in _GZIP
        self._inflater = zlib.decompressobj(self._window)
        self._came_bytes = 0
        self._gave_bytes = 0

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Inflate the chunk, piece by piece.

        Raises:
            ArchiveFaultError: it cannot be inflated, or inflates beyond the limit.
        """
        self._came_bytes += len(chunk)
        while chunk:
            try:
                piece = self._inflater.decompress(chunk, PIECE_BYTES)
            except zlib.error as error:
                if self._gave_bytes or self._is_gzip or self._window < 0:
                    raise ArchiveFaultError(f"{self._url}: the compressed reply cannot be decompressed") from error
                # deflate without the header that it should have, as some servers send it
                self._window = -zlib.MAX_WBITS
                self._inflater = zlib.decompressobj(self._window)
                continue
            self._gave_bytes += len(piece)
            if self._gave_bytes > max(ALWAYS_BYTES, self._came_bytes * MOST_TIMES):
                raise ArchiveFaultError(
                    f"{self._url}: the compressed reply grows to more than {MOST_TIMES} times its size",
                    next_step="tell the archive's help desk if this persists",
                )
            if piece:
                yield piece
            chunk = self._inflater.unconsumed_tail
            if self._inflater.eof:
                # another member may follow (RFC 1952 §2.2); zeros are padding
                chunk = self._inflater.unused_data.lstrip(b"\0") if self._is_gzip else b""
                if chunk:
                    self._inflater = zlib.decompressobj(self._window)

    def finish(self) -> None:
        """Mark the end of the body. Raises CutTransferError if the compressed data is incomplete."""
        if self._came_bytes and not self._inflater.eof:
            raise CutTransferError(f"{self._url}: the compressed reply is truncated")


def decoder_for(content_encoding: str, url: str) -> ContentDecoder | None:
    """The decoder for this Content-Encoding; None for a body without one. Raises as ContentDecoder does."""
    coding = content_encoding.strip().lower()
    return None if coding in _IDENTITY else ContentDecoder(coding, url)
