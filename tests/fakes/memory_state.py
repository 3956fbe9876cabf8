"""The state of a library in memory, and the files that describe it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from downloader.library.model import Citation, LibraryConfig, MetadataRow, Record, StoredDescription


class MemoryIndex:
    """Implements LibraryIndex; `rows` is metadata.csv, `citations` CITATION.txt."""

    def __init__(self) -> None:
        self.is_due = False
        self.rows: tuple[MetadataRow, ...] | None = None
        self.citations: tuple[Citation, ...] = ()
        self._descriptions: tuple[StoredDescription, ...] = ()

    async def begin_metadata(self) -> "MemoryTable":
        """See the port."""
        return MemoryTable(self)

    async def expect_metadata(self) -> None:
        """See the port."""
        self.is_due = True

    async def metadata_is_due(self) -> bool:
        """See the port."""
        return self.is_due

    async def listed_series(self) -> int | None:
        """See the port."""
        return None if self.rows is None else len(self.rows)

    async def write_citations(self, citations: Sequence[Citation]) -> None:
        """See the port."""
        self.citations = tuple(citations)

    async def descriptions(self) -> Sequence[StoredDescription]:
        """See the port."""
        return self._descriptions

    async def keep_descriptions(self, kept: Sequence[StoredDescription]) -> None:
        """See the port."""
        self._descriptions = tuple(kept)


class MemoryTable:
    """Implements MetadataTable."""

    def __init__(self, index: MemoryIndex) -> None:
        self._index = index
        self._rows: list[MetadataRow] = []

    async def add(self, rows: Iterable[MetadataRow]) -> None:
        """See the port."""
        self._rows += rows

    async def commit(self) -> None:
        """See the port."""
        self._index.rows = tuple(self._rows)
        self._index.is_due = False


class MemoryState:
    """Implements LibraryState."""

    def __init__(self) -> None:
        self.free = 1 << 40
        self._config: LibraryConfig | None = None
        self._identity = ""
        self._is_paused = False
        self._records: dict[str, dict[str, Mapping[str, Any]]] = {}

    async def config(self) -> LibraryConfig | None:
        """See the port."""
        return self._config

    async def write_config(self, config: LibraryConfig) -> None:
        """See the port."""
        self._config = config

    async def identity(self) -> str:
        """See the port."""
        return self._identity

    async def make_identity(self, at: datetime) -> str:
        """See the port."""
        del at
        self._identity = str(uuid4())
        return self._identity

    async def is_paused(self) -> bool:
        """See the port."""
        return self._is_paused

    async def pause(self, at: datetime) -> bool:
        """See the port."""
        del at
        was_paused, self._is_paused = self._is_paused, True
        return not was_paused

    async def resume(self) -> bool:
        """See the port."""
        was_paused, self._is_paused = self._is_paused, False
        return was_paused

    async def write_record(self, kind: str, began_at: datetime, document: Mapping[str, Any]) -> None:
        """See the port."""
        self._records.setdefault(kind, {})[f"{began_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"] = dict(document)

    async def read_records(
        self, kind: str, *, manifest: str | None = None, before: str | None = None, limit: int = 20
    ) -> Sequence[Record]:
        """See the port."""
        records = sorted(self._records.get(kind, {}).items(), reverse=True)
        wanted = [
            Record(name=name, document=document)
            for name, document in records
            if (before is None or name < before) and manifest in {None, document.get("manifest")}
        ]
        return wanted[:limit]

    async def free_bytes(self) -> int:
        """See the port."""
        return self.free
