"""Reads a stored ZIP again, member by member, with the reader of the transfer. Raises OSError; see filesystem.py."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.hashing import read_blocks
from downloader.library.model import HashedMember
from downloader.zipstream import LONGEST_TEXT_BYTES, MemberData, MemberStarted, ZipLimits, ZipReader


class StoredZipFile:
    """Implements ZipContents for the file at `path`."""

    def __init__(self, path: Path, limits: ZipLimits, errors: FileSystemErrors) -> None:
        self._errors = errors
        self._whole = hashlib.md5(usedforsecurity=False)
        self._members = self._read(path, ZipReader(limits))

    @property
    def md5(self) -> str:
        """See the port."""
        return self._whole.hexdigest()

    def next_images(self, enough_bytes: int) -> Sequence[HashedMember]:
        """See the port."""
        found: list[HashedMember] = []
        total_bytes = 0
        with self._errors:
            for member in self._members:
                found.append(member)
                total_bytes += member.size_bytes
                if total_bytes >= enough_bytes:
                    break
        return found

    def _read(self, path: Path, reader: ZipReader) -> Iterator[HashedMember]:
        name, digest, size_bytes = "", hashlib.md5(usedforsecurity=False), 0
        for block in read_blocks(path):
            self._whole.update(block)
            for event in reader.feed(bytes(block)):
                if isinstance(event, MemberStarted):
                    name, digest, size_bytes = event.name, hashlib.md5(usedforsecurity=False), 0
                elif isinstance(event, MemberData):
                    digest.update(event.data)
                    size_bytes += len(event.data)
                elif name not in LONGEST_TEXT_BYTES:
                    yield HashedMember(name=name, size_bytes=size_bytes, md5=digest.hexdigest())
        reader.finish()
