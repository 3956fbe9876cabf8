"""The state of a library on a local file system. Implements LibraryState."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from downloader.library.local.filesystem import FileSystemErrors, FreeSpace
from downloader.library.local.threads import LibraryThreads
from downloader.library.model import LibraryConfig, Record
from downloader.library.state.config import read_config, write_config
from downloader.library.state.identity import make_identity, read_identity
from downloader.library.state.pause import is_paused, pause_library, resume_library
from downloader.library.state.records import read_records, write_record


class LocalState:
    """Reads and writes the own files of the library in the folder `root`, which may not exist."""

    def __init__(self, root: Path, threads: LibraryThreads | None = None) -> None:
        self._root = root
        self._threads = threads or LibraryThreads()

    async def config(self) -> LibraryConfig | None:
        """See the port."""
        return await self._threads.run(read_config, self._root)

    async def write_config(self, config: LibraryConfig) -> None:
        """See the port."""
        await self._threads.run(write_config, self._root, config)

    async def identity(self) -> str:
        """See the port."""
        return await self._threads.run(read_identity, self._root)

    async def make_identity(self, at: datetime) -> str:
        """See the port."""
        return await self._threads.run(make_identity, self._root, at)

    async def is_paused(self) -> bool:
        """See the port."""
        return await self._threads.run(is_paused, self._root)

    async def pause(self, at: datetime) -> bool:
        """See the port."""
        return await self._threads.run(pause_library, self._root, at)

    async def resume(self) -> bool:
        """See the port."""
        return await self._threads.run(resume_library, self._root)

    async def write_record(self, kind: str, began_at: datetime, document: Mapping[str, Any]) -> None:
        """See the port."""
        await self._threads.run(write_record, self._root, kind, began_at, document)

    async def read_records(
        self, kind: str, *, manifest: str | None = None, before: str | None = None, limit: int = 20
    ) -> Sequence[Record]:
        """See the port."""
        return await self._threads.run(read_records, self._root, kind, manifest=manifest, before=before, limit=limit)

    async def free_bytes(self) -> int:
        """See the port."""
        with FileSystemErrors(self._root):
            return await self._threads.run(FreeSpace(self._root, 0).free_bytes)
