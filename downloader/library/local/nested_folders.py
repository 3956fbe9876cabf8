"""Nested folders of series, which only a change of layouts could cause. Raises OSError; see filesystem.py."""

import os
from pathlib import Path, PurePosixPath
from typing import Final

from downloader.library.receipt import DOUBTED_NAME, RECEIPT_NAME

_NAMES_WITHOUT_FOLDERS: Final = 2
_RECEIPTS: Final = frozenset({RECEIPT_NAME, DOUBTED_NAME})


def may_hold_folders(folder: Path) -> bool:
    """Whether the folder may contain other folders, without reading it.

    On most file systems a folder without subfolders has two links: its own name and `.` in it. Others do not count, and report 1.
    """
    try:
        return folder.stat().st_nlink != _NAMES_WITHOUT_FOLDERS
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_series(folder: Path) -> bool:
    """Whether the folder has a receipt, also an invalidated one."""
    return any(os.path.lexists(folder / name) for name in _RECEIPTS)


def is_or_holds_series(folder: Path) -> bool:
    """Whether this is the folder of a series, or contains one at any depth. Links are not followed."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return any(_RECEIPTS & set(files) for _, _, files in os.walk(folder))


def holds_series(folder: Path) -> bool:
    """Whether the folder contains the folder of a series at any depth."""
    if not may_hold_folders(folder):
        return False
    return any(is_or_holds_series(path) for path in folder.iterdir())


def series_above(root: Path, folder: PurePosixPath, but: PurePosixPath | None = None) -> PurePosixPath | None:
    """The folder of a series that contains this path, other than `but`; None if there is none."""
    above = (path for path in folder.parents if path.parts and path != but)
    return next((path for path in above if is_series(root / path)), None)
