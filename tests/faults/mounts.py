"""Small file systems of their own, for disks that are full, out of inodes, or read-only."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tools import skip_for_want

needs_mount = pytest.mark.needs("root", "mount")


@contextmanager
def mounted(folder: Path, **options: int | str) -> Iterator[None]:
    """A tmpfs on `folder` for as long as the context lasts; skips the test where the machine allows no mounts."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", _written(options), "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        skip_for_want(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def pinned(folder: Path) -> Iterator[None]:
    """The folder is mounted on itself, so that it cannot be renamed or removed; skips the test where no mounts are allowed."""
    done = subprocess.run(["mount", "--bind", str(folder), str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        skip_for_want(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, *flags: str, **options: int | str) -> None:
    """Change the file system on `folder`."""
    subprocess.run(["mount", "-o", ",".join(["remount", *flags, *_parts(options)]), str(folder)], check=True)


def _written(options: dict[str, int | str]) -> str:
    return ",".join(_parts(options))


def _parts(options: dict[str, int | str]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]
