"""The libraries that the contract is held against, and how a test puts series into them and damages them."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from downloader.library.local.library import LocalLibrary
from downloader.library.port import Library
from tests.fakes.memory_library import MemoryLibrary


class Subject(Protocol):
    """A library under test."""

    @property
    def library(self) -> Library:
        """The library itself."""
        ...

    @property
    def licences(self) -> Sequence[bytes]:
        """The texts of all licences in the tree."""
        ...

    def write(self, folder: PurePosixPath, name: str, content: bytes) -> None:
        """Write a file into a folder by hand."""
        ...

    def files_in(self, folder: PurePosixPath) -> Mapping[str, bytes]:
        """The files in a folder, but receipts."""
        ...


class LocalSubject:
    """A library on the disk."""

    def __init__(self, root: Path, layout: str) -> None:
        self._root = root
        self.library = LocalLibrary(root, layout=layout)

    @property
    def licences(self) -> Sequence[bytes]:
        """See Subject."""
        return [path.read_bytes() for path in self._root.rglob("LICENSE")]

    def write(self, folder: PurePosixPath, name: str, content: bytes) -> None:
        """See Subject."""
        (self._root / folder / name).write_bytes(content)

    def files_in(self, folder: PurePosixPath) -> Mapping[str, bytes]:
        """See Subject."""
        if not (self._root / folder).is_dir():
            return {}
        return {
            path.name: path.read_bytes() for path in (self._root / folder).iterdir() if path.is_file() and path.name[0] != "."
        }


class MemorySubject:
    """A library in memory."""

    def __init__(self, layout: str) -> None:
        self.library = MemoryLibrary(layout=layout)

    @property
    def licences(self) -> Sequence[bytes]:
        """See Subject."""
        return list(self.library.tree.papers.values())

    def write(self, folder: PurePosixPath, name: str, content: bytes) -> None:
        """See Subject."""
        self.library.tree.folders[folder].files[name] = content

    def files_in(self, folder: PurePosixPath) -> Mapping[str, bytes]:
        """See Subject."""
        found = self.library.tree.folders.get(folder)
        return dict(found.files) if found is not None else {}
