"""Whether the service in this container is alive. A container that runs anything else is healthy while it runs.

Only the standard library, so that it starts in a few hundredths of a second.
"""

import os
import sys
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

TIMEOUT_SECONDS = 4.0


def is_alive(port: str) -> bool:
    """Whether the service's event loop turns. Proxies are for the archive, not for this."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT_SECONDS) as reply:
            return reply.status == 200
    except (URLError, OSError):
        return False


def main() -> int:
    """0 when healthy, as HEALTHCHECK wants it."""
    command = Path("/proc/1/cmdline").read_bytes().split(b"\0")
    if b"serve" not in command:
        return 0
    listen = next((after.decode() for flag, after in pairwise(command) if flag == b"--listen"), "")
    listen = listen or os.environ.get("TCIAD_LISTEN", "")
    return 0 if is_alive(listen.rpartition(":")[2] or "8642") else 1


if __name__ == "__main__":
    sys.exit(main())
