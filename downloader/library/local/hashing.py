"""What verifying asks of the file system: what lies in a folder, what a file hashes to, and a place for what is wrong.

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
    """Every name in the folder but the receipt's, with the size of what is a file, by way of links too; empty if absent."""
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
        return None  # a link that leads nowhere


def hash_file(path: Path) -> str:
    """The MD5 of the file. What is read once and not again is not left in the page cache, where it would displace the rest."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in read_blocks(path):
        digest.update(block)
    return digest.hexdigest()


def read_blocks(path: Path) -> Iterator[memoryview]:
    """The bytes of the file in blocks, each good until the next; they are not left in the page cache."""
    buffer = bytearray(BLOCK_BYTES)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        advise(file.fileno(), "POSIX_FADV_SEQUENTIAL")
        while read_bytes := file.readinto(buffer):
            yield view[:read_bytes]
        advise(file.fileno(), "POSIX_FADV_DONTNEED")


def set_aside(path: Path, quarantine: Path, label: str, at: datetime) -> Path:
    """Rename a folder or a file into a folder of its own below `quarantine`; durable when this returns."""
    target = make_quarantine(quarantine, label, at)
    if path.is_dir() and not path.is_symlink():
        path.rename(target)  # onto the empty folder just made, in one step
    else:
        target = target / path.name
        path.rename(target)
        sync_folder(target.parent)
    sync_folder(quarantine)
    sync_folder(path.parent)
    return target


def make_quarantine(quarantine: Path, label: str, at: datetime) -> Path:
    """Make an empty folder below `quarantine`, with a number to its name where there is one of that name."""
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
