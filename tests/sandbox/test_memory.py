"""However large a series is, serving it takes no more memory than a small one."""

import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1024 * 1024
# Downloads one image of 320 MiB from a sandbox in the same process, in pieces that are dropped at once.
SCRIPT = """
import asyncio, resource
import aiohttp
from downloader.sandbox import catalogue_of, generated_series, serve_sandbox

async def receive(sandbox, session, uid):
    received = 0
    async with session.get(f"{sandbox.base_url}/v4/getImage?SeriesInstanceUID={uid}&IncludeMD5=Yes") as reply:
        async for chunk in reply.content.iter_chunked(65536):
            received += len(chunk)
    return received

async def main():
    small, large = catalogue = [
        generated_series(seed=1, images=2, rows=512, columns=512),
        generated_series(seed=2, images=1, rows=10240, columns=16384),
    ]
    async with serve_sandbox(catalogue_of(catalogue)) as sandbox, aiohttp.ClientSession() as session:
        await receive(sandbox, session, small.series_instance_uid)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        received = await receive(sandbox, session, large.series_instance_uid)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(received, (after - before) * 1024)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="ru_maxrss counts other units there")
def test_a_large_image_is_never_held() -> None:
    """An image of 320 MiB goes by within 64 MiB, client included."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=Path.cwd())
    received, grown_bytes = map(int, done.stdout.split())
    assert received > 100 * MIB
    assert grown_bytes < 64 * MIB
