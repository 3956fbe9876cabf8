"""Asks a second, different question about series that a resolve did not name: only what that denies too is withdrawn."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from downloader.errors import ArchiveError, TransferError
from downloader.model import Series
from downloader.store.port import Intake

AskOwnRows = Callable[[str, Sequence[Series]], Awaitable[Sequence[Series]]]
"""Gives the rows of those series that the archive of that name still lists; raises ArchiveError or TransferError."""


@dataclass(slots=True)
class SecondAnswer:
    """What the archives say of the vanished series when each is asked for by itself.

    `denied` are those that no question finds, by SeriesInstanceUID; `listed` the rows of those that are still there, by archive;
    `unanswered` says for each archive that could not be asked, or was not believed, why; `left` counts its series.
    """

    denied: list[str] = field(default_factory=list)
    listed: dict[str, list[Series]] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    left: int = 0

    def warnings(self) -> list[str]:
        """What the user should know of it."""
        told = [
            f"{archive} contradicts itself: its lists leave out {len(rows)} series that it lists when asked for each by itself, "
            f"such as {rows[0].series_instance_uid}; they stay as they are, and series that were never listed may be missing"
            for archive, rows in self.listed.items()
        ]
        if self.unanswered:
            told.append(
                f"the archive's lists no longer name {self.left} series, and it cannot be asked for each by itself "
                f"({'; '.join(self.unanswered.values())}); none of these was marked as withdrawn. Run again to ask once more"
            )
        return told


async def ask_about_vanished(
    manifest: str, resolve: int, store: Intake, archives: Sequence[str], ask_own_rows: AskOwnRows
) -> SecondAnswer:
    """Ask for the own row of each series that vanished from the manifest in this resolve.

    Args:
        manifest: its name.
        resolve: the number of the resolve.
        store: where its series are known.
        archives: those that the manifest asks now. A series of an archive that it asks no longer is asked of all of these.
        ask_own_rows: asks one archive for some series.

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
