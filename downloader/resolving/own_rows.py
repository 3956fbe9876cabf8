"""Requests the rows of single series that lists no longer contain: a second query, because one response proves nothing.

An archive replies 200 with nothing both for "none" and for a failed database (docs/archives.md#empty-replies). So each query also
includes control series that the archive is known to have: a response without any of them is not accepted.
"""

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Final

from downloader.archive.port import Catalogue
from downloader.errors import ArchiveFaultError
from downloader.model import Series, SeriesQuery
from downloader.transport.retrying import RetryPolicy

ASKED_AT_ONCE: Final = 1_000
CONTROLS: Final = 3
"""Control series per query; the response must contain at least one of them."""


async def ask_own_rows(
    vanished: Sequence[Series], archive: Catalogue, controls: Sequence[Series], retry_policy: RetryPolicy | None = None
) -> list[Series]:
    """The rows of the series that the archive still lists, with empty attributes filled from their former rows.

    Args:
        vanished: the series to request.
        archive: the archive.
        controls: series that the archive is known to have; if empty, a few listed ones are requested first.
        retry_policy: retries failed queries; without it the first response counts.

    Raises:
        ArchiveError, TransferError: the archive does not answer, or its response contains none of the control series.
    """
    if vanished and not controls:
        controls = await (
            retry_policy.ask("series that the archive has", partial(_find_some, archive)) if retry_policy else _find_some(archive)
        )
    # some archives find a series only by its study
    controls = sorted(controls, key=lambda control: not control.study_instance_uid)[:CONTROLS]
    found: list[Series] = []
    for start in range(0, len(vanished), ASKED_AT_ONCE):
        part = vanished[start : start + ASKED_AT_ONCE]
        ask = partial(_ask, part, archive, controls)
        found += await (retry_policy.ask(f"the rows of {len(part)} series by UID", ask) if retry_policy else ask())
    return found


async def _ask(part: Sequence[Series], archive: Catalogue, controls: Sequence[Series]) -> list[Series]:
    answered = {row.series_instance_uid: row for row in await archive.find_own_rows([*part, *controls])}
    if not any(control.series_instance_uid in answered for control in controls):
        raise ArchiveFaultError(
            f"{archive.name} returns empty replies for single series, also for series that it has",
            next_step="its database may have failed; try again later",
        )
    return [
        answered[series.series_instance_uid].with_gaps_filled(series) for series in part if series.series_instance_uid in answered
    ]


async def _find_some(archive: Catalogue) -> list[Series]:
    """One series of each of the first few collections."""
    found: list[Series] = []
    for collection in list(await archive.find_collections())[:CONTROLS]:
        async with aclosing(archive.find_series(SeriesQuery(collection=collection))) as rows:
            async for row in rows:
                found.append(row)
                break
    return found
