"""Measures reading and enqueueing a whole catalogue. Prints JSON.

python -m benchmarks.resolve_figures MANIFEST FILE
"""

import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import structlog

from downloader.archive.registry import open_archive
from downloader.clock import SystemClock
from downloader.manifest import load_manifest
from downloader.model import Series
from downloader.pacing import Backoff
from downloader.resolving.resolver import Resolver
from downloader.store.sqlite.store import open_store
from downloader.transport.client import TransportSettings, open_transport
from downloader.transport.retrying import RetryPolicy


async def _measure(manifest_path: Path, state: Path) -> dict[str, float]:
    """Resolve as `MirrorRun` does, and measure the time of the store separately."""
    manifest, clock = load_manifest(manifest_path), SystemClock()
    count, enqueue_seconds = 0, 0.0
    retry_policy = RetryPolicy(clock=clock, backoff=Backoff(), attempts=1, draw=random.random)
    async with open_store(state) as store, open_transport(TransportSettings(), clock) as transport:
        address = manifest.archive
        archive = open_archive(address.name, address.base_url, api=address.api.value, transport=transport, clock=clock)
        number = await store.begin_resolve(manifest.name, clock.now())

        async def enqueue(archive_name: str, batch: Sequence[Series]) -> None:
            nonlocal count, enqueue_seconds
            count += len(batch)
            began = time.monotonic()
            await store.enqueue(manifest.name, number, archive_name, batch)
            enqueue_seconds += time.monotonic() - began

        began = time.monotonic()
        await Resolver({archive.name: archive}, retry_policy).resolve(manifest, enqueue)
        return {"series": count, "seconds": time.monotonic() - began, "enqueue_seconds": enqueue_seconds}


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for the results
    print(json.dumps(anyio.run(_measure, Path(sys.argv[1]), Path(sys.argv[2]))))
