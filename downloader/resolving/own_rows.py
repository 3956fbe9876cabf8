"""Asks archives for the own rows of series that their lists no longer name: a second question, where one answer proves nothing.

An archive answers 200 with nothing for "none" and for a failed database alike (docs/archives.md#empty-replies). So each
question also names series that the archive is known to have: an answer that leaves those out, too, is not believed.
"""

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Final

from downloader.archive.port import Catalogue
from downloader.errors import ArchiveFaultError
from downloader.model import Series, SeriesQuery
from downloader.transport.retrying import Patience

ASKED_AT_ONCE: Final = 1_000
CONTROLS: Final = 3
"""So many series that an archive is known to have go with each question; one of them that is answered is enough."""


async def ask_own_rows(
    vanished: Sequence[Series], archive: Catalogue, controls: Sequence[Series], patience: Patience | None = None
) -> list[Series]:
    """The rows of those series that the archive still lists, with what their former rows told besides.

    Args:
        vanished: what is asked for.
        archive: who is asked.
        controls: series that the archive is known to have; where none is known, some that it lists now are found out.
        patience: asks again where an answer fails; without it the first answer counts.

    Raises:
        ArchiveError, TransferError: the archive cannot be asked, or its answer leaves out what it is known to have.
    """
    if vanished and not controls:
        controls = await (
            patience.ask("series that the archive has", partial(_find_some, archive)) if patience else _find_some(archive)
        )
    # some archives can be asked for a series by its study only
    controls = sorted(controls, key=lambda control: not control.study_instance_uid)[:CONTROLS]
    found: list[Series] = []
    for start in range(0, len(vanished), ASKED_AT_ONCE):
        part = vanished[start : start + ASKED_AT_ONCE]
        ask = partial(_ask, part, archive, controls)
        found += await (patience.ask(f"the rows of {len(part)} series by name", ask) if patience else ask())
    return found


async def _ask(part: Sequence[Series], archive: Catalogue, controls: Sequence[Series]) -> list[Series]:
    answered = {row.series_instance_uid: row for row in await archive.find_own_rows([*part, *controls])}
    if not any(control.series_instance_uid in answered for control in controls):
        raise ArchiveFaultError(
            f"{archive.name} answers questions for single series with nothing, also for series that it has",
            next_step="its database may be failing; try again later",
        )
    return [
        answered[series.series_instance_uid].with_gaps_filled(series) for series in part if series.series_instance_uid in answered
    ]


async def _find_some(archive: Catalogue) -> list[Series]:
    """A series of each of the first few collections."""
    found: list[Series] = []
    for collection in list(await archive.find_collections())[:CONTROLS]:
        async with aclosing(archive.find_series(SeriesQuery(collection=collection))) as rows:
            async for row in rows:
                found.append(row)
                break
    return found
