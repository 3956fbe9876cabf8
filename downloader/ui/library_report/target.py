"""Where a report goes: to a file that appears whole or not at all, or to stdout."""

import errno
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import IO, Final

import anyio.to_thread
from anyio import CancelScope

from downloader.errors import NO_SPACE, LibraryError, NoSpaceError, SettingsError

STDOUT: Final = Path("-")
_NOWHERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class Kind(Enum):
    """What lies, or would lie, where the report is to go."""

    FILE = auto()
    FOLDER = auto()
    SPECIAL = auto()


@asynccontextmanager
async def open_target(path: Path) -> AsyncIterator[IO[bytes]]:
    """A stream to write to. A file takes its name, and the place of one that had it, once the block ends without an error.

    What is no ordinary file, such as a pipe or a device, is written to as it is. Whatever writing raises is translated.

    Raises:
        SettingsError: there cannot be such a file.
        LibraryError, NoSpaceError: the file cannot be written.
    """
    with _translated(path):
        if path == STDOUT:
            yield sys.stdout.buffer
            await anyio.to_thread.run_sync(sys.stdout.buffer.flush)
            return
        target = await anyio.to_thread.run_sync(path.resolve)
        kind = await anyio.to_thread.run_sync(_kind_of, target)
        if kind is Kind.FOLDER:
            raise SettingsError(f"--to: {path} is a folder", next_step="name a file in it")
        if kind is Kind.SPECIAL:
            async with await anyio.open_file(target, "wb") as special:
                yield special.wrapped
            return
        async with _replacing(target) as stream:
            yield stream


@asynccontextmanager
async def _replacing(target: Path) -> AsyncIterator[IO[bytes]]:
    temporary = target.with_name(f".{target.name[:80]}.{secrets.token_hex(4)}.new")
    try:
        async with await anyio.open_file(temporary, "xb") as file:
            yield file.wrapped
            await file.flush()
            await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
        await anyio.to_thread.run_sync(temporary.replace, target)
    finally:
        with CancelScope(shield=True):
            await anyio.Path(temporary).unlink(missing_ok=True)


def _kind_of(path: Path) -> Kind:
    if path.is_dir():
        return Kind.FOLDER
    return Kind.SPECIAL if path.exists() and not path.is_file() else Kind.FILE


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        shown = "stdout" if path == STDOUT else str(path)
        reason = error.strerror or str(error)
        if error.errno in _NOWHERE:
            raise SettingsError(
                f"--to: {shown} cannot be a file: {reason}", next_step="name a file in an existing folder"
            ) from error
        kind = NoSpaceError if error.errno in NO_SPACE else LibraryError
        raise kind(f"the report cannot be written to {shown}: {reason}", next_step="choose another file with --to") from error
