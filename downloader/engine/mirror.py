"""Opens runs and plans: composes library, store, archives and scheduler, and closes them."""

import random
import shlex
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
import structlog

from downloader.archive.credentials import gather_secrets, make_authentication
from downloader.archive.nbia.deployments import Deployments
from downloader.archive.port import NO_STUDY_NEEDS, Source, StudyNeeds
from downloader.archive.question import ArchiveQueries
from downloader.archive.registry import open_archive, open_queries
from downloader.clock import Clock, SystemClock
from downloader.config.options import OptionValues, RunOptions, Secrets
from downloader.config.settings import Settings, resolve_options
from downloader.engine import holding
from downloader.engine.contexts import make_contexts
from downloader.engine.holding import HeldLibrary, refuse_wrong_library, require_library
from downloader.engine.state_store import open_state_or_empty
from downloader.errors import SettingsError
from downloader.library.config import settle_config
from downloader.library.layout import parse_layout
from downloader.library.local.library import LocalLibrary
from downloader.library.local.state import LocalState
from downloader.library.model import LibraryConfig
from downloader.library.port import Library
from downloader.library.state.metadata_csv import STUDY_DETAILS
from downloader.maintenance.recovery import finish_changes
from downloader.manifest import ArchiveAddress, Manifest
from downloader.mirroring.leftovers import clear_leftovers
from downloader.mirroring.plan import plan_manifest
from downloader.mirroring.run import SINGLE_RUN, MirrorRun, Parts, RunPolicy
from downloader.mirroring.strengthening import note_unknown_strengths
from downloader.model import Series
from downloader.pacing import Backoff
from downloader.resolving.resolver import Resolver
from downloader.results.listeners import RunListener
from downloader.results.plan import PlanReport
from downloader.store.port import Inventory, ProofRecords
from downloader.store.records import Standing
from downloader.transport.client import Transport, TransportSettings, open_transport
from downloader.transport.retrying import RetryPolicy

SANDBOX_PROFILE = "sandbox"
QUERY_ATTEMPTS = 5
GUEST = Secrets()


def decide_options(flags: OptionValues, settings: Settings, manifest: Manifest) -> RunOptions:
    """The options of one run of the manifest.

    Raises:
        SettingsError: an option is not supported, or credentials are missing.
    """
    options = resolve_options(flags, settings, manifest.options)
    # secrets of the environment belong to the manifest's archive: they must not be sent to the archives of single entries
    secrets = {
        address.name: gather_secrets(address, settings if address == manifest.archive else None) for address in manifest.archives
    }
    return replace(options, secrets=secrets)


@asynccontextmanager
async def open_mirror(
    manifest: Manifest,
    options: RunOptions,
    progress: RunListener,
    clock: Clock | None = None,
    deployments: Deployments | None = None,
) -> AsyncIterator[MirrorRun]:
    """Open a run of the manifest with everything that it needs; the library is locked until it closes.

    `clock`: the source of time, the machine's own by default. `deployments`: what earlier runs of this process learned about the
    archives.

    Raises:
        LibraryError, StoreError, SettingsError: a part of it cannot be used.
    """
    clock = clock or SystemClock()
    with structlog.contextvars.bound_contextvars(run=clock.now().isoformat()):
        async with (
            hold_library(options, clock) as held,
            open_run(manifest, options, held, progress, clock=clock, deployments=deployments) as run,
        ):
            yield run


@asynccontextmanager
async def hold_library(options: RunOptions, clock: Clock) -> AsyncIterator[HeldLibrary]:
    """Lock a library and its store for this process, for one run or several in sequence.

    Raises:
        LibraryError, StoreError, SettingsError: a part of it cannot be used, or another process has the lock.
    """
    async with holding.hold_library(options, clock) as held:
        await open_library(options)
        yield held


