"""Opens the maintenance of a library: verification and repair, adoption, relayout, and rebuilding the store."""

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.to_thread
from anyio import CapacityLimiter

from downloader.archive.port import Source
from downloader.clock import Clock, SystemClock
from downloader.config.options import RunOptions
from downloader.engine.contexts import WORKER_THREADS, make_context
from downloader.engine.holding import HeldLibrary, bind, hold_library, open_records
from downloader.engine.mirror import (
    hold_to_lists,
    make_retry_policy,
    needs_of,
    open_library,
    open_named_archive,
    settle,
)
from downloader.engine.state_store import expect_store, is_state_outside, open_state, state_path
from downloader.errors import LibraryError, SettingsError
from downloader.indexing.metadata import write_metadata
from downloader.library.model import LibraryConfig
from downloader.library.port import Library
from downloader.library.state.identity import is_library
from downloader.library.state.lock import lock_library, lock_store
from downloader.maintenance.adoption import Adopter
from downloader.maintenance.foreign_tree import ForeignTree
from downloader.maintenance.rebuild_store import rebuild
from downloader.maintenance.recovery import finish_changes
from downloader.maintenance.relayout import Relayout
from downloader.maintenance.repair import Repair, verify_and_mend
from downloader.maintenance.verification import Examination, FindingListeners
from downloader.manifest import PROFILES, ArchiveAddress
from downloader.mirroring.run import SINGLE_RUN, policy_of
from downloader.model import Event
from downloader.results.adoption import AdoptionReport, AdoptionTally
from downloader.results.findings import Finding
from downloader.results.listeners import CountListener, RunListener
from downloader.results.rebuild import RebuildReport
from downloader.results.relayout import RelayoutReport
from downloader.results.verification import VerificationReport
from downloader.scheduling.scheduler import Scheduler
from downloader.store.port import Inventory
from downloader.store.sqlite.set_aside import keep_aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A library opened for verification; `repair` is None if nothing is to be repaired."""

    library: Path
    examination: Examination
    repair: Repair | None
    clock: Clock

    async def verify(self, count: CountListener, heard: FindingListeners) -> VerificationReport:
        """Verify the library; with a repair, fix what can be fixed at once, and enqueue the rest.

        Raises:
            LibraryError, StoreError: library or store cannot be used.
            ArchiveError: an archive does not answer, or refuses the credentials.
        """
        began = self.clock.monotonic()
        tally = await verify_and_mend(self.examination, self.repair, count, heard)
        return VerificationReport(
            library=str(self.library),
            deep=self.examination.deep,
            upstream=self.examination.archives is not None,
            tally=tally,
            elapsed_seconds=self.clock.monotonic() - began,
        )

    async def fetch(self, report: VerificationReport, progress: RunListener) -> VerificationReport:
        """Fetch what the repair enqueued, and add it to the report; without a repair, return the report unchanged.

        Raises:
            TciadError: the fetch stopped; the series stay pending, and the next repair or run fetches them.
        """
        if self.repair is None:
            return report
        began = self.clock.monotonic()
        await self.repair.fetch(progress)
        elapsed_seconds = report.elapsed_seconds + self.clock.monotonic() - began
        return replace(report, repair=self.repair.tally, elapsed_seconds=elapsed_seconds)


@asynccontextmanager
async def open_verification(
    options: RunOptions, archives: Sequence[ArchiveAddress], *, deep: bool, upstream: bool, repair: bool
) -> AsyncIterator[Verifier]:
    """Open the library of the options for verification; it is locked for a repair.

    Args:
        options: `output` and `state` name the library.
        archives: addresses of the archives of its series, in addition to the built-in ones; their secrets are in the options.
        deep: read every image.
        upstream: query the archives for their digests.
        repair: fix what is wrong, and fetch damaged series again.

    Raises:
        LibraryError, StoreError, SettingsError: a part of it cannot be used.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        held = await stack.enter_async_context(_hold_existing(options, clock)) if repair else None
        store = held.store if held is not None else await stack.enter_async_context(open_records(options.output, options.state))
        library = await open_library(options, to_read=not repair)
        if held is not None:
            await held.store.recover_claims(held.session)
            await finish_changes(library, held.store, clock.now())
        opened: dict[str, Source] = {}
        if repair or upstream:
            for address in await _addresses_of(store, archives):
                opened[address.name] = await stack.enter_async_context(open_named_archive(address, options, clock))
        await hold_to_lists(opened, store)
        examination = Examination(
            reader=library.reader,
            store=store,
            workers=WORKER_THREADS,
            deep=deep,
            archives=opened if upstream else None,
            retry_policy=make_retry_policy(clock),
        )
        mending = _make_repair(library, held, opened, options, clock) if held is not None else None
        yield Verifier(library=options.output, examination=examination, repair=mending, clock=clock)


