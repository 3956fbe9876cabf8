"""Replies of the archive as files with the exact bytes of the response, so that the server only has to send them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

CHUNK_BYTES = 8192
"""The size of the chunks that the archive's server sends (docs/archives.md#download-headers)."""


class ReplyFile:
    """A 200 response with a chunked body; `path` is written completely or not at all."""

    def __init__(self, path: Path, content_type: str) -> None:
        self.body_bytes = 0
        self._path = path
        self._temporary = path.with_suffix(".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._temporary.open("wb")
        self._pending = bytearray()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._file.write(head.encode())

    def __enter__(self) -> Self:
        return self

    def write(self, data: bytes) -> None:
        """Append to the body."""
        self.body_bytes += len(data)
        self._pending += data
        whole_bytes = len(self._pending) - len(self._pending) % CHUNK_BYTES
        framed = bytearray()
        for start in range(0, whole_bytes, CHUNK_BYTES):
            framed += b"%X\r\n%b\r\n" % (CHUNK_BYTES, bytes(self._pending[start : start + CHUNK_BYTES]))
        self._file.write(framed)
        del self._pending[:whole_bytes]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            if self._pending:
                self._file.write(b"%X\r\n%b\r\n" % (len(self._pending), bytes(self._pending)))
            self._file.write(b"0\r\n\r\n")
        self._file.close()
        if kind is None:
            self._temporary.rename(self._path)


def collections_path(folder: Path) -> Path:
    """The path of the getCollectionValues reply."""
    return folder / "collections.http"


def catalogue_path(folder: Path, collection: str) -> Path:
    """The path of the getSeries reply for one collection."""
    return folder / "series" / f"{quote(collection, safe='')}.http"


def images_path(folder: Path, series_instance_uid: str) -> Path:
    """The path of the getImage reply."""
    return folder / "images" / f"{series_instance_uid}.http"


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a reply that is a JSON list; returns the number of its rows. Attributes that are None are left out.

    Source: docs/archives.md#json-replies.
    """
    count = 0
    with ReplyFile(path, "application/json") as reply:
        for row in rows:
            known = {name: value for name, value in row.items() if value is not None}
            reply.write(b"%b%b" % (b"," if count else b"[", json.dumps(known).encode()))
            count += 1
        reply.write(b"]" if count else b"[]")
    return count
