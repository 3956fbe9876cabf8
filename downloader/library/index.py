"""The port of the files that describe a whole library."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from downloader.library.model import Citation, MetadataRow, StoredDescription


class MetadataTable(Protocol):
    """A new metadata.csv in the making. Until `commit` the old one is there."""

    async def add(self, rows: Iterable[MetadataRow]) -> None:
        """Write these rows; nothing is held in memory or open between two calls."""
        ...

    async def commit(self) -> None:
        """Put the table where the old one was, in one step."""
        ...


class LibraryIndex(Protocol):
    """The files that describe the whole library: metadata.csv, CITATION.txt, and what archives said of collections."""

    async def begin_metadata(self) -> MetadataTable:
        """Start to write metadata.csv anew, for all series of the library."""
        ...

    async def expect_metadata(self) -> None:
        """Remember, also through a kill, that what metadata.csv tells is about to change, until it is written anew.

        What is put, moved or taken out is remembered by itself.
        """
        ...

    async def metadata_is_due(self) -> bool:
        """Whether metadata.csv does not tell what the library holds: it was not written since that changed."""
        ...

    async def listed_series(self) -> int | None:
        """How many series metadata.csv lists; None where there is none."""
        ...

    async def write_citations(self, citations: Sequence[Citation]) -> None:
        """Write CITATION.txt anew, for all collections of the library."""
        ...

    async def descriptions(self) -> Sequence[StoredDescription]:
        """What archives said of their collections, as `keep_descriptions` kept it; empty where that is lost."""
        ...

    async def keep_descriptions(self, kept: Sequence[StoredDescription]) -> None:
        """Keep these in place of those that were kept before."""
        ...
