"""Hashes and writes a large image in a thread of its own, while the caller inflates the next bytes."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from downloader.library.local.filesystem import begin_write_back, write_all

_GATHERED_BYTES = 512 * 1024
"""Handed over at once: to wake a thread costs as much as hashing a tenth of that."""
_LONGEST_QUEUE = 3
"""Blocks that may wait for the thread: the disk holds it up now and then, and the line its caller."""
_ADVISED_BYTES = 8 * 1024 * 1024
"""After as many, the system is asked to write back, lest all of a large image be left for when it is synced."""


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""
        ...


class WriterThread:
    """Writes to `descriptor` and tells `digest`, both in the order of `write`; some 2 MiB are held at most.

    What goes wrong in the thread is raised by a later call. To be closed before its descriptor is.
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
        """Take the next bytes. Raises OSError for those or earlier ones."""
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= _GATHERED_BYTES:
            self._hand_over()

    def finish(self) -> None:
        """Return once everything is hashed and written. Raises OSError."""
        self._hand_over()
        self._wait_for(0)
        self.close()

    def close(self) -> None:
        """End the thread; what it has not been given is dropped."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _hand_over(self) -> None:
        self._wait_for(_LONGEST_QUEUE - 1)
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        self._queue.append(self._thread.submit(self._put, gathered))

    def _wait_for(self, length: int) -> None:
        """Until no more than `length` wait for the thread. Raises what went wrong in it."""
        while len(self._queue) > length:
            self._queue.popleft().result()

    def _put(self, gathered: list[bytes]) -> None:
        # as one, since each call lets the other threads go first and has to wait for its turn again
        data = b"".join(gathered)
        self._digest.update(data)
        write_all(self._descriptor, data)
        self._advised_bytes += len(data)
        if self._advised_bytes >= _ADVISED_BYTES:
            self._advised_bytes = 0
            begin_write_back(self._descriptor)
