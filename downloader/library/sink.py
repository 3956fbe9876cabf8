"""The port by which series come into a library: staging, and the step from there into the tree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from downloader.library.model import ForeignImage, SeriesLocation
from downloader.model import Image, Receipt, Series, StagedImage, StagedSeries, StoredZip
from downloader.zipstream import ZipEvent, ZipLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What earlier attempts at the series left in staging: images that still hold the bytes that came.

    `received_bytes` came over the line in these attempts; `broken_streams` of them ended because the line did. Both lack what
    attempts of a killed process had to tell.
    """

    images: tuple[StagedImage, ...] = ()
    received_bytes: int = 0
    broken_streams: int = 0


class HeldStaging(Protocol):
    """A small series that is taken whole from memory. Nothing is on the disk before `commit`, so there is nothing to undo."""

    @property
    def limits(self) -> ZipLimits:
        """How much a ZIP may hold to be held."""
        ...

    def take(self, event: ZipEvent) -> None:
        """Hash, identify and hold what the ZIP reader found. Raises as `Staging.take`."""
        ...

    def contents(self) -> StagedSeries:
        """See `Staging.contents`."""
        ...

    def named_images(self) -> tuple[Image, ...]:
        """See `Staging.named_images`."""
        ...

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """Write everything, and put it into the library as `Staging.commit` does."""
        ...


class Staging(Protocol):
    """One series under construction. Raises LibraryError and NoSpaceError; the `take` of a member also TransferErrors."""

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
        """Images written and closed so far in this attempt."""
        ...

    def receive(self, chunk: bytes) -> None:
        """Take the next bytes of the ZIP itself, before what the ZIP reader finds in them."""
        ...

    def take(self, event: ZipEvent) -> None:
        """Write what the ZIP reader found; hash and identify it while it passes by.

        Raises:
            NotDicomError: a member that should be an image is none.
            WrongSeriesError: an image of another series, or an SOP instance that is already here.
        """
        ...

    def begin_image(self, sop_instance_uid: str) -> None:
        """Start to write an image that comes singly. One that began and did not end is dropped."""
        ...

    def write_image(self, chunks: Sequence[bytes]) -> None:
        """Write the next bytes of it.

        Raises:
            NotDicomError: it is no DICOM file.
        """
        ...

    def end_image(self, sop_instance_uid: str) -> None:
        """The image is whole: its body ended as HTTP says it must.

        Raises:
            NotDicomError: it is no DICOM file.
            WrongSeriesError: an image of another series, or another one of this.
        """
        ...

    def contents(self) -> StagedSeries:
        """What the ZIP of this attempt brought, for the completeness rules. Images that were here before are named as it does.

        Does not block.
        """
        ...

    def images(self) -> tuple[StagedImage, ...]:
        """All images that are here, however they came, each SOP instance once: the newest of it."""
        ...

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """Remove all images but these, which are here."""
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
        """
        ...

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:
        """End the attempt and leave its whole images to the next one. Does nothing after `commit` or `discard`.

        `received_bytes` came over the line in this attempt; `line_broke` tells that this is what ended it. The images need not be
        on the disk yet: whoever begins the next attempt hashes them.
        """
        ...

    def discard(self) -> None:
        """Remove everything staged. Safe to call twice, and after `commit` or `keep` (then it does nothing)."""
        ...


class Adoption(Protocol):
    """One series of a foreign tree on its way into the library. Nothing of the tree is changed."""

    def images(self) -> tuple[StagedImage, ...]:
        """All images, as they were hashed in the tree."""
        ...

    def named_images(self) -> tuple[Image, ...]:
        """The images under the names that they will have in the library, in the order of those names."""
        ...

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """Link or copy the images, and put the series into the library as Staging.commit does.

        Raises:
            DigestMismatchError: a file changed after it was hashed.
        """
        ...

    def discard(self) -> None:
        """Remove what was brought so far. Does nothing after `commit`."""
        ...


class SeriesSink(Protocol):
    """Takes in series: what an attempt at one works with. Blocks: call it in a worker thread."""

    def begin(self, series: Series) -> Staging:
        """Make a staging folder for one attempt at `series`, with the images that earlier ones left and that can be believed.

        Each is hashed again. None are kept of a series whose ImageCount, FileSize or dates have changed since.
        """
        ...

    def hold(self, series: Series) -> HeldStaging | None:
        """A way to take a whole series from memory when nothing of it is staged; None where it is too large, or kept as a ZIP."""
        ...

    def require_room(self, series: Series, needed_bytes: int) -> None:
        """Refuse to begin a series that is known to need so much, where there is less room beside what is to stay free.

        Raises:
            NoSpaceError: there is.
        """
        ...

    def adopt(self, series: Series, images: Sequence[ForeignImage], *, link: bool) -> Adoption:
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

        Whoever put it there may have been killed before they were.
        """
        ...

    def drop_staged(self, series: Series) -> None:
        """Remove what lies in staging of a series that turned out to be in the library already."""
        ...