@asynccontextmanager
async def open_run(
    manifest: Manifest,
    options: RunOptions,
    held: HeldLibrary,
    progress: RunListener,
    *,
    clock: Clock,
    run_policy: RunPolicy = SINGLE_RUN,
    deployments: Deployments | None = None,
) -> AsyncIterator[MirrorRun]:
    """Open everything else that one run needs. The caller holds the library, and no other run uses it.

    Raises:
        LibraryError, StoreError, SettingsError: a part of it cannot be used.
    """
    store = held.store
    async with AsyncExitStack() as stack:
        await require_library(options, store)
        library = await open_library(options)
        await recover(held, library, clock)
        warnings = await settle(options, library, store)
        needs = await needs_of(options, library, manifest)
        archives = await stack.enter_async_context(_open_archives(manifest, options, clock, needs, deployments))
        contexts = make_contexts(archives, library, options, clock)
        await note_unknown_strengths(store, next(iter(contexts.values())))
        await hold_to_lists(archives, store)
        parts = Parts(
            resolver=_make_resolver(archives, clock),
            library=library,
            store=store,
            session=held.session,
            clock=clock,
            draw=random.random,
            options=options,
            contexts=contexts,
            run_policy=run_policy,
            warnings=warnings,
        )
        run = MirrorRun(manifest, parts, progress)
        try:
            yield run
        finally:
            held.needs_recovery = not run.came_to_its_end


async def recover(held: HeldLibrary, library: Library, clock: Clock) -> None:
    """Recover from earlier sessions, once per session: release their claims, finish their changes, clear their staging.

    It runs again after an interrupted run of this session. The caller has no attempt in flight.

    Raises:
        LibraryError, StoreError: library or store cannot be used.
    """
    if not held.needs_recovery:
        return
    await held.store.recover_claims(held.session)
    await finish_changes(library, held.store, clock.now())
    await clear_leftovers(library, held.store, clock.now())
    held.needs_recovery = False


async def make_plan(
    manifest: Manifest, options: RunOptions, note: Callable[[Series, Standing], None] = lambda _series, _standing: None
) -> PlanReport:
    """Resolve the manifest and compare it with the library, if there is one. Changes nothing.

    `note` is called once for each series, with its comparison.

    Raises:
        ArchiveError, ManifestError, StoreError: it cannot be resolved or compared.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_state_or_empty(options))
        await refuse_wrong_library(options, store)
        archives = await stack.enter_async_context(_open_archives(manifest, options, clock, _needs_to_choose(manifest)))
        return await plan_manifest(
            manifest,
            _make_resolver(archives, clock),
            store,
            free_bytes=await anyio.to_thread.run_sync(free_bytes_at, options.output),
            min_free_bytes=options.min_free_bytes,
            note=note,
        )


@asynccontextmanager
async def open_archive_queries(address: ArchiveAddress, settings: Settings) -> AsyncIterator[ArchiveQueries]:
    """Open all queries of one archive, with the credentials of manifest and environment.

    Raises:
        SettingsError: credentials are missing, or cannot be read.
    """
    clock = SystemClock()
    secrets = gather_secrets(address, settings)
    async with _reach(address, resolve_options({}, settings, {}), clock) as (base_url, transport):
        yield open_queries(
            address.name,
            base_url,
            api=address.api.value,
            transport=transport,
            clock=clock,
            authentication=make_authentication(address, secrets, transport=transport, clock=clock),
        )


async def hold_to_lists(archives: Mapping[str, Source], store: ProofRecords) -> None:
    """Mark archives that sent MD5 lists before: if they refuse a list now, that is a fault and not a missing feature."""
    for name, archive in archives.items():
        if await store.sent_md5_lists(name):
            archive.note_md5_lists()


async def open_library(options: RunOptions, *, to_read: bool = False) -> Library:
    """Open the library of the options, in its own layout and format unless they set others.

    It is created if it does not exist; with `to_read` nothing is created or tested, and the library must only be read.
    """
    config = await LocalState(options.output).config() or LibraryConfig()
    opened = partial(
        LocalLibrary,
        options.output,
        layout=options.layout or config.layout,
        storage=options.format or config.format,
        min_free_bytes=options.min_free_bytes,
        to_read=to_read,
    )
    return await anyio.to_thread.run_sync(opened)


async def needs_of(options: RunOptions, library: Library, manifest: Manifest | None = None) -> StudyNeeds:
    """The study attributes that the library, and the manifest's entries, need."""
    config = await library.state.config() or LibraryConfig()
    chosen_by = _needs_to_choose(manifest).required if manifest is not None else frozenset()
    return StudyNeeds(required=parse_layout(options.layout or config.layout).study_details | chosen_by, wished=STUDY_DETAILS)


def _needs_to_choose(manifest: Manifest) -> StudyNeeds:
    return StudyNeeds(required=frozenset({"study_date"} if manifest.compares_study_dates else ()))


