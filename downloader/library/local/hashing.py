"""File access for verification: the content of a folder, the MD5 of a file, and moving files to quarantine.

Raises OSError; see filesystem.py.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from downloader.library.local.filesystem import advise, sync_folder
from downloader.library.receipt import RECEIPT_NAME

BLOCK_BYTES = 1024 * 1024


def list_folder(folder: Path) -> Mapping[str, int | None]:
    """Every name in the folder except the receipt, with the size of files, also through links; empty if it does not exist."""
    try:
        found = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    with found:
        return {item.name: _size_of(item) for item in found if item.name != RECEIPT_NAME}


def _size_of(item: "os.DirEntry[str]") -> int | None:
    try:
        return item.stat().st_size if item.is_file() else None
    except FileNotFoundError:
        return None  # a dangling link


def hash_file(path: Path) -> str:
    """The MD5 of the file. The file is not left in the page cache, where it would displace other files."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in read_blocks(path):
        digest.update(block)
    return digest.hexdigest()


def read_blocks(path: Path) -> Iterator[memoryview]:
    """The bytes of the file in blocks, each valid until the next; they are not left in the page cache."""
    buffer = bytearray(BLOCK_BYTES)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        advise(file.fileno(), "POSIX_FADV_SEQUENTIAL")
        while read_bytes := file.readinto(buffer):
            yield view[:read_bytes]
        advise(file.fileno(), "POSIX_FADV_DONTNEED")


def set_aside(path: Path, quarantine: Path, label: str, at: datetime) -> Path:
    """Rename a folder or a file into its own folder below `quarantine`; durable when this returns."""
    target = make_quarantine(quarantine, label, at)
    if path.is_dir() and not path.is_symlink():
        path.rename(target)  # onto the empty folder just made, atomically
    else:
        target = target / path.name
        path.rename(target)
        sync_folder(target.parent)
    sync_folder(quarantine)
    sync_folder(path.parent)
    return target


def make_quarantine(quarantine: Path, label: str, at: datetime) -> Path:
    """Create an empty folder below `quarantine`, with a number in its name if the name exists."""
    time = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = quarantine / f"{time}-{label}"
    quarantine.mkdir(exist_ok=True)
    target, number = folder, 1
    while True:
        try:
            target.mkdir()
        except FileExistsError:
            number += 1
            target = folder.with_name(f"{folder.name}-{number}")
        else:
            return target
