"""Opens the state store of a library for those who only ask it: apart from the engine, which takes longer to import."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio

from downloader.errors import StoreError
from downloader.options import RunOptions
from downloader.store.faults import translated_errors
from downloader.store.port import Store
from downloader.store.sqlite import open_store

OWN_FOLDER = ".tciad"
STATE_NAME = "state.db"


@asynccontextmanager
async def open_records(output: Path, state: Path | None) -> AsyncIterator[Store]:
    """The store of a library, to be asked.

    Raises:
        StoreError: there is none.
    """
    options = RunOptions(output=output, state=state)
    await expect_store(options)
    async with open_store(state_path(options)) as store:
        yield store


async def expect_store(options: RunOptions) -> None:
    """Raise StoreError, with what to do next, where the library has no store."""
    path = state_path(options)
    if await has_store(path):
        return
    next_step = "name the library with -o, or run a manifest first"
    if await anyio.Path(options.output / OWN_FOLDER).is_dir():
        next_step = "rebuild it from the receipts with `tciad store rebuild`"
    raise StoreError(f"{options.output} has no state store at {path}", next_step=next_step)


async def has_store(path: Path) -> bool:
    """Whether a store is at `path`.

    Raises:
        StoreError: nobody may tell, as in a folder that is somebody else's.
    """
    with translated_errors(path):
        return await anyio.Path(path).exists()


def state_path(options: RunOptions) -> Path:
    """Where the store of the library is, or will be."""
    return options.state or options.output / OWN_FOLDER / STATE_NAME


@asynccontextmanager
async def open_store_for_reading(path: Path) -> AsyncIterator[Store]:
    """The store at `path`, or an empty one that lives nowhere."""
    async with AsyncExitStack() as stack:
        if not await has_store(path):
            folder = await stack.enter_async_context(anyio.TemporaryDirectory(prefix="tciad-plan-"))
            path = Path(folder) / STATE_NAME
        yield await stack.enter_async_context(open_store(path))