async def settle(options: RunOptions, library: Library, store: Inventory) -> tuple[str, ...]:
    """Record layout and format of the locked library; returns warnings for the user.

    Raises:
        SettingsError: the layout would put series into folders of existing series.
    """
    holds_series = (await store.tally()).complete > 0
    if options.layout is not None and holds_series:
        await _refuse_nesting(options.output, options.layout, library)
    config = await settle_config(library.state, options.layout, options.format, holds_series=holds_series)
    command = f"`tciad relayout {shlex.quote(config.layout)} -o {shlex.quote(str(options.output))}`"
    if config.is_moving:
        return (f"the move of the library to the layout {config.layout} was interrupted; finish it with {command}",)
    if options.layout is None or options.layout == config.layout:
        return ()
    command = command.replace(shlex.quote(config.layout), shlex.quote(options.layout), 1)
    stays = f"the layout of the library is {config.layout}: complete series stay where they are"
    return (f"{stays}, and new series use {options.layout}; {command} moves all of them",)


async def _refuse_nesting(output: Path, layout: str, library: Library) -> None:
    """Raise SettingsError if folders of the layout and of the library's layout nest."""
    known = (await library.state.config() or LibraryConfig()).layout
    if parse_layout(layout).may_nest(parse_layout(known)):
        raise SettingsError(
            f"the layout {layout} would put series into folders of other series, because the library has the layout {known}",
            next_step=f"move the library first: `tciad relayout {shlex.quote(layout)} -o {shlex.quote(str(output))}`",
        )


class DiskUsage(NamedTuple):
    """The size of a file system, in bytes."""

    total: int
    free: int


def disk_usage_at(path: Path) -> DiskUsage:
    """The size of the library's file system; the library need not exist. Blocks."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    return DiskUsage(total=usage.total, free=usage.free)


def free_bytes_at(path: Path) -> int:
    """The free space of the library's file system; the library need not exist. Blocks."""
    return disk_usage_at(path).free


@asynccontextmanager
async def open_named_archive(
    address: ArchiveAddress,
    options: RunOptions,
    clock: Clock,
    needs: StudyNeeds = NO_STUDY_NEEDS,
    deployments: Deployments | None = None,
) -> AsyncIterator[Source]:
    """Open the client for the archive, with the credentials in the options. `needs`: see `open_archive`."""
    async with _reach(address, options, clock) as (base_url, transport):
        yield open_archive(
            address.name,
            base_url,
            api=address.api.value,
            transport=transport,
            clock=clock,
            authentication=make_authentication(
                address, options.secrets.get(address.name, GUEST), transport=transport, clock=clock
            ),
            deployments=deployments,
            needs=needs,
            attempts=options.attempts,
        )


@asynccontextmanager
async def _reach(address: ArchiveAddress, options: RunOptions, clock: Clock) -> AsyncIterator[tuple[str, Transport]]:
    """The base URL of the archive, and a transport; the sandbox is started and stopped if it is the archive."""
    settings = TransportSettings(
        connect_seconds=options.connect_seconds,
        idle_seconds=options.idle_seconds,
        minimum_bytes_per_second=options.minimum_bytes_per_second,
        max_connections=options.concurrency + 2,
    )
    async with AsyncExitStack() as stack:
        base_url = address.base_url
        if address.name == SANDBOX_PROFILE:
            from downloader.sandbox import serve_sandbox  # noqa: PLC0415 - a third of a second, for those who want it

            base_url = (await stack.enter_async_context(serve_sandbox())).base_url
        yield base_url, await stack.enter_async_context(open_transport(settings, clock))


@asynccontextmanager
async def _open_archives(
    manifest: Manifest, options: RunOptions, clock: Clock, needs: StudyNeeds, deployments: Deployments | None = None
) -> AsyncIterator[Mapping[str, Source]]:
    """Open every archive of the manifest, by name."""
    async with AsyncExitStack() as stack:
        yield {
            address.name: await stack.enter_async_context(open_named_archive(address, options, clock, needs, deployments))
            for address in manifest.archives
        }


def _make_resolver(archives: Mapping[str, Source], clock: Clock) -> Resolver:
    return Resolver(archives, make_retry_policy(clock))


def make_retry_policy(clock: Clock) -> RetryPolicy:
    """The retry policy of queries."""
    return RetryPolicy(clock=clock, backoff=Backoff(), attempts=QUERY_ATTEMPTS, draw=random.random)
