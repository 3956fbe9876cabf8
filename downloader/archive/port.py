"""What every generation of the archive's API offers to the rest of tciad."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from downloader.model import Md5Mode, Series, SeriesQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSize:
    """What the archive counts for one series apart from its catalogue row; None where it does not know."""

    image_count: int | None = None
    file_size_bytes: int | None = None


class SeriesBody(Protocol):
    """The body of one getImage, while it arrives.

    `md5_list_expected`: the request asked for md5hashes.csv, so its absence proves that the archive stopped half-way
    (ARCHIVE §4.4). `names_are_ordered`: member names are `<acquisition>-<instance>.dcm` (NewFileNames).
    """

    @property
    def md5_list_expected(self) -> bool: ...  # noqa: D102  told above

    @property
    def names_are_ordered(self) -> bool: ...  # noqa: D102  told above

    def batches(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield the body in lists of chunks that together hold 1 MiB or more (the last fewer).

        Raises:
            CutTransferError: the connection ended before the body did.
            StalledTransferError: no bytes for the idle time, or fewer than the minimum rate.
        """
        ...


class ImageBody(Protocol):
    """The body of one getSingleImage, while it arrives: a bare DICOM file."""

    def batches(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield the body as `SeriesBody.batches` does, and raise as it does."""
        ...


class Archive(Protocol):
    """One archive, spoken to in one generation. Methods raise ArchiveError or TransferError and nothing else."""

    name: str
    generation: str

    def find_series(self, query: SeriesQuery) -> AsyncGenerator[Series, None]:
        """Ask getSeries and yield each row, parsed while it arrives.

        Attributes of the query that this generation cannot ask are left out: the caller filters the rows again.
        An empty reply yields nothing, which proves nothing (ARCHIVE §2.4). Whoever leaves before the end closes the iterator
        (contextlib.aclosing), which ends the reply.
        """
        ...

    def find_listed_series(self, series_instance_uids: Sequence[str]) -> AsyncGenerator[Series, None]:
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

    async def find_series_size(self, series_instance_uid: str) -> SeriesSize:
        """Ask getSeriesSize, which is slow: for catalogues whose rows say neither image count nor size."""
        ...

    async def find_sop_instance_uids(self, series_instance_uid: str) -> Sequence[str]:
        """The images that the archive lists for a series; it may list more, or none, of what it sends (ARCHIVE §3.3)."""
        ...

    def open_image(self, series_instance_uid: str, sop_instance_uid: str) -> AbstractAsyncContextManager[ImageBody]:
        """Ask for one image and enter once status and headers say that it follows.

        Raises:
            ArchiveFaultError: the archive failed; it says the same of an image that it does not have (ARCHIVE §4.1).
        """
        ...

    async def find_image_md5(self, sop_instance_uid: str) -> str:
        """The archive's MD5 of one image, 32 lower-case hex digits; empty where it has none."""
        ...

    async def find_series_md5(self, series_instance_uid: str) -> str:
        """The MD5 of a series' image MD5s, joined in ascending order (ARCHIVE §3.5); empty where the archive has none."""
        ...
