"""A real service with a real HTTP server, and a client on the same loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio

from downloader.sandbox import Catalogue, Fault, serve_sandbox
from downloader.service.library_look import look_at_library
from downloader.web.address import ListenAddress
from downloader.web.auth import Guard
from downloader.web.connections import ConnectionLimits, limits_for
from downloader.web.metrics import Metrics
from downloader.web.server import HttpServer
from downloader.web.wrong_tokens import WrongTokens
from tests.service.scene import LookAtLibrary, ServiceScene, running_service, small_catalogue, write_manifest

TOKEN = "a long random token"
LIMITS = limits_for(1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpScene:
    """What a test has at hand."""

    scene: ServiceScene
    client: aiohttp.ClientSession
    metrics: Metrics


@asynccontextmanager
async def served(
    root: Path,
    catalogue: Catalogue | None = None,
    *,
    token: str = "",
    faults: tuple[Fault, ...] = (),
    runs: bool = True,
    limits: ConnectionLimits = LIMITS,
    look_at_library: LookAtLibrary = look_at_library,
) -> AsyncIterator[HttpScene]:
    """A service with the manifest `m`, whose first cycle is over unless `runs` is false."""
    async with serve_sandbox(catalogue or small_catalogue(1, 2), faults=faults) as sandbox:
        if runs:
            write_manifest(root / "manifests", sandbox.base_url, "m")
        metrics = Metrics()
        service = running_service(root, sandbox, observers=(metrics,), look=look_at_library)
        async with service as scene, anyio.create_task_group() as group:
            if runs:
                await scene.cycle_of("m")
            wrong_tokens = WrongTokens(scene.clock)
            guard = Guard(address=ListenAddress(host="127.0.0.1", port=0), token=token, wrong_tokens=wrong_tokens)
            address = await group.start(HttpServer(guard, metrics, scene.clock, limits).run, scene.service)
            async with aiohttp.ClientSession(f"http://{address}") as client:
                yield HttpScene(scene=scene, client=client, metrics=metrics)
            group.cancel_scope.cancel()
