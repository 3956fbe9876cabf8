"""The files that describe the whole library. Implements LibraryIndex."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.presence import count_table
from downloader.library.local.threads import LibraryThreads
from downloader.library.local.tree import SeriesTree
from downloader.library.model import Citation, MetadataRow, StoredDescription
from downloader.library.state.citations import CITATION_NAME, write_citations
from downloader.library.state.descriptions import read_descriptions, write_descriptions
from downloader.library.state.metadata_csv import METADATA_NAME, MetadataFile
from downloader.own_folder import OWN_FOLDER


class LocalIndex:
    """Writes metadata.csv, CITATION.txt and the descriptions of the library at `root`."""

    def __init__(self, root: Path, tree: SeriesTree, threads: LibraryThreads) -> None:
        self._root = root
        self._staging = root / OWN_FOLDER / "staging"
        self._tree = tree
        self._threads = threads
        self._errors = FileSystemErrors(root)

    async def begin_metadata(self) -> "ThreadedTable":
        """See the port."""
        errors = FileSystemErrors(self._root, place=METADATA_NAME)
        target, overdue = self._root / METADATA_NAME, self._tree.overdue
        return ThreadedTable(await self._threads.run(MetadataFile, self._staging, target, overdue, errors), self._threads)

    async def expect_metadata(self) -> None:
        """See the port."""
        with self._errors:
            await self._threads.run(self._tree.overdue.set)

    async def metadata_is_due(self) -> bool:
        """See the port."""
        with self._errors:
            return await self._threads.run(bool, self._tree.overdue)

    async def listed_series(self) -> int | None:
        """See the port."""
        with self._errors:
            return await self._threads.run(count_table, self._root)

    async def write_citations(self, citations: Sequence[Citation]) -> None:
        """See the port."""
        errors = FileSystemErrors(self._root, place=CITATION_NAME)
        await self._threads.run(write_citations, citations, self._staging, self._root / CITATION_NAME, errors)

    async def descriptions(self) -> Sequence[StoredDescription]:
        """See the port."""
        return await self._threads.run(read_descriptions, self._root)

    async def keep_descriptions(self, kept: Sequence[StoredDescription]) -> None:
        """See the port."""
        await self._threads.run(write_descriptions, self._root, kept)


class ThreadedTable:
    """Implements MetadataTable."""

    __slots__ = ("_file", "_threads")

    def __init__(self, file: MetadataFile, threads: LibraryThreads) -> None:
        self._file = file
        self._threads = threads

    async def add(self, rows: Iterable[MetadataRow]) -> None:
        """See the port."""
        await self._threads.run(self._file.add, rows)

    async def commit(self) -> None:
        """See the port."""
        await self._threads.run(self._file.commit)
