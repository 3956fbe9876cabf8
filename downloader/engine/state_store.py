"""Opens the state store of a library for those who only ask it: apart from the engine, which takes longer to import."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from downloader.config.options import RunOptions
from downloader.errors import StoreError
from downloader.own_folder import OWN_FOLDER, has_own_folder, open_own_folder
from downloader.store.port import Store, StoreReader
from downloader.store.sqlite.errors import translated_errors
from downloader.store.sqlite.reader import open_empty_store, open_store_to_read
from downloader.store.sqlite.store import open_store

STATE_NAME = "state.db"


@asynccontextmanager
async def open_state(options: RunOptions) -> AsyncIterator[Store]:
    """The store of the library, new or old, once it is known that no link inside the library leads to it.

    Raises:
        StoreError: it cannot be used.
        LibraryError: a link is in the way, or the library's own folder belongs to somebody else.
    """
    await anyio.to_thread.run_sync(refuse_link, options)
    async with open_store(state_path(options)) as store:
        yield store


@asynccontextmanager
async def open_state_to_read(options: RunOptions) -> AsyncIterator[StoreReader]:
    """The store of the library, to be asked: it is neither made nor changed. Raises as `open_state`."""
    await anyio.to_thread.run_sync(refuse_link, options)
    async with open_store_to_read(state_path(options)) as store:
        yield store


def refuse_link(options: RunOptions) -> None:
    """Raise LibraryError where a link inside the library leads to its store. Blocks.

    SQLite opens by path and follows a link to the database; a link in place of its log it refuses by itself. A store that --state
    names lies where the user says, by way of links or not.
    """
    if is_state_outside(options):
        return
    with translated_errors(state_path(options)):
        try:
            with open_own_folder(options.output, to_read=True) as own:
                own.refuse_link(STATE_NAME)
        except FileNotFoundError:
            return


async def expect_store(options: RunOptions) -> None:
    """Raise StoreError, with what to do next, where the library has no store."""
    path = state_path(options)
    if await has_store(path):
        return
    next_step = "name the library with -o, or run a manifest first"
    if await anyio.to_thread.run_sync(has_own_folder, options.output):
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


def is_state_outside(options: RunOptions) -> bool:
    """Whether the store is not the one in the library, which the library's own lock guards."""
    return state_path(options).absolute() != (options.output / OWN_FOLDER / STATE_NAME).absolute()


@asynccontextmanager
async def open_state_or_empty(options: RunOptions) -> AsyncIterator[StoreReader]:
    """The store of the library, to be asked, or one that knows nothing where the library has none."""
    opened = open_state_to_read(options) if await has_store(state_path(options)) else open_empty_store()
    async with opened as store:
        yield store
