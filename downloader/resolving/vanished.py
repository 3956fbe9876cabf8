"""Sends a second, different query about series that a resolve did not find: only series missing in both are withdrawn."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from downloader.errors import ArchiveError, TransferError
from downloader.model import Series
from downloader.store.port import Intake

AskOwnRows = Callable[[str, Sequence[Series]], Awaitable[Sequence[Series]]]
"""Returns the rows that the archive of that name gives for single series; raises ArchiveError or TransferError."""


@dataclass(slots=True)
class SecondAnswer:
    """The responses of the archives about vanished series, requested singly.

    `denied` are the series that no query finds, by SeriesInstanceUID; `listed` has the rows of those that are still listed, by
    archive. `unanswered` has the reason for each archive that did not answer or was not trusted; `left` counts their series.
    """

    denied: list[str] = field(default_factory=list)
    listed: dict[str, list[Series]] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    left: int = 0

    def warnings(self) -> list[str]:
        """Warnings for the user."""
        told = [
            f"{archive} contradicts itself: its lists omit {len(rows)} series that it lists for single-series queries, "
            f"such as {rows[0].series_instance_uid}; they are kept, and series that were never listed may be missing"
            for archive, rows in self.listed.items()
        ]
        if self.unanswered:
            told.append(
                f"the archive's lists no longer name {self.left} series, and queries for the single series failed "
                f"({'; '.join(self.unanswered.values())}); no series was marked as withdrawn. Run again to repeat the queries"
            )
        return told


async def ask_about_vanished(
    manifest: str, resolve: int, store: Intake, archives: Sequence[str], ask_own_rows: AskOwnRows
) -> SecondAnswer:
    """Request the row of each series that vanished from the manifest in this resolve.

    Args:
        manifest: the name of the manifest.
        resolve: the number of the resolve.
        store: the store with the series.
        archives: the archives of the manifest now. A series of an archive that the manifest no longer uses is requested from all
            of them.
        ask_own_rows: requests series from one archive.

    Raises:
        StoreError: the store cannot be used.
    """
    asked: dict[str, list[Series]] = defaultdict(list)
    async for row in store.find_vanished(manifest, resolve):
        for archive in [row.archive] if row.archive in archives else archives:
            asked[archive].append(row.series)
    answer = SecondAnswer()
    undecided: set[str] = set()
    kept: set[str] = set()
    for archive, series in asked.items():
        try:
            rows = await ask_own_rows(archive, series)
        except (ArchiveError, TransferError) as error:
            answer.unanswered[archive] = str(error)
            undecided.update(one.series_instance_uid for one in series)
            continue
        if rows:
            answer.listed[archive] = list(rows)
            kept.update(row.series_instance_uid for row in rows)
    everything = dict.fromkeys(one.series_instance_uid for series in asked.values() for one in series)
    answer.left = len(undecided - kept)
    answer.denied = [name for name in everything if name not in kept and name not in undecided]
    return answer
