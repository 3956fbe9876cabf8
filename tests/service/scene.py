"""A running service with a sandbox on a real socket, a clock that the test turns, and a real library."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from downloader.config.options import OptionValues, RunOptions
from downloader.config.settings import Settings
from downloader.engine.mirror import decide_options, open_run
from downloader.manifest import Manifest
from downloader.sandbox import Catalogue, Sandbox, catalogue_of, generated_series, serve_sandbox
from downloader.scheduling.leases import HEARTBEAT_SECONDS
from downloader.service.cycle import Openers
from downloader.service.library_look import LibrarySight, look_at_library
from downloader.service.library_worker import ServicePace
from downloader.service.port import CycleEnded, ManifestStatus, Observer, ServiceEvent
from downloader.service.service import MirrorService, ServiceSettings
from tests.fakes.clock import FakeClock
from tests.waiting import LONGEST_WAIT_SECONDS

HOUR_SECONDS = 3600.0
RARELY = ServicePace(
    look_seconds=1000 * HOUR_SECONDS,
    pause_seconds=5 * HOUR_SECONDS,
    beat_seconds=1000 * HOUR_SECONDS,
    reopen_seconds=HOUR_SECONDS,
    outage_seconds=HOUR_SECONDS,
)


class TurnedClock(FakeClock):
    """Stands still but for `pass_time`."""

    async def pass_time(self, seconds: float) -> None:
        """Let this much time pass, and wake the tasks whose time has come, one after another."""
        until = self.elapsed_seconds + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self.advance()
            await anyio.wait_all_tasks_blocked()
        self.elapsed_seconds = max(self.elapsed_seconds, until)


LookAtLibrary = Callable[[Path, str], LibrarySight]
PROBE_PAUSES = frozenset({15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0})
"""Between probes of an archive that is out."""


class RunClock(FakeClock):
    """The clock of runs: the same time, but pauses pass as soon as they begin. Leases are not renewed.

    Args:
        turned: the clock that the test turns.
        held: pauses of these lengths last until the test has turned the clock so far.
    """

    def __init__(self, turned: TurnedClock, held: frozenset[float] = frozenset()) -> None:
        super().__init__()
        self._turned = turned
        self._held = held

    def monotonic(self) -> float:
        """The other clock's."""
        return self._turned.elapsed_seconds

    def now(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return self._turned.now()

    def steady_now(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return self._turned.steady_now()

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass at once."""
        if seconds == HEARTBEAT_SECONDS:
            await anyio.sleep_forever()
        if seconds in self._held:
            await self._turned.sleep(seconds)
            return
        self._turned.elapsed_seconds += seconds
        await anyio.lowlevel.checkpoint()


@dataclass(frozen=True, slots=True)
class Ends:
    """An observer that hands on how cycles end; it misses none."""

    send: MemoryObjectSendStream[tuple[str, CycleEnded]]

    def take(self, manifest: str, event: ServiceEvent) -> None:
        """Implements `Observer`."""
        if isinstance(event, CycleEnded):
            self.send.send_nowait((manifest, event))


@dataclass(slots=True, kw_only=True)
class ServiceScene:
    """What a test of the service has at hand."""

    root: Path
    sandbox: Sandbox
    clock: TurnedClock
    service: MirrorService
    ends: MemoryObjectReceiveStream[tuple[str, CycleEnded]]

    @property
    def folder(self) -> Path:
        """Where the manifests are."""
        return self.root / "manifests"

    @property
    def library(self) -> Path:
        """Where manifests put their series unless told otherwise."""
        return self.root / "library"

    async def cycle_of(self, manifest: str) -> CycleEnded:
        """How the next cycle ended, which is this manifest's."""
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            name, ended = await self.ends.receive()
        assert name == manifest
        await anyio.wait_all_tasks_blocked()
        return ended

    async def assert_idle(self) -> None:
        """No cycle has ended since, and none is under way."""
        await anyio.wait_all_tasks_blocked()
        assert self.ends.statistics().current_buffer_used == 0
        assert self.service.progress() == {}

    async def look(self) -> None:
        """Let the service read its folder again, as at SIGHUP."""
        with self.service.subscribe() as events:
            self.service.reload()
            with anyio.fail_after(LONGEST_WAIT_SECONDS):
                async for event in events:
                    if event.kind == "manifests changed":
                        break
        await anyio.wait_all_tasks_blocked()

    async def manifest(self, name: str) -> ManifestStatus:
        """How one manifest stands."""
        return {status.name: status for status in await self.service.manifests()}[name]

    def stored(self, library: Path | None = None) -> set[str]:
        """The series under their final names."""
        root = library or self.library
        receipts = [path for path in root.rglob(".receipt.json") if root / ".tciad" not in path.parents]
        return {json.loads(path.read_bytes())["series"]["series_instance_uid"] for path in receipts}

    def held(self) -> set[str]:
        """The series that the archive has."""
        return set(self.sandbox.catalogue.holdings)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """The records of that kind, oldest first."""
        return [json.loads(path.read_bytes()) for path in sorted((self.library / ".tciad" / kind).glob("*.json"))]


def write_manifest(folder: Path, base_url: str, name: str, *more: str, collection: str = "*") -> Path:
    """A manifest that wants a collection, everything unless told; `more` are further lines."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    lines = [
        "version: 1",
        f"archive: {{base_url: {base_url!r}, api: v4}}",
        f"select: [{{collection: {json.dumps(collection)}}}]",
        *(more or ("schedule: {every: 6h}",)),
    ]
    path.write_text("\n".join([*lines, ""]))
    return path


def small_catalogue(*seeds: int, images: int = 2) -> Catalogue:
    """Series of a few hundred bytes each image."""
    return catalogue_of([generated_series(seed=seed, images=images, rows=8, columns=8) for seed in seeds])


def make_service(
    root: Path,
    clock: TurnedClock,
    ends: MemoryObjectSendStream[tuple[str, CycleEnded]],
    pace: ServicePace = RARELY,
    observers: Sequence[Observer] = (),
    held: frozenset[float] = frozenset(),
    look: LookAtLibrary = look_at_library,
) -> MirrorService:
    """A service of the manifests in `root`, not yet running; `held`: see `RunClock`."""
    run_clock = RunClock(clock, held)
    flags = OptionValues(minimum_bytes_per_second=0, attempts=2)

    def decide(manifest: Manifest) -> RunOptions:
        options = decide_options(flags, Settings(), manifest)
        min_free_bytes = manifest.options.get("min_free_bytes", 0)
        return replace(options, output=root / options.output, min_free_bytes=min_free_bytes)

    def open_pausing(*arguments: Any, clock: object, **more: Any) -> Any:  # noqa: ANN401 - passed on as they are
        return open_run(*arguments, clock=run_clock, **more)

    return MirrorService(
        ServiceSettings(
            folder=root / "manifests",
            decide=decide,
            clock=clock,
            zone=UTC,
            pace=pace,
            openers=Openers(open_run=open_pausing, look_at_library=look),
            observers=(*observers, Ends(ends)),
        )
    )


@asynccontextmanager
async def running_service(
    root: Path,
    sandbox: Sandbox,
    clock: TurnedClock | None = None,
    pace: ServicePace = RARELY,
    observers: Sequence[Observer] = (),
    held: frozenset[float] = frozenset(),
    look: LookAtLibrary = look_at_library,
) -> AsyncIterator[ServiceScene]:
    """A service that runs until the end of the block, and then drains."""
    clock = clock or TurnedClock()
    send, receive = anyio.create_memory_object_stream[tuple[str, CycleEnded]](10_000)
    (root / "manifests").mkdir(exist_ok=True)
    service = make_service(root, clock, send, pace, observers, held, look)
    with send, receive:
        async with anyio.create_task_group() as group:
            await group.start(partial(service.run))
            yield ServiceScene(root=root, sandbox=sandbox, clock=clock, service=service, ends=receive)
            await service.drain(0)


@asynccontextmanager
async def open_scene(root: Path, *seeds: int, manifests: dict[str, tuple[str, ...]] | None = None) -> AsyncIterator[ServiceScene]:
    """A sandbox with these series, and a service with these manifests (name: further lines); one called `m` unless told."""
    async with serve_sandbox(small_catalogue(*(seeds or (1, 2, 3)))) as sandbox:
        for name, more in ({"m": ()} if manifests is None else manifests).items():
            write_manifest(root / "manifests", sandbox.base_url, name, *more)
        async with running_service(root, sandbox) as scene:
            yield scene
