"""Holds a library together with its store: one process at a time, and never a store over the folders of another library.

Both have the same id: the library in its marker, the store in a row. The marker is written first, so that a kill between the two
leaves a library with an id and a store without one, which the next start binds. Every other difference is refused before anything
is written, since the folder may be the empty mount point of a disk that is not there.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import anyio.to_thread
from anyio import CancelScope

from downloader.clock import Clock
from downloader.config.options import RunOptions
from downloader.engine.state_store import expect_store, has_store, is_state_outside, open_state, open_state_to_read, state_path
from downloader.errors import LibraryError, WrongLibraryError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.presence import look_for_receipts
from downloader.library.model import ReceiptLook
from downloader.library.state.identity import make_identity, read_identity
from downloader.library.state.lock import LOCK_NAME, lock_library, lock_store
from downloader.mirroring.presence import holds_any
from downloader.own_folder import open_own_folder, remove_own_folder
from downloader.store.port import Inventory, Store, StoreReader

WAYS_OUT: Final = (
    "mount the disk that the library is on, or name the library that belongs to this store with -o, or another store with "
    "--state; if the folder is right and only its .tciad was lost, `tciad store rebuild` makes a store of what is there; "
    "to begin anew, remove or rename the state file, or name a new one with --state"
)


@asynccontextmanager
async def hold_library(
    options: RunOptions, clock: Clock, *, came_to_nothing: Callable[[], bool] | None = None
) -> AsyncIterator[Store]:
    """The store of a library; both belong to this process, and to each other, for as long as this lasts.

    Args:
        options: whose `output` and `state` name them.
        clock: by which the lock and a new library are dated.
        came_to_nothing: asked after a failure; whether `.tciad` is removed where it was new. Without it, `.tciad` stays.

    Raises:
        WrongLibraryError: they belong to others.
        LibraryError, StoreError: one of them cannot be used, or another process holds it.
    """
    async with AsyncExitStack() as stack:
        await anyio.to_thread.run_sync(_refuse_file, options.output)
        store: Store | None = None
        if is_state_outside(options):
            # first, since it must be known what the store belongs to before the lock of the library makes a folder
            stack.enter_context(lock_store(state_path(options), clock.now()))
            if await has_store(state_path(options)):
                store = await stack.enter_async_context(open_state(options))
                await refuse_wrong_library(options, store)
        stack.enter_context(lock_library(options.output, clock.now()))
        if came_to_nothing is not None:
            await stack.enter_async_context(_removed_if_new(options.output, came_to_nothing))
        if store is None:
            store = await stack.enter_async_context(open_state(options))
        await bind(options, store, clock)
        yield store


@asynccontextmanager
async def _removed_if_new(root: Path, came_to_nothing: Callable[[], bool]) -> AsyncIterator[None]:
    """Remove `.tciad` after a failure where nothing but the lock was in it. The lock is held before, meanwhile and after."""
    is_new = await anyio.to_thread.run_sync(_has_only_lock, root)
    try:
        yield
    except BaseException:
        if is_new and came_to_nothing():
            with CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(remove_own_folder, root, last=LOCK_NAME))
        raise


def _has_only_lock(root: Path) -> bool:
    with open_own_folder(root, to_read=True) as own:
        return own.names() == [LOCK_NAME]


@asynccontextmanager
async def open_records(output: Path, state: Path | None) -> AsyncIterator[StoreReader]:
    """The store of a library, to be asked; nothing is written, and an older store is not brought up to date.

    Raises:
        StoreError: there is none.
        WrongLibraryError: the folder is not its library, so that what it counts is not there.
    """
    options = RunOptions(output=output, state=state)
    await expect_store(options)
    async with open_state_to_read(options) as store:
        await refuse_wrong_library(options, store)
        yield store


@asynccontextmanager
async def open_beside_run(output: Path, state: Path | None) -> AsyncIterator[Store]:
    """The store of a library, to be corrected while a run may be under way: nothing is locked.

    Raises:
        StoreError: there is none, or it cannot be written.
        WrongLibraryError: the folder is not its library, so that what it counts is not there.
    """
    options = RunOptions(output=output, state=state)
    await expect_store(options)
    async with open_state(options) as store:
        await refuse_wrong_library(options, store)
        yield store


async def bind(options: RunOptions, store: Store, clock: Clock) -> None:
    """Let library and store know each other, where one of them does not yet. Both are held.

    Raises:
        WrongLibraryError: they belong to others.
        LibraryError, StoreError: it cannot be written down.
    """
    await refuse_wrong_library(options, store)
    identity = await anyio.to_thread.run_sync(read_identity, options.output)
    if not identity:
        identity = await anyio.to_thread.run_sync(make_identity, options.output, clock.now())
    if await store.library_id() != identity:
        await store.bind_library(identity)


async def refuse_wrong_library(options: RunOptions, store: StoreReader) -> None:
    """Refuse a folder that is not the library of the store. Writes nothing.

    A store that knows no library, such as that of tciad 0.1.0, is believed where one of its complete series lies in the folder. A
    store without any complete series may belong to every library that has a marker: nothing can be wrong about what it counts.

    Raises:
        WrongLibraryError: it is another one, or it is not there.
    """
    identity = await anyio.to_thread.run_sync(read_identity, options.output)
    known = await store.library_id()
    if known and known == identity:
        return
    complete = (await store.tally()).complete
    if known and not identity:
        raise WrongLibraryError(
            f"{options.output} is not the library of the state store {state_path(options)}: it has no marker, and the store, "
            f"which counts {complete:,} series as complete, belongs to a library with one",
            next_step=WAYS_OUT,
        )
    if known and complete:
        raise WrongLibraryError(
            f"{options.output} is another library than that of the state store {state_path(options)}, which counts {complete:,} "
            "series as complete",
            next_step=WAYS_OUT,
        )
    if complete and not await _holds_any(options.output, store):
        raise WrongLibraryError(
            f"{options.output} has none of the {complete:,} series that the state store {state_path(options)} counts as complete",
            next_step=WAYS_OUT,
        )


async def require_library(options: RunOptions, store: Inventory) -> None:
    """Refuse to go on where the library that is held has gone since, such as with its disk. Writes nothing.

    Raises:
        WrongLibraryError: the marker is not there any more, or is another.
        LibraryError, StoreError: that cannot be told.
    """
    await expect_identity(options.output, await store.library_id())


async def expect_identity(root: Path, identity: str) -> None:
    """Refuse a folder that is not the library of this id. Writes nothing.

    Raises:
        WrongLibraryError: its marker is another, or is not there.
        LibraryError: that cannot be told.
    """
    await anyio.to_thread.run_sync(refuse_identity, root, identity)


def refuse_identity(root: Path, identity: str) -> None:
    """`expect_identity` on the calling thread, which it blocks."""
    found = read_identity(root)
    if found != identity:
        what = "holds another library now" if found else "is not the library any more: its marker is not there"
        raise WrongLibraryError(f"{root} {what}", next_step="mount the disk that the library is on, or move the library back")


async def _holds_any(root: Path, store: StoreReader) -> bool:
    """Whether the receipt of at least one complete series is where the store has it; never in a folder that is not there."""

    async def look(folders: Sequence[str]) -> ReceiptLook:
        return await anyio.to_thread.run_sync(look_for_receipts, root, folders)

    with FileSystemErrors(root):
        try:
            return await holds_any(store, look)
        except FileNotFoundError:
            return False


def _refuse_file(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise LibraryError(f"{root} is not a directory", next_step="choose another directory with --output")
