"""Hashes and writes a large image in its own thread, while the caller inflates the next bytes."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from downloader.library.local.filesystem import begin_write_back, write_all

_GATHERED_BYTES = 512 * 1024
"""The size of one hand-over: waking a thread costs as much as hashing a tenth of it."""
_LONGEST_QUEUE = 3
"""The number of blocks that may wait for the thread, whose disk is sometimes slow, as the caller's connection is."""
_ADVISED_BYTES = 8 * 1024 * 1024
"""After that many blocks the system is asked to write back, so that the sync at the end has little left to write."""


class Digest(Protocol):
    """A hashlib object."""

    def update(self, data: bytes, /) -> None:
        """Hash the next bytes."""
        ...


class WriterThread:
    """Writes to `descriptor` and updates `digest`, both in the order of `write`; holds about 2 MiB at most.

    Errors of the thread are raised by a later call. Close it before its descriptor.
    """

    __slots__ = ("_advised_bytes", "_descriptor", "_digest", "_gathered", "_gathered_bytes", "_queue", "_thread")

    def __init__(self, descriptor: int, digest: Digest) -> None:
        self._descriptor = descriptor
        self._digest = digest
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._advised_bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._queue: deque[Future[None]] = deque()

    def write(self, data: bytes) -> None:
        """Hash and write the next bytes. Raises OSError for these or earlier ones."""
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= _GATHERED_BYTES:
            self._hand_over()

    def finish(self) -> None:
        """Return when everything is hashed and written. Raises OSError."""
        self._hand_over()
        self._wait_for(0)
        self.close()

    def close(self) -> None:
        """End the thread; data that was not handed over is dropped."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _hand_over(self) -> None:
        self._wait_for(_LONGEST_QUEUE - 1)
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        self._queue.append(self._thread.submit(self._put, gathered))

    def _wait_for(self, length: int) -> None:
        """Wait until no more than `length` blocks are queued. Raises errors of the thread."""
        while len(self._queue) > length:
            self._queue.popleft().result()

    def _put(self, gathered: list[bytes]) -> None:
        # in one call, because each call releases the GIL and must wait for it again
        data = b"".join(gathered)
        self._digest.update(data)
        write_all(self._descriptor, data)
        self._advised_bytes += len(data)
        if self._advised_bytes >= _ADVISED_BYTES:
            self._advised_bytes = 0
            begin_write_back(self._descriptor)