@asynccontextmanager
async def _hold_existing(options: RunOptions, clock: Clock) -> AsyncIterator[HeldLibrary]:
    """Lock a library that has a store."""
    await expect_store(options)
    async with hold_library(options, clock) as held:
        yield held


def _make_repair(
    library: Library, held: HeldLibrary, archives: Mapping[str, Source], options: RunOptions, clock: Clock
) -> Repair:
    threads = CapacityLimiter(WORKER_THREADS)

    def make_scheduler(archive: Source, listener: Callable[[Event], None]) -> Scheduler:
        context = replace(make_context(archive, library, options, clock, threads=threads), listener=listener)
        return Scheduler(
            store=held.store,
            session=held.session,
            contexts={archive.name: context},
            policy=policy_of(options, SINGLE_RUN),
            clock=clock,
            draw=random.random,
            listener=listener,
        )

    return Repair(library=library, store=held.store, clock=clock, archives=archives, make_scheduler=make_scheduler)


async def _addresses_of(store: Inventory, named: Sequence[ArchiveAddress]) -> Sequence[ArchiveAddress]:
    """The given archives, and the built-in ones that series of the library come from."""
    known = {address.name: address for address in named}
    built_in = [PROFILES[name] for name in await store.archives() if name in PROFILES and name not in known]
    return [*known.values(), *built_in]


async def adopt_tree(
    tree: Path, address: ArchiveAddress, options: RunOptions, count: CountListener, *, link: bool
) -> AdoptionReport:
    """Adopt a tree of another program into the library of the options, which is created if it does not exist.

    Args:
        tree: the tree of the other program.
        address: the archive against which the series are proven.
        options: `output` and `state` name the library.
        count: receives the progress.
        link: share the files with the tree, by links, where the file system can.

    Raises:
        SettingsError: the tree is not a folder, or it is the library itself.
        ArchiveError: the archive does not answer, or refuses the credentials.
        LibraryError, StoreError: the library cannot be used.
    """
    clock = SystemClock()
    began = clock.monotonic()
    count.begin("examined", None)
    async with open_adoption(tree, address, options, count, link=link) as adopter:
        await adopter.adopt()
    elapsed_seconds = clock.monotonic() - began
    return AdoptionReport(source=str(tree), library=str(options.output), tally=adopter.tally, elapsed_seconds=elapsed_seconds)


