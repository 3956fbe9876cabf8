"""Counts the files and functions of downloader/ that one small series passes from its claim to complete.

python -m benchmarks.walk [--list]

The counts show how much code a reader has to read to follow one series. Library, store, archive client and scheduler are the real
ones; the archive is the sandbox on a real socket. A function counts once, however often it is called. Comprehensions, lambdas and
the bodies of classes and modules do not count. Two series are fetched in sequence, and only the second is counted: then nothing
is imported or opened for the first time.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import anyio
import structlog

import downloader
from downloader.clock import SystemClock
from downloader.config.options import RunOptions
from downloader.engine.mirror import open_mirror
from downloader.manifest import load_manifest
from downloader.sandbox import catalogue_of, generated_series, serve_sandbox
from downloader.ui.progress import open_progress

PACKAGE = Path(downloader.__file__).parent
SERIES, IMAGES = 2, 3


@dataclass(slots=True)
class Walk:
    """The functions that ran from the last claim whose series was completed to the claim after it."""

    functions: frozenset[CodeType] = frozenset()
    _since_claim: set[CodeType] = field(default_factory=set)
    _is_complete: bool = False

    def note(self, code: CodeType) -> None:
        """Record a function that was entered."""
        if code.co_qualname == "SqliteStore.complete":
            self._is_complete = True
        if code.co_qualname == "SqliteStore.claim":
            if self._is_complete:
                self.functions = frozenset(self._since_claim)
            self._since_claim, self._is_complete = set(), False
        if not code.co_name.startswith("<"):
            self._since_claim.add(code)

    @property
    def files(self) -> dict[str, list[str]]:
        """The names of the functions by file, relative to downloader/."""
        found: dict[str, list[str]] = {}
        for code in self.functions:
            name = str(Path(code.co_filename).relative_to(PACKAGE))
            found.setdefault(name, []).append(code.co_qualname)
        return {name: sorted(found[name]) for name in sorted(found)}


@contextmanager
def watched(walk: Walk) -> Iterator[None]:
    """Record every call of a function of downloader/ within the context, also in threads that start meanwhile."""
    ours: dict[CodeType, bool] = {}

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        is_ours = ours.get(code)
        if is_ours is None:
            file = Path(code.co_filename)
            is_ours = ours[code] = file.is_relative_to(PACKAGE) and not file.is_relative_to(PACKAGE / "sandbox")
        if is_ours and event == "call":
            walk.note(code)

    _profile_all(profile)
    try:
        yield
    finally:
        _profile_all(None)


def _profile_all(profile: Callable[[FrameType, str, object], None] | None) -> None:
    threading.setprofile(profile)
    sys.setprofile(profile)


async def walk_of_one_series(folder: Path) -> Walk:
    """Fetch small series into a library in the folder, and return the functions of the last one.

    Raises:
        RuntimeError: they did not become complete.
    """
    walk = Walk()
    catalogue = catalogue_of([generated_series(seed=seed, images=IMAGES, rows=64, columns=64) for seed in range(1, SERIES + 1)])
    async with serve_sandbox(catalogue) as sandbox:
        path = folder / "walk.yaml"
        path.write_text(
            f"version: 1\narchive: {{base_url: '{sandbox.base_url}', api: v4}}\nselect: [{{collection: Sandbox}}]\n"
            "download: {concurrency: 1}\n"
        )
        manifest = load_manifest(path)
        clock = SystemClock()
        with watched(walk), open_progress(clock, silent=True) as progress:
            options = RunOptions(output=folder / "library", concurrency=1)
            async with open_mirror(manifest, options, progress, clock) as run:
                report = await run.run()
    if report.completed != SERIES:
        raise RuntimeError(f"the series did not become complete: {report}")
    return walk


def main() -> None:
    """Count once, and print the counts; with --list the functions as well."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.walk", description=main.__doc__)
    parser.add_argument("--list", action="store_true", help="print the functions of each file")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # discard the log
    with tempfile.TemporaryDirectory() as folder:
        walk = anyio.run(walk_of_one_series, Path(folder))
    for name, functions in walk.files.items() if arguments.list else ():
        print(f"{name}: {', '.join(functions)}")
    print(f"{len(walk.files)} files, {len(walk.functions)} functions")


if __name__ == "__main__":
    main()
