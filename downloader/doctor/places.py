"""Checks the disk of the library, and its state store."""

import os
from collections.abc import Sequence

from downloader.config.options import RunOptions
from downloader.engine.holding import open_records
from downloader.engine.mirror import free_bytes_at
from downloader.engine.state_store import has_store, state_path
from downloader.errors import ExitCode, LibraryError, StoreError
from downloader.results.amounts import size_text
from downloader.results.doctor import Check, Health


def check_disk(options: RunOptions) -> Sequence[Check]:
    """Check the disk of the library. Blocks."""
    place = options.output.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return [
            Check(
                name="disk",
                health=Health.FAILED,
                sentence=f"{place} cannot be written by this user" if place.is_dir() else f"{place} is not a folder",
                next_step="make it writable, or name another library with -o",
                exit_code=ExitCode.LIBRARY,
            )
        ]
    free_bytes = free_bytes_at(options.output)
    enough = free_bytes > options.min_free_bytes
    return [
        Check(
            name="disk",
            health=Health.OK if enough else Health.FAILED,
            sentence=f"{options.output}: {size_text(free_bytes)} free, of which {size_text(options.min_free_bytes)} stay free",
            next_step="" if enough else "free some space, or lower download.min_free_space",
            exit_code=ExitCode.SUCCESS if enough else ExitCode.LIBRARY,
        )
    ]


async def check_store(options: RunOptions) -> Sequence[Check]:
    """Check the state store, if the library has one."""
    try:
        if not await has_store(state_path(options)):
            return []
        async with open_records(options.output, options.state) as store:
            tally = await store.tally()
    except (LibraryError, StoreError) as error:
        return [
            Check(
                name="state store",
                health=Health.FAILED,
                sentence=error.what,
                next_step=error.next_step or "",
                exit_code=error.exit_code,
            )
        ]
    sentence = f"{state_path(options)}: {tally.complete:,} of {tally.selected:,} series complete, {tally.failed:,} failed"
    return [Check(name="state store", health=Health.OK, sentence=sentence)]
