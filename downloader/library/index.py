"""The port of the files that describe a whole library."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from downloader.library.model import Citation, MetadataRow, StoredDescription


class MetadataTable(Protocol):
    """A new metadata.csv. The old one stays until `commit`."""

    async def add(self, rows: Iterable[MetadataRow]) -> None:
        """Write these rows; between two calls nothing is buffered or open."""
        ...

    async def commit(self) -> None:
        """Replace the old table by an atomic rename."""
        ...


class LibraryIndex(Protocol):
    """The files that describe the whole library: metadata.csv, CITATION.txt, and the archives' descriptions of collections."""

    async def begin_metadata(self) -> MetadataTable:
        """Start a new metadata.csv for all series of the library."""
        ...

    async def expect_metadata(self) -> None:
        """Mark metadata.csv as outdated, until it is written again; the mark survives a kill.

        Series that are added, moved or removed set the mark by themselves.
        """
        ...

    async def metadata_is_due(self) -> bool:
        """Whether metadata.csv is outdated."""
        ...

    async def listed_series(self) -> int | None:
        """The number of series in metadata.csv; None if it does not exist."""
        ...

    async def write_citations(self, citations: Sequence[Citation]) -> None:
        """Write a new CITATION.txt for all collections of the library."""
        ...

    async def descriptions(self) -> Sequence[StoredDescription]:
        """The stored descriptions of collections; empty if they are lost."""
        ...

    async def keep_descriptions(self, kept: Sequence[StoredDescription]) -> None:
        """Store these descriptions instead of the earlier ones."""
        ...
