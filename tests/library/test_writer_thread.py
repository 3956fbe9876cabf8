"""A large image is hashed and written beside the inflating: the same file and digest, the same errors."""

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from downloader.library.local.incoming_image import IncomingImage
from downloader.library.local.writer_thread import WriterThread
from downloader.model import ImageStarted
from tests.library.series_streams import SERIES, dicom_file

CHUNK = bytes(range(256)) * 1024


def write_on(beside: WriterThread) -> None:
    """More than it takes at once."""
    for _ in range(20):
        beside.write(CHUNK)


def test_everything_is_written_and_hashed_in_order(tmp_path: Path) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    pieces = [bytes([number]) * (100_000 + number) for number in range(50)]
    with (tmp_path / "image").open("wb") as file:
        beside = WriterThread(file.fileno(), digest)
        for piece in pieces:
            beside.write(piece)
        beside.finish()
    assert (tmp_path / "image").read_bytes() == b"".join(pieces)
    assert digest.hexdigest() == hashlib.md5(b"".join(pieces), usedforsecurity=False).hexdigest()


class SlowDigest:
    """Takes longer for its bytes than it takes to bring them; notes how far it was ever behind."""

    def __init__(self) -> None:
        self._digest = hashlib.sha512()
        self.brought_bytes = self.hashed_bytes = self.furthest_behind_bytes = 0

    def update(self, data: bytes) -> None:
        for _ in range(10):
            self._digest.update(data)
        self.furthest_behind_bytes = max(self.furthest_behind_bytes, self.brought_bytes - self.hashed_bytes)
        self.hashed_bytes += len(data)


def test_whoever_brings_the_bytes_waits_rather_than_have_them_pile_up(tmp_path: Path) -> None:
    digest = SlowDigest()
    with (tmp_path / "image").open("wb") as file:
        beside = WriterThread(file.fileno(), digest)
        for _ in range(100):
            beside.write(CHUNK)
            digest.brought_bytes += len(CHUNK)
        beside.finish()
    assert digest.hashed_bytes == 100 * len(CHUNK)
    assert digest.furthest_behind_bytes <= 2.5 * 1024 * 1024


def test_a_full_disk_is_told_to_whoever_writes_on() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    beside = WriterThread(full, hashlib.md5(usedforsecurity=False))
    try:
        with pytest.raises(OSError, match="No space left") as raised:
            write_on(beside)
        assert raised.value.errno == errno.ENOSPC
    finally:
        beside.close()
        os.close(full)


def test_a_full_disk_is_told_at_the_end_at_the_latest() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    beside = WriterThread(full, hashlib.md5(usedforsecurity=False))
    try:
        beside.write(b"few bytes")
        with pytest.raises(OSError, match="No space left"):
            beside.finish()
    finally:
        beside.close()
        os.close(full)


@pytest.mark.parametrize("ends", [True, False])
def test_a_large_image_leaves_no_thread_behind_however_it_ends(tmp_path: Path, ends: bool) -> None:
    head = dicom_file(SERIES, 1)
    before = set(threading.enumerate())
    member = IncomingImage(ImageStarted("1.dcm"), str(tmp_path / "0"))
    sent = hashlib.md5(head, usedforsecurity=False)
    member.write(head)
    for _ in range(100):
        member.write(CHUNK)
        sent.update(CHUNK)
    assert set(threading.enumerate()) > before
    if ends:
        assert member.finish().md5 == sent.hexdigest()
        assert (tmp_path / "0").stat().st_size == len(head) + 100 * len(CHUNK) == member.size_bytes
    else:
        member.close()
    assert set(threading.enumerate()) == before
