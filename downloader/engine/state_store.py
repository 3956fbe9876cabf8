"""Opens the state store of a library for callers that need nothing else: importing the engine takes longer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from downloader.clock import Clock
from downloader.config.options import RunOptions
from downloader.errors import StoreError
from downloader.own_folder import OWN_FOLDER, has_own_folder, open_own_folder
from downloader.store.port import Store, StoreReader
from downloader.store.sqlite.errors import translated_errors
from downloader.store.sqlite.reader import open_empty_store, open_store_to_read
from downloader.store.sqlite.store import open_store

STATE_NAME = "state.db"


@asynccontextmanager
async def open_state(options: RunOptions, clock: Clock | None = None) -> AsyncIterator[Store]:
    """Open the store of the library, or create it, after checking that its path inside the library is not a link.

    Raises:
        StoreError: the store cannot be used.
        LibraryError: a link is in the way, or the library's own folder belongs to another user.
    """
    await anyio.to_thread.run_sync(refuse_link, options)
    async with open_store(state_path(options), clock) as store:
        yield store


@asynccontextmanager
async def open_state_to_read(options: RunOptions) -> AsyncIterator[StoreReader]:
    """Open the store of the library read-only. Raises as `open_state`."""
    await anyio.to_thread.run_sync(refuse_link, options)
    async with open_store_to_read(state_path(options)) as store:
        yield store


def refuse_link(options: RunOptions) -> None:
    """Raise LibraryError if the store's path inside the library is a link. Blocks.

    SQLite opens by path and would follow a link to the database; it refuses a link in place of its log. A store that --state
    names may be reached through links.
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
    """Raise StoreError, with the next step, if the library has no store."""
    path = state_path(options)
    if await has_store(path):
        return
    next_step = "name the library with -o, or run a manifest first"
    if await anyio.to_thread.run_sync(has_own_folder, options.output):
        next_step = "rebuild it from the receipts with `tciad store rebuild`"
    raise StoreError(f"{options.output} has no state store at {path}", next_step=next_step)


async def has_store(path: Path) -> bool:
    """Whether a store exists at `path`.

    Raises:
        StoreError: the folder cannot be read, for example because it belongs to another user.
    """
    with translated_errors(path):
        return await anyio.Path(path).exists()


def state_path(options: RunOptions) -> Path:
    """The path of the library's store, which need not exist."""
    return options.state or options.output / OWN_FOLDER / STATE_NAME


def is_state_outside(options: RunOptions) -> bool:
    """Whether the store is outside of the library, so that the library's own lock does not protect it."""
    return state_path(options).absolute() != (options.output / OWN_FOLDER / STATE_NAME).absolute()


@asynccontextmanager
async def open_state_or_empty(options: RunOptions) -> AsyncIterator[StoreReader]:
    """Open the store of the library read-only, or an empty one if the library has none."""
    opened = open_state_to_read(options) if await has_store(state_path(options)) else open_empty_store()
    async with opened as store:
        yield store
