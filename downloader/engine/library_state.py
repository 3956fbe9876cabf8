"""Opens the state files of a library, for callers that need no more: importing the engine takes longer."""

from pathlib import Path

from downloader.library.local.state import LocalState
from downloader.library.port import LibraryState


def library_state(root: Path) -> LibraryState:
    """The state files of the library in this folder, which may not exist. Opens nothing yet."""
    return LocalState(root)
