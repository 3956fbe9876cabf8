"""Opens what a library knows about itself, for those who need no more: the engine takes longer to import."""

from pathlib import Path

from downloader.library.local.state import LocalState
from downloader.library.port import LibraryState


def library_state(root: Path) -> LibraryState:
    """The own files of the library in this folder, which need not be there. Nothing is opened yet."""
    return LocalState(root)
