"""`.tciad/paused`: while it exists, the service claims nothing for this library. It survives the service. Blocks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from downloader.errors import LibraryError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.own_folder import OWN_FOLDER, OwnFolder, open_own_folder

PAUSE_NAME: Final = "paused"


def is_paused(root: Path) -> bool:
    """Whether the library is paused."""
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{PAUSE_NAME}"):
        try:
            with open_own_folder(root, to_read=True) as own:
                return own.has(PAUSE_NAME)
        except (FileNotFoundError, NotADirectoryError):
            return False


def pause_library(root: Path, at: datetime) -> bool:
    """Pause the library; False if it was paused before.

    Raises:
        LibraryError: there is no library, or it cannot be written.
    """
    with _opened(root) as own:
        if own.has(PAUSE_NAME):
            return False
        own.write(PAUSE_NAME, f"{json.dumps({'paused_at': at.isoformat()})}\n".encode())
    return True


def resume_library(root: Path) -> bool:
    """End the pause; False if there was none.

    Raises:
        LibraryError: there is no library, or it cannot be written.
    """
    with _opened(root) as own:
        return own.remove(PAUSE_NAME)


@contextmanager
def _opened(root: Path) -> Iterator[OwnFolder]:
    with FileSystemErrors(root, place=f"{OWN_FOLDER}/{PAUSE_NAME}"):
        try:
            with open_own_folder(root) as own:
                yield own
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LibraryError(f"{root} is not a library of tciad", next_step="name the library with -o") from error
