"""What every generation of the archive's API offers to the rest of tciad."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from downloader.model import Md5Mode, Series, SeriesQuery


class SeriesBody(Protocol):
    """The body of one getImage, while it arrives.

    `md5_list_expected`: the request asked for md5hashes.csv, so its absence proves that the archive stopped half-way
    (ARCHIVE §4.4). `names_are_ordered`: member names are `<acquisition>-<instance>.dcm` (NewFileNames).
    """

    md5_list_expected: bool
    names_are_ordered: bool

    def batches(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield the body in lists of chunks that together hold 1 MiB or more (the last fewer).

        Raises:
            CutTransferError: the connection ended before the body did.
            StalledTransferError: no bytes for the idle time, or fewer than the minimum rate.
        """
        ...


class Archive(Protocol):
    """One archive, spoken to in one generation. Methods raise ArchiveError or TransferError and nothing else."""

    name: str
    generation: str

    def find_series(self, query: SeriesQuery) -> AsyncIterator[Series]:
        """Ask getSeries and yield each row, parsed while it arrives.

        Attributes of the query that this generation cannot ask are left out: the caller filters the rows again.
        An empty reply yields nothing, which proves nothing (ARCHIVE §2.4).
        """
        ...

    def find_listed_series(self, series_instance_uids: Sequence[str]) -> AsyncIterator[Series]:
        """Yield the catalogue's row for each of these series that it lists; those it does not list are simply missing."""
        ...

    async def find_collections(self) -> Sequence[str]:
        """Names of all collections that the caller may see (getCollectionValues)."""
        ...

    def open_series(self, series: Series, md5: Md5Mode) -> AbstractAsyncContextManager[SeriesBody]:
        """Ask for the images of one series and enter once status and headers say that a ZIP follows.

        Raises:
            AccessDeniedError: the archive refuses this series (ARCHIVE §4.4: unknown, private, or a passing fault).
            UnexpectedReplyError: `md5` is `require` and this generation offers no list.
        """
        ...
