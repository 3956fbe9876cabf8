"""Hashes and writes a large image in a thread of its own, while whoever brings its bytes inflates the next ones."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from downloader.library.disk import write_all

_GATHERED_BYTES = 512 * 1024
"""Handed over at once: to wake a thread costs as much as hashing a tenth of that."""
_ADVISED_BYTES = 8 * 1024 * 1024
"""The system is asked to write back after so many, lest all of a large image be left for when it is synced."""


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""
        ...


class WriterBeside:
    """Writes to `descriptor` and tells `digest`, both in the order of `write`; at most twice `_GATHERED_BYTES` are held.

    What goes wrong in the thread is raised by the next call. To be closed before its descriptor is.
    """

    __slots__ = ("_advised_bytes", "_descriptor", "_digest", "_gathered", "_gathered_bytes", "_thread", "_under_way")

    def __init__(self, descriptor: int, digest: Digest) -> None:
        self._descriptor = descriptor
        self._digest = digest
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._advised_bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._under_way: Future[None] | None = None

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises OSError for those or earlier ones."""
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= _GATHERED_BYTES:
            self._hand_over()

    def finish(self) -> None:
        """Return once everything is hashed and written. Raises OSError."""
        self._hand_over()
        self._wait()
        self.close()

    def close(self) -> None:
        """End the thread; what it has not been given is dropped."""
        self._thread.shutdown(wait=True)

    def _hand_over(self) -> None:
        self._wait()
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        self._under_way = self._thread.submit(self._put, gathered)

    def _wait(self) -> None:
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            under_way.result()

    def _put(self, gathered: list[bytes]) -> None:
        for data in gathered:
            self._digest.update(data)
            write_all(self._descriptor, data)
            self._advised_bytes += len(data)
        if self._advised_bytes >= _ADVISED_BYTES:
            self._advised_bytes = 0
            # what is on the disk then need not stay in memory either
            if hasattr(os, "posix_fadvise"):  # not on macOS
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
