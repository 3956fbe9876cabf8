"""Checks whether receipts are in their folders, for many series at once. Raises OSError; see filesystem.py."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from downloader.library.model import ReceiptLook
from downloader.library.receipt import RECEIPT_NAME
from downloader.library.state.metadata_csv import METADATA_NAME


def look_for_receipts(root: Path, folders: Sequence[str]) -> ReceiptLook:
    """Check the receipts of these folders, relative to the library. Raises only errors of the library's own folder.

    It uses strings and a descriptor instead of paths, and sorted folders: microseconds per folder on a local disk.
    """
    missing: list[str] = []
    unreadable: dict[str, str] = {}
    library = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in sorted(folders):
            try:
                if not _is_there(f"{folder}/{RECEIPT_NAME}", library):
                    missing.append(folder)
            except OSError as error:
                unreadable[folder] = error.strerror or str(error)
    finally:
        os.close(library)
    return ReceiptLook(missing=missing, unreadable=unreadable)


def count_table(root: Path) -> int | None:
    """The number of series in `metadata.csv`; None if it does not exist or is unreadable."""
    try:
        with (root / METADATA_NAME).open(encoding="utf-8", errors="replace", newline="") as file:
            return max(0, sum(1 for _ in csv.reader(file)) - 1)
    except (FileNotFoundError, csv.Error):
        return None


def _is_there(path: str, library: int) -> bool:
    try:
        os.stat(path, dir_fd=library)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
