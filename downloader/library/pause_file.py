"""`.tciad/paused`: while it is there, the service claims nothing for this library. It outlives the service. Blocks."""

import json
from datetime import datetime
from pathlib import Path
from typing import Final

from downloader.errors import LibraryError
from downloader.library.faults import LibraryFaults
from downloader.library.shelf import OWN_FOLDER

PAUSE_NAME: Final = "paused"


def is_paused(root: Path) -> bool:
    """Whether the library is paused."""
    with LibraryFaults(root, place=f"{OWN_FOLDER}/{PAUSE_NAME}"):
        return _file_of(root).exists()


def pause_library(root: Path, at: datetime) -> bool:
    """Pause the library; False where it was paused before.

    Raises:
        LibraryError: there is no library, or it cannot be written.
    """
    _require_library(root)
    with LibraryFaults(root, place=f"{OWN_FOLDER}/{PAUSE_NAME}"):
        if _file_of(root).exists():
            return False
        _file_of(root).write_text(json.dumps({"paused_at": at.isoformat()}) + "\n", encoding="utf-8")
    return True


def resume_library(root: Path) -> bool:
    """End the pause; False where there was none.

    Raises:
        LibraryError: there is no library, or it cannot be written.
    """
    _require_library(root)
    with LibraryFaults(root, place=f"{OWN_FOLDER}/{PAUSE_NAME}"):
        try:
            _file_of(root).unlink()
        except FileNotFoundError:
            return False
    return True


def _file_of(root: Path) -> Path:
    return root / OWN_FOLDER / PAUSE_NAME


def _require_library(root: Path) -> None:
    with LibraryFaults(root, place=OWN_FOLDER):
        has_own_folder = (root / OWN_FOLDER).is_dir()
    if not has_own_folder:
        raise LibraryError(f"{root} is no library of tciad", next_step="name the library with -o")
