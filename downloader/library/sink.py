"""The port through which series are added to a library: staging, and the step from there into the tree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from downloader.library.model import ForeignImage, SeriesLocation
from downloader.model import Image, Portion, Receipt, Series, StagedImage, StoredZip


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """The remains of earlier attempts at the series in staging: images whose bytes are unchanged.

    `received_bytes` were received by these attempts; `broken_streams` of them ended because the connection broke. Both exclude
    attempts of killed processes.
    """

    images: tuple[StagedImage, ...] = ()
    received_bytes: int = 0
    broken_streams: int = 0


class StagedSeries(Protocol):
    """Images of one series that are ready for the library. Blocks.

    Raises LibraryError and NoSpaceError. For a series that is adopted from a foreign tree, `commit` links or copies the images;
    nothing in the tree is changed.
    """

    def images(self) -> tuple[StagedImage, ...]:
        """All images of the series here, each SOP instance once, in its newest version."""
        ...

    def named_images(self) -> tuple[Image, ...]:
        """The staged images with their future names in the library, sorted by name."""
        ...

    def stored_zip(self) -> StoredZip | None:
        """The received ZIP, if the series is stored as one; None if its images are files."""
        ...

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """Sync every file, write the receipt, rename the folder into the library, sync the folder above.

        An existing folder of the series is replaced by an atomic exchange.

        Raises:
            DigestMismatchError: an image of a foreign tree changed after it was hashed.
        """
        ...

    def discard(self) -> None:
        """Remove everything staged. Does nothing after an earlier call, or after `commit` or `keep`."""
        ...


class Staging(StagedSeries, Protocol):
    """One series under construction in one attempt, for one thread at a time."""

    @property
    def salvage(self) -> Salvage:
        """The remains of earlier attempts when this attempt began."""
        ...

    @property
    def keeps_parts(self) -> bool:
        """Whether the next attempt can use images of an interrupted one."""
        ...

    @property
    def images_written(self) -> int:
        """The number of complete images so far in this attempt."""
        ...

    def take(self, portion: Portion) -> None:
        """Hash, identify and stage the images of a portion. An unfinished image is dropped when another begins.

        Afterwards the images are on the disk, so that a kill does not lose them. A series without staged images that arrives in
        one portion stays in memory until it grows too large.

        Raises:
            NotDicomError: an image is empty, or a singly requested one is not DICOM.
            WrongSeriesError: an image is of another series, is not the requested one, or occurred before in this attempt.
            TransferError: the events of the portion raised it.
        """
        ...

    @property
    def arrived(self) -> tuple[StagedImage, ...]:
        """The images of the whole series' transfer in this attempt, in order of arrival. Does not block.

        Images that were staged before have their names in this transfer.
        """
        ...

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """Remove all images except these."""
        ...

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:
        """End the attempt and leave its intact images to the next one. Does nothing after `commit` or `discard`.

        `received_bytes` were received in this attempt; `line_broke`: it ended because the connection broke. The images need not
        be synced: the next attempt hashes them.
        """
        ...


class SeriesSink(Protocol):
    """Adds series: the port of an attempt. Blocks: call it in a worker thread."""

    def begin(self, series: Series, claim_id: str = "", *, has_original: bool = True) -> Staging:
        """Begin an attempt at `series`, with the trustworthy images of earlier ones.

        Each of them is hashed again. None is kept if ImageCount, FileSize or dates of the series have changed. Attempts with
        different claims never share a folder. `has_original` means that the series arrives as one ZIP, which a library of ZIPs
        stores; otherwise its images become files in any library.
        """
        ...

    def require_room(self, series: Series, needed_bytes: int) -> None:
        """Raise an error if a series that needs that much space would leave too little free.

        Raises:
            NoSpaceError: there is too little free space.
        """
        ...

    def adopt(self, series: Series, images: Sequence[ForeignImage], *, link: bool) -> StagedSeries:
        """Begin to adopt a series from a foreign tree, each SOP instance once.

        `link`: share the files with the tree, by links, where the file system can; otherwise they are copied.
        """
        ...

    def find_receipt(self, series: Series) -> Receipt | None:
        """The receipt in the series' folder, if it is valid and all its images exist with their sizes."""
        ...

    def folder_of(self, series: Series) -> PurePosixPath:
        """The folder of the series now, or its future folder, relative to the library."""
        ...

    def best_folder(self, series: Series) -> PurePosixPath:
        """The folder of the layout for the series, if no other series had it."""
        ...

    def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """Replace the receipt in this folder by another one of the same images, atomically; durable."""
        ...

    def make_durable(self, folder: PurePosixPath) -> None:
        """Sync the names of the folders that lead to the folder of a series.

        The process that stored it may have been killed before it synced them.
        """
        ...

    def drop_staged(self, series: Series) -> None:
        """Remove the staging of a series that is in the library already."""
        ...
