"""An archive that only sends prepared files, so that the benchmark measures the client.

    python -m benchmarks.archive FOLDER [--slow]

It prints its address, and ends when its standard input is closed. `/figures` returns its costs and counts. With `--slow` it
behaves like the real archive: each stream is limited, all streams together have a cap, the first byte is late, later under load,
and some requests get a 503.
"""

import json
import os
import random
import socketserver
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

from benchmarks.replies import catalogue_path, collections_path, images_path

STREAM_BYTES_PER_SECOND = 2_000_000
CAP_BYTES_PER_SECOND = 40_000_000
FIRST_BYTE_SECONDS = (0.5, 3.0)
COMFORTABLE_STREAMS = 20
REFUSED_SHARE = 0.01
_PIECE_BYTES = 64 * 1024
_SEND_AT_ONCE = 1 << 30


@dataclass(slots=True)
class Figures:
    """Counts of the archive: `images_bytes` were sent between `images_began_at` and `images_ended_at`, on the monotonic clock."""

    cpu_seconds: float = 0.0
    requests: int = 0
    refused: int = 0
    streams: int = 0
    most_streams: int = 0
    catalogue_ended_at: float = 0.0
    images_bytes: int = 0
    images_began_at: float = 0.0
    images_ended_at: float = 0.0
    bytes_by_second: dict[int, int] = field(default_factory=dict)

    def busy_share(self, bytes_per_second: int) -> float:
        """The share of a bandwidth that the run used in its middle half, without its start and its end."""
        first, last = int(self.images_began_at), int(self.images_ended_at)
        quarter = (last - first) // 4
        middle = range(first + quarter, max(first + quarter + 1, last - quarter))
        # JSON keys are text
        sent_bytes = {int(second): count for second, count in self.bytes_by_second.items()}
        return sum(sent_bytes.get(second, 0) for second in middle) / len(middle) / bytes_per_second


@dataclass(slots=True)
class Slowness:
    """The shared link of all streams."""

    dice: random.Random = field(default_factory=lambda: random.Random(1))
    free_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_first(self, streams: int) -> None:
        """Wait for the first byte: 0.5 s to 3 s, longer with more streams than the archive can handle."""
        with self.lock:
            seconds = self.dice.triangular(*FIRST_BYTE_SECONDS, FIRST_BYTE_SECONDS[0])
        time.sleep(seconds * max(1.0, streams / COMFORTABLE_STREAMS))

    def refuses(self, streams: int) -> bool:
        """Whether to refuse a request: rarely, and more often under overload."""
        with self.lock:
            return self.dice.random() < REFUSED_SHARE * max(1.0, streams / COMFORTABLE_STREAMS) ** 2

    def wait_for_link(self, sent_bytes: int) -> None:
        """Return when the shared link has sent that many more bytes."""
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + sent_bytes / CAP_BYTES_PER_SECOND
            pause_seconds = self.free_at - time.monotonic()
        time.sleep(max(0.0, pause_seconds))


class Archive(socketserver.ThreadingTCPServer):
    """Serves the replies in `folder`."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, slowness: Slowness | None) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.folder = folder
        self.slowness = slowness
        self.figures = Figures()
        self.lock = threading.Lock()


class Connection(socketserver.StreamRequestHandler):
    """One connection, kept alive until the client closes it."""

    server: Archive
    disable_nagle_algorithm = True
    rbufsize = 8192

    def handle(self) -> None:
        """Answer one GET after another."""
        try:
            while request := self.rfile.readline():
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                self._answer(urlsplit(request.split()[1].decode()))
        except (ConnectionError, BrokenPipeError):
            return

    def _answer(self, target: SplitResult) -> None:
        values = {name: given[0] for name, given in parse_qs(target.query).items()}
        endpoint = target.path.rpartition("/")[2]
        self.server.figures.requests += 1
        if endpoint == "figures":
            self._send_figures()
        elif endpoint == "getCollectionValues":
            self._send_file(collections_path(self.server.folder))
        elif endpoint == "getSeries":
            self._send_file(catalogue_path(self.server.folder, values["Collection"]))
            self.server.figures.catalogue_ended_at = time.monotonic()
        elif endpoint == "getImage":
            self._send_images(images_path(self.server.folder, values["SeriesInstanceUID"]))
        else:
            self._send_status(HTTPStatus.NOT_FOUND)

    def _send_figures(self) -> None:
        figures = self.server.figures
        figures.cpu_seconds = time.process_time()
        body = json.dumps(asdict(figures)).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def _send_status(self, status: HTTPStatus) -> None:
        self.wfile.write(f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: 0\r\n\r\n".encode())

    def _send_images(self, path: Path) -> None:
        figures, slowness = self.server.figures, self.server.slowness
        with self.server.lock:
            figures.streams += 1
            figures.most_streams = max(figures.most_streams, figures.streams)
            figures.images_began_at = figures.images_began_at or time.monotonic()
        try:
            if slowness is None:
                sent_bytes = self._send_file(path)
            elif slowness.refuses(figures.streams):
                figures.refused += 1
                self._send_status(HTTPStatus.SERVICE_UNAVAILABLE)
                sent_bytes = 0
            else:
                slowness.wait_first(figures.streams)
                sent_bytes = self._send_slowly(path, slowness)
        finally:
            with self.server.lock:
                figures.streams -= 1
                figures.images_ended_at = time.monotonic()
        with self.server.lock:
            figures.images_bytes += sent_bytes

    def _send_file(self, path: Path) -> int:
        position = 0
        with path.open("rb") as file:
            while sent_bytes := os.sendfile(self.connection.fileno(), file.fileno(), position, _SEND_AT_ONCE):
                position += sent_bytes
        return position

    def _send_slowly(self, path: Path, slowness: Slowness) -> int:
        position, began = 0, time.monotonic()
        with path.open("rb") as file:
            while sent_bytes := os.sendfile(self.connection.fileno(), file.fileno(), position, _PIECE_BYTES):
                position += sent_bytes
                slowness.wait_for_link(sent_bytes)
                self._note(sent_bytes)
                time.sleep(max(0.0, began + position / STREAM_BYTES_PER_SECOND - time.monotonic()))
        return position

    def _note(self, sent_bytes: int) -> None:
        second = int(time.monotonic())
        with self.server.lock:
            by_second = self.server.figures.bytes_by_second
            by_second[second] = by_second.get(second, 0) + sent_bytes


def main() -> None:
    """Serve until standard input is closed."""
    with Archive(Path(sys.argv[1]), Slowness() if "--slow" in sys.argv else None) as archive:
        threading.Thread(target=archive.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{archive.server_address[1]}/nbia-api/services", flush=True)
        sys.stdin.read()
        archive.shutdown()


if __name__ == "__main__":
    main()