@asynccontextmanager
async def open_adoption(
    tree: Path, address: ArchiveAddress, options: RunOptions, count: CountListener, *, link: bool
) -> AsyncIterator[Adopter]:
    """Lock the library of the options to adopt the tree. A new library is removed after a failure before the first adoption.

    Raises:
        SettingsError: the tree is not a folder, or it is the library itself.
        LibraryError, StoreError: the library cannot be used.
    """
    clock, tally = SystemClock(), AdoptionTally()
    await anyio.to_thread.run_sync(_check_tree, tree, options.output)
    async with AsyncExitStack() as stack:
        opened = hold_library(options, clock, is_unused=lambda: not tally.adopted)
        held = await stack.enter_async_context(opened)
        store = held.store
        library = await open_library(options)
        await store.recover_claims(held.session)
        await finish_changes(library, store, clock.now())
        await settle(options, library, store)
        needs = await needs_of(options, library)
        archive = await stack.enter_async_context(open_named_archive(address, options, clock, needs))
        yield Adopter(
            tree=ForeignTree(tree),
            context=make_context(archive, library, options, clock, threads=CapacityLimiter(WORKER_THREADS)),
            store=store,
            retry_policy=make_retry_policy(clock),
            link=link,
            advance=count.advance,
            tally=tally,
        )
        await write_metadata(library.index, store)


def _check_tree(tree: Path, library: Path) -> None:
    try:
        is_folder = tree.is_dir()
    except OSError as error:
        raise SettingsError(
            f"{tree} cannot be read: {error.strerror}", next_step="give this user the right to read it"
        ) from error
    if not is_folder:
        raise SettingsError(f"{tree} is not a folder", next_step="name the folder that the other program filled")
    if library.resolve() == tree.resolve():
        raise SettingsError(f"{tree} is the library itself", next_step="name another library with -o")


async def relayout_library(options: RunOptions, count: CountListener, *, dry_run: bool) -> RelayoutReport:
    """Move the library of the options to their layout, or continue an interrupted move.

    With `dry_run` nothing is locked or moved.

    Raises:
        SettingsError: the layout is invalid.
        LibraryError: a folder cannot be read or moved.
        StoreError: there is no store, or another process has the lock of the library.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        held = None if dry_run else await stack.enter_async_context(_hold_existing(options, clock))
        store = held.store if held is not None else await stack.enter_async_context(open_records(options.output, options.state))
        library = await open_library(options, to_read=dry_run)
        if held is not None:
            await finish_changes(library, held.store, clock.now())
        known = await library.state.config() or LibraryConfig()
        config = replace(known, layout=options.layout or known.layout)
        if held is not None:
            # after an interruption, the next start reads from this what the target layout was
            await library.state.write_config(replace(config, is_moving=True))
        count.begin("checked", (await store.tally()).complete)
        relayout = Relayout(
            library=library, store=store, corrections=held.store if held is not None else None, advance=count.advance
        )
        await relayout.move_all()
        if not dry_run:
            await write_metadata(library.index, store)
            await library.state.write_config(replace(config, is_moving=False))
        return RelayoutReport(library=str(options.output), layout=config.layout, dry_run=dry_run, tally=relayout.tally)


async def rebuild_store(options: RunOptions, count: CountListener) -> RebuildReport:
    """Create the store of a library from its receipts. A previous store is kept under another name.

    Raises:
        LibraryError: there is no library, or it cannot be read.
        StoreError: another process has the lock of the library, or the new store cannot be written.
    """
    clock = SystemClock()
    if not await anyio.to_thread.run_sync(is_library, options.output):
        raise LibraryError(
            f"{options.output} is not a library: it has no marker and no series with a receipt",
            next_step="name the library with -o, and mount the disk that it is on",
        )
    path = state_path(options)
    async with AsyncExitStack() as stack:
        if is_state_outside(options):
            stack.enter_context(lock_store(path, clock.now()))
        stack.enter_context(lock_library(options.output, clock.now()))
        library = await open_library(options)
        await finish_changes(library, None, clock.now())
        aside = await anyio.to_thread.run_sync(keep_aside, path, clock.now())
        store = await stack.enter_async_context(open_state(options, clock))
        await bind(options, store, clock)
        findings: list[Finding] = []
        count.begin("read", None)
        tally = await rebuild(library, store, findings.append, count.advance)
        await write_metadata(library.index, store)
        return RebuildReport(
            library=str(options.output),
            state=str(path),
            damaged=str(aside) if aside is not None else "",
            tally=tally,
            findings=tuple(findings),
        )
