"""The libraries that the contract is held against, and how a test puts series into them and damages them."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from downloader.library.local.library import LocalLibrary
from downloader.library.port import LibraryParts
from downloader.model import Image, Receipt, Series
from tests.fakes.memory_library import MemoryLibrary
from tests.library.series_streams import md5_of, members_of, receipt_of, store


class Subject(Protocol):
    """A library under test."""

    @property
    def library(self) -> LibraryParts:
        """The library itself."""
        ...

    def store(self, series: Series) -> PurePosixPath:
        """Let a series of three images be there, proven; returns its folder."""
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

    def store(self, series: Series) -> PurePosixPath:
        """See Subject."""
        return store(self.library, series)

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

    def store(self, series: Series) -> PurePosixPath:
        """See Subject."""
        files = {name: content for name, content in sorted(members_of(series).items()) if name != "LICENSE"}
        return self.library.put(receipt_for(series, files), files)

    def write(self, folder: PurePosixPath, name: str, content: bytes) -> None:
        """See Subject."""
        self.library.tree.folders[folder].files[name] = content

    def files_in(self, folder: PurePosixPath) -> Mapping[str, bytes]:
        """See Subject."""
        found = self.library.tree.folders.get(folder)
        return dict(found.files) if found is not None else {}


def receipt_for(series: Series, files: Mapping[str, bytes]) -> Receipt:
    """A receipt of these images; the number in a name is that of the image."""
    images = tuple(
        Image(
            name=name,
            sop_instance_uid=f"{series.series_instance_uid}.{int(name.removesuffix('.dcm').rpartition('-')[2])}",
            size_bytes=len(content),
            md5=md5_of(content),
        )
        for name, content in files.items()
    )
    return receipt_of(series, images)
