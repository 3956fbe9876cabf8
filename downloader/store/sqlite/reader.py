"""A store in an SQLite file, read-only. One thread owns the connection, so that no call blocks the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from downloader.model import Failure, Series, SeriesState, SeriesTally
from downloader.store.holdings import Holdings
from downloader.store.records import (
    CycleNote,
    FailureGroup,
    ProofGroup,
    SeriesFilter,
    Standing,
    StoredPage,
    StoredPlace,
    StoredPlaces,
    StoredSeries,
    WithdrawnSeries,
)
from downloader.store.sqlite import inventory, library_folders
from downloader.store.sqlite.connection import BUSY_SECONDS, PAGE_SIZE, Connection
from downloader.store.sqlite.errors import FOREIGN_ERRORS, translate
from downloader.store.sqlite.reading import open_empty, open_to_read

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@asynccontextmanager
async def open_store_to_read(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> AsyncIterator["SqliteReader"]:
    """Open the state store at `path` read-only. Raises as `reading.open_to_read`."""
    async with on_own_thread(path, partial(open_to_read, path, busy_seconds)) as thread:
        yield SqliteReader(thread)


@asynccontextmanager
async def open_empty_store() -> AsyncIterator["SqliteReader"]:
    """An empty store in memory."""
    async with on_own_thread(Path(":memory:"), open_empty) as thread:
        yield SqliteReader(thread)


@asynccontextmanager
async def on_own_thread(path: Path, opened: Callable[[], Connection]) -> AsyncIterator["StoreThread"]:
    """Start a thread that opens the connection, runs all calls, and closes it."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
    try:
        connection = await _run(executor, opened)
        try:
            yield StoreThread(path, connection, executor)
        finally:
            with CancelScope(shield=True):
                await _run(executor, connection.close)
    finally:
        executor.shutdown()


async def _run(executor: ThreadPoolExecutor, function: Callable[[], Result]) -> Result:
    """Run `function` on the thread. If the caller is cancelled, it never starts, or its end is awaited: no claim is lost."""
    await checkpoint_if_cancelled()
    outcome = asyncio.get_running_loop().run_in_executor(executor, function)
    with CancelScope(shield=True):
        await asyncio.wait([outcome])
    return outcome.result()


class StoreThread:
    """The thread that owns the connection to the file at `path`; created by `on_own_thread`."""

    def __init__(self, path: Path, connection: Connection, executor: ThreadPoolExecutor) -> None:
        self._path = path
        self._connection = connection
        self._executor = executor

    async def run(
        self,
        function: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run the function with the connection on the thread. Raises StoreError."""

        def call() -> Result:
            try:
                return function(self._connection, *args, **kwargs)
            except FOREIGN_ERRORS as error:
                raise translate(error, self._path) from error

        return await _run(self._executor, call)

    async def pages(self, read_page: Callable[[Connection, int], tuple[int, Sequence[Result]]]) -> AsyncIterator[Result]:
        """The rows of all pages, one by one; `read_page` gets the key of the last row of the page before. Raises as `run`."""
        after = 0
        while True:
            after, rows = await self.run(read_page, after)
            for row in rows:
                yield row
            if len(rows) < PAGE_SIZE:
                return


class SqliteReader:
    """Implements `StoreReader`; see its docstrings."""

    def __init__(self, thread: StoreThread) -> None:
        self._on_thread = thread.run
        self._pages = thread.pages

    async def library_id(self) -> str:
        """See the port."""
        return await self._on_thread(library_folders.library_id)

    async def manifests(self) -> Sequence[str]:
        """See the port."""
        return await self._on_thread(inventory.manifests)

    async def archives(self) -> Sequence[str]:
        """See the port."""
        return await self._on_thread(inventory.archives)

    async def cycles(self) -> Mapping[str, CycleNote]:
        """See the port."""
        return await self._on_thread(inventory.cycles)

    async def tally(self, manifest: str | None = None) -> SeriesTally:
        """See the port."""
        return await self._on_thread(inventory.tally, manifest)

    async def holdings(self) -> Holdings:
        """See the port."""
        return await self._on_thread(inventory.holdings)

    async def failures(self, manifest: str | None = None) -> Sequence[Failure]:
        """See the port."""
        return await self._on_thread(inventory.failures, manifest)

    async def failure_groups(self, manifest: str | None = None) -> Sequence[FailureGroup]:
        """See the port."""
        return await self._on_thread(inventory.failure_groups, manifest)

    def find(self, manifest: str | None = None, state: SeriesState | None = None) -> AsyncIterator[StoredSeries]:
        """See the port."""
        return self._pages(lambda connection, after: inventory.page(connection, manifest, state, after))

    async def find_page(self, wanted: SeriesFilter, *, after: int = 0, limit: int = 100) -> StoredPage:
        """See the port."""
        last_key = await self._on_thread(inventory.last_key)
        rows: list[StoredSeries] = []
        while after < last_key and len(rows) < limit:
            after, found = await self._on_thread(inventory.search, wanted, after, limit - len(rows))
            rows += found
        return StoredPage(rows=tuple(rows), next_after=after if after < last_key else None)

    async def compare(self, batch: Sequence[Series]) -> Sequence[Standing]:
        """See the port."""
        return await self._on_thread(inventory.compare, batch)

    async def find_named(self, series_instance_uids: Sequence[str]) -> Sequence[StoredSeries]:
        """See the port."""
        return await self._on_thread(inventory.find_named, series_instance_uids)

    async def look_up(self, series_instance_uids: Sequence[str]) -> Mapping[str, StoredPlace]:
        """See the port."""
        return await self._on_thread(library_folders.look_up, series_instance_uids)

    async def places(self, manifest: str | None = None, *, after: int = 0, limit: int = 10_000) -> StoredPlaces:
        """See the port."""
        return await self._on_thread(library_folders.places, manifest, after, limit)

    def find_withdrawn(self, manifest: str) -> AsyncIterator[WithdrawnSeries]:
        """See the port."""
        return self._pages(lambda connection, after: inventory.page_of_withdrawn(connection, manifest, after))

    async def proof_groups(self, manifest: str | None = None) -> Sequence[ProofGroup]:
        """See the port."""
        return await self._on_thread(inventory.proof_groups, manifest)

    def find_weak(self, manifest: str | None = None, *, with_list: bool = True) -> AsyncIterator[StoredSeries]:
        """See the port."""
        return self._pages(lambda connection, after: inventory.page_of_weak(connection, manifest, with_list, after))

    def find_unknown_proofs(self) -> AsyncIterator[StoredSeries]:
        """See the port."""
        return self._pages(inventory.page_of_unknown)

    async def sent_md5_lists(self, archive: str) -> bool:
        """See the port."""
        return await self._on_thread(inventory.sent_md5_lists, archive)
