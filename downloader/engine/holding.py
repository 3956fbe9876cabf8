"""Locks a library together with its store for one process, and refuses a store of another library.

Both have the same id: the library in its marker, the store in a row. The marker is written first, so that a kill between the two
leaves a library with an id and a store without one, which the next start binds. Any other difference is an error before anything
is written, because the folder may be the empty mount point of a missing disk.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import anyio.to_thread
import structlog
from anyio import CancelScope

from downloader import __version__
from downloader.clock import Clock
from downloader.config.options import RunOptions
from downloader.engine.state_store import expect_store, has_store, is_state_outside, open_state, open_state_to_read, state_path
from downloader.errors import LibraryError, StoreError, WrongLibraryError
from downloader.library.local.filesystem import FileSystemErrors
from downloader.library.local.presence import look_for_receipts
from downloader.library.model import ReceiptLook
from downloader.library.state.identity import make_identity, read_identity
from downloader.library.state.lock import LOCK_NAME, lock_library, lock_store
from downloader.mirroring.presence import holds_any
from downloader.own_folder import open_own_folder, remove_own_folder
from downloader.scheduling.leases import SESSION_SECONDS
from downloader.store.port import Inventory, Sessions, Store, StoreReader
from downloader.store.records import Session

_log = structlog.get_logger(__name__)
WAYS_OUT: Final = (
    "mount the disk that the library is on, or name the library that belongs to this store with -o, or another store with "
    "--state; if the folder is right and only its .tciad was lost, `tciad store rebuild` creates a store from the receipts "
    "there; to start over, remove or rename the state file, or name a new one with --state"
)


@dataclass(slots=True, kw_only=True)
class HeldLibrary:
    """A library locked by this process, with its store, and the session of this process.

    `needs_recovery`: the remains of earlier sessions, or of an interrupted run of this one, have not been recovered yet.
    """

    store: Store
    session: Session
    needs_recovery: bool = True


@asynccontextmanager
async def hold_library(
    options: RunOptions, clock: Clock, *, is_unused: Callable[[], bool] | None = None
) -> AsyncIterator[HeldLibrary]:
    """Lock a library and its store for this process, and yield both.

    Args:
        options: `output` and `state` name library and store.
        clock: dates the lock and a new library.
        is_unused: called after a failure; whether to remove `.tciad` if it was new. Without it, `.tciad` stays.

    Raises:
        WrongLibraryError: library and store do not belong together.
        LibraryError, StoreError: one of them cannot be used, or another process has its lock.
    """
    async with AsyncExitStack() as stack:
        await anyio.to_thread.run_sync(_refuse_file, options.output)
        store: Store | None = None
        if is_state_outside(options):
            # first, because the store's library must be checked before the lock of the library creates a folder
            stack.enter_context(lock_store(state_path(options), clock.now()))
            if await has_store(state_path(options)):
                store = await stack.enter_async_context(open_state(options, clock))
                await refuse_wrong_library(options, store)
        stack.enter_context(lock_library(options.output, clock.now()))
        if is_unused is not None:
            await stack.enter_async_context(_removed_if_new(options.output, is_unused))
        if store is None:
            store = await stack.enter_async_context(open_state(options, clock))
        await bind(options, store, clock)
        yield HeldLibrary(store=store, session=await stack.enter_async_context(open_session(store, is_alone=True)))


@asynccontextmanager
async def open_session(store: Sessions, *, is_alone: bool) -> AsyncIterator[Session]:
    """Open a session of this process. With `is_alone`, the caller has the library's lock, so that all other sessions are over.

    Raises:
        StoreError: the store cannot be used. At the end that is only logged: without heartbeats the session soon counts as dead.
    """
    host, pid = socket.gethostname(), os.getpid()
    session = Session(session_id=f"{host}:{pid}:{uuid4().hex[:12]}", host=host, pid=pid, tool_version=__version__)
    await store.open_session(session, SESSION_SECONDS, is_alone=is_alone)
    try:
        yield session
    finally:
        with CancelScope(shield=True):
            try:
                await store.close_session(session)
            except StoreError as error:
                _log.warning("session not closed in the store", session=session.session_id, message=str(error))


@asynccontextmanager
async def _removed_if_new(root: Path, is_unused: Callable[[], bool]) -> AsyncIterator[None]:
    """Remove `.tciad` after a failure if it had only the lock at the start. The caller holds the lock throughout."""
    is_new = await anyio.to_thread.run_sync(_has_only_lock, root)
    try:
        yield
    except BaseException:
        if is_new and is_unused():
            with CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(remove_own_folder, root, last=LOCK_NAME))
        raise


def _has_only_lock(root: Path) -> bool:
    with open_own_folder(root, to_read=True) as own:
        return own.names() == [LOCK_NAME]


@asynccontextmanager
async def open_records(output: Path, state: Path | None) -> AsyncIterator[StoreReader]:
    """Open the store of a library read-only; an older store is not migrated.

    Raises:
        StoreError: there is no store.
        WrongLibraryError: the folder is not the store's library.
    """
    options = RunOptions(output=output, state=state)
    await expect_store(options)
    async with open_state_to_read(options) as store:
        await refuse_wrong_library(options, store)
        yield store


@asynccontextmanager
async def open_for_corrections(output: Path, state: Path | None) -> AsyncIterator[Store]:
    """Open the store of a library for corrections, without a lock, while a run may be working.

    Raises:
        StoreError: there is no store, or it cannot be written.
        WrongLibraryError: the folder is not the store's library.
    """
    options = RunOptions(output=output, state=state)
    await expect_store(options)
    async with open_state(options) as store:
        await refuse_wrong_library(options, store)
        yield store


async def bind(options: RunOptions, store: Store, clock: Clock) -> None:
    """Give library and store the same id, if one of them has none yet. The caller holds both locks.

    Raises:
        WrongLibraryError: they belong to others.
        LibraryError, StoreError: the id cannot be written.
    """
    await refuse_wrong_library(options, store)
    identity = await anyio.to_thread.run_sync(read_identity, options.output)
    if not identity:
        identity = await anyio.to_thread.run_sync(make_identity, options.output, clock.now())
    if await store.library_id() != identity:
        await store.bind_library(identity)


async def refuse_wrong_library(options: RunOptions, store: StoreReader) -> None:
    """Raise an error if the folder is not the library of the store. Writes nothing.

    A store without an id, such as that of tciad 0.1.0, is accepted if one of its complete series is in the folder. A store
    without complete series is accepted for every library that has a marker: it has nothing that could be wrong.

    Raises:
        WrongLibraryError: it is another library, or it is missing.
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
            f"{options.output} is not the library of the state store {state_path(options)}, which counts {complete:,} "
            "series as complete",
            next_step=WAYS_OUT,
        )
    if complete and not await _holds_any(options.output, store):
        raise WrongLibraryError(
            f"{options.output} has none of the {complete:,} series that the state store {state_path(options)} counts as complete",
            next_step=WAYS_OUT,
        )


async def require_library(options: RunOptions, store: Inventory) -> None:
    """Raise an error if the locked library has disappeared since, for example with its disk. Writes nothing.

    Raises:
        WrongLibraryError: the marker is missing or has another id.
        LibraryError, StoreError: marker or store cannot be read.
    """
    await expect_identity(options.output, await store.library_id())


async def expect_identity(root: Path, identity: str) -> None:
    """Raise an error if the folder is not the library of this id. Writes nothing.

    Raises:
        WrongLibraryError: the marker is missing or has another id.
        LibraryError: the marker cannot be read.
    """
    await anyio.to_thread.run_sync(refuse_identity, root, identity)


def refuse_identity(root: Path, identity: str) -> None:
    """The blocking form of `expect_identity`."""
    found = read_identity(root)
    if found != identity:
        what = "is another library now" if found else "is no longer the library: its marker is missing"
        raise WrongLibraryError(f"{root} {what}", next_step="mount the disk that the library is on, or move the library back")


async def _holds_any(root: Path, store: StoreReader) -> bool:
    """Whether the receipt of at least one complete series is in the folder that the store has; False if the root is missing."""

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
