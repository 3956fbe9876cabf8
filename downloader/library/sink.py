"""The port by which series come into a library: staging, and the step from there into the tree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from downloader.library.model import ForeignImage, SeriesLocation
from downloader.model import Image, Portion, Receipt, Series, StagedImage, StoredZip


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What earlier attempts at the series left in staging: images that still hold the bytes that came.

    `received_bytes` came over the line in these attempts; `broken_streams` of them ended because the line did. Both lack what
    attempts of a killed process had to tell.
    """

    images: tuple[StagedImage, ...] = ()
    received_bytes: int = 0
    broken_streams: int = 0


class StagedSeries(Protocol):
    """Images of one series that are here and wait for their place in the library. Blocks.

    Raises LibraryError and NoSpaceError. A series that is adopted from a foreign tree is linked or copied by `commit`; nothing of
    the tree is changed.
    """

    def images(self) -> tuple[StagedImage, ...]:
        """All images that are here, however they came, each SOP instance once: the newest of it."""
        ...

    def named_images(self) -> tuple[Image, ...]:
        """The staged images under the names that they will have in the library, in the order of those names."""
        ...

    def stored_zip(self) -> StoredZip | None:
        """The ZIP that came, where the series is kept as one; None where its images are files."""
        ...

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """Sync every file, write the receipt, rename the folder into the library, sync the folder above.

        A series folder that is already there is replaced by one exchange.

        Raises:
            DigestMismatchError: an image of a foreign tree changed after it was hashed.
        """
        ...

    def discard(self) -> None:
        """Remove everything staged. Safe to call twice, and after `commit` or `keep` (then it does nothing)."""
        ...


class Staging(StagedSeries, Protocol):
    """One series under construction in one attempt, for one thread at a time."""

    @property
    def salvage(self) -> Salvage:
        """What was here when this attempt began."""
        ...

    @property
    def keeps_parts(self) -> bool:
        """Whether images of an attempt that broke off are of use to the next one."""
        ...

    @property
    def images_written(self) -> int:
        """Images that ended so far in this attempt."""
        ...

    def take(self, portion: Portion) -> None:
        """Hash, identify and stage what a transfer brings. An image that began and did not end is dropped when another begins.

        Afterwards the images are on the disk, so that a kill does not lose them. Only a series of which nothing is here, and
        which comes in one portion, stays in memory until it grows too large.

        Raises:
            NotDicomError: an image is empty, or one that was asked for singly is none.
            WrongSeriesError: an image of another series, another one than was asked for, or one that came before in this attempt.
            TransferError: the events of the portion raised it.
        """
        ...

    @property
    def arrived(self) -> tuple[StagedImage, ...]:
        """The images that the transfer of the whole series brought in this attempt, in order of arrival. Does not block.

        Images that were here before are named as this transfer names them.
        """
        ...

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """Remove all images but these, which are here."""
        ...

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:
        """End the attempt and leave its whole images to the next one. Does nothing after `commit` or `discard`.

        `received_bytes` came over the line in this attempt; `line_broke` tells that this is what ended it. The images need not be
        on the disk yet: the next attempt hashes them.
        """
        ...


class SeriesSink(Protocol):
    """Takes in series: what an attempt at one works with. Blocks: call it in a worker thread."""

    def begin(self, series: Series, claim_id: str = "", *, has_original: bool = True) -> Staging:
        """Begin one attempt at `series`, with the images that earlier ones left and that can be believed.

        Each is hashed again. None are kept of a series whose ImageCount, FileSize or dates have changed since. Attempts under
        different claims never share a folder. `has_original` means that the series comes as one ZIP, which a library that keeps
        ZIPs stores; else its images become files in any library.
        """
        ...

    def require_room(self, series: Series, needed_bytes: int) -> None:
        """Refuse to begin a series that is known to need so much, where there is less room beside what is to stay free.

        Raises:
            NoSpaceError: there is.
        """
        ...

    def adopt(self, series: Series, images: Sequence[ForeignImage], *, link: bool) -> StagedSeries:
        """Begin to take over a series whose images lie elsewhere, each SOP instance once.

        `link`: the library shares the files with the tree where the file system can; else, and where it cannot, they are copied.
        """
        ...

    def find_receipt(self, series: Series) -> Receipt | None:
        """The receipt in the series' folder, if it is there, can be read, and all its images are there in their sizes."""
        ...

    def folder_of(self, series: Series) -> PurePosixPath:
        """Where the series lies, or will lie, relative to the library."""
        ...

    def best_folder(self, series: Series) -> PurePosixPath:
        """Where the layout would have the series if no other lay there."""
        ...

    def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """Put another receipt of the same images in place of the one in this folder, in one step; durable."""
        ...

    def make_durable(self, folder: PurePosixPath) -> None:
        """Return once the names that lead to the folder of a series are on the disk.

        The process that put it there may have been killed before they were.
        """
        ...

    def drop_staged(self, series: Series) -> None:
        """Remove what lies in staging of a series that turned out to be in the library already."""
        ...
