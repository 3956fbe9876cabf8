"""One series under construction as the ZIP that the archive sends: written as it comes, its members proven in passing."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from downloader.errors import TciadError
from downloader.library.image_names import receipt_image
from downloader.library.local.errors import LibraryFaults
from downloader.library.local.filesystem import NEW_FILE, remove_folder, sync_files, sync_folder, write_all, write_new
from downloader.library.local.free_space import FreeSpace
from downloader.library.local.received import Arrivals
from downloader.library.local.tree import SeriesTree
from downloader.library.local.zip_members import (
    LONGEST_TEXT_BYTES,
    ImageMember,
    TextMember,
    identify,
)
from downloader.library.model import SeriesLocation
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.library.safe_names import safe_name
from downloader.library.sink import Salvage
from downloader.model import Image, Receipt, Series, StagedImage, StagedSeries, StoredZip
from downloader.zipstream import MemberData, MemberStarted, ZipEvent

_NOTHING: Final = Salvage()


class ZipStaging:
    """Implements Staging in `folder`, which is new and empty, for one thread at a time.

    What an attempt leaves is of no use to the next one: each ZIP is made anew (docs/archives.md#zip-bytes), so none can be
    continued.
    """

    salvage = _NOTHING
    keeps_parts = False

    def __init__(self, series: Series, folder: Path, tree: SeriesTree, free_space: FreeSpace, faults: LibraryFaults) -> None:
        self._series = series
        self._folder = folder
        self._tree = tree
        self._free_space = free_space
        self._faults = faults
        self._name = f"{safe_name(series.series_instance_uid)}.zip"
        self._descriptor = os.open(folder / self._name, NEW_FILE, 0o666)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size_bytes = 0
        self._arrivals = Arrivals()
        self._member: ImageMember | TextMember | None = None
        self._is_over = False

    @property
    def images_written(self) -> int:
        """See the port."""
        return len(self._arrivals.images)

    def receive(self, chunk: bytes) -> None:
        """See the port."""
        with self._faults:
            write_all(self._descriptor, chunk)
        self._md5.update(chunk)
        self._size_bytes += len(chunk)

    def take(self, event: ZipEvent) -> None:
        """See the port.

        Raises:
            UnsafeMemberError: a name that no honest archive sends, a name that was there before, or an endless text.
        """
        if isinstance(event, MemberStarted):
            self._start(event.name)
        elif self._member is None:
            raise TciadError("the ZIP reader gave data outside of any member")
        elif isinstance(event, MemberData):
            self._member.write(event.data)
        elif isinstance(self._member, ImageMember):
            self._end_image(self._member)
        else:
            self._arrivals.add_text(self._member)
            self._member = None

    def begin_image(self, sop_instance_uid: str) -> None:
        """Images do not come singly into a ZIP: there is nothing that they could be added to."""
        raise _no_single_image(sop_instance_uid)

    def write_image(self, chunks: Sequence[bytes]) -> None:
        """See `begin_image`."""
        raise _no_single_image(f"of {len(chunks)} chunks")

    def end_image(self, sop_instance_uid: str) -> None:
        """See `begin_image`."""
        raise _no_single_image(sop_instance_uid)

    def contents(self) -> StagedSeries:
        """See the port."""
        return self._arrivals.contents()

    def images(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return tuple(self._arrivals.images.values())

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """See the port. Nothing is here but what came in this ZIP."""
        if {image.sop_instance_uid for image in images} != self._arrivals.images.keys():
            raise TciadError("a ZIP that is kept as it was sent cannot be narrowed to some of its images")

    def named_images(self) -> tuple[Image, ...]:
        """The images by the names of their members in the ZIP."""
        named = sorted(self.images(), key=lambda image: image.member_name)
        return tuple(receipt_image(image.member_name, image) for image in named)

    def stored_zip(self) -> StoredZip:
        """See the port."""
        return StoredZip(name=self._name, size_bytes=self._size_bytes, md5=self._md5.hexdigest())

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """See the port. The collection's LICENSE is written with its first series."""
        if receipt.zip != self.stored_zip() or receipt.images != self.named_images():
            raise TciadError("the receipt tells of another ZIP than was staged")
        with self._faults:
            self._close()
            write_new(self._folder / RECEIPT_NAME, encode_receipt(receipt))
            sync_files(self._folder, (self._name, RECEIPT_NAME))
            sync_folder(self._folder)
            place = self._tree.put(self._folder, receipt, self._arrivals.license_text)
        self._is_over = True
        return place

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:  # noqa: ARG002  the port's signature
        """See the port. Nothing of a ZIP that ended early can be used."""
        self.discard()

    def discard(self) -> None:
        """See the port."""
        if self._is_over:
            return
        with self._faults:
            self._close()
            remove_folder(self._folder)
        self._is_over = True

    def _start(self, name: str) -> None:
        self._arrivals.begin(name)
        with self._faults:
            self._free_space.require(self._series.series_instance_uid)  # others write to the same disk meanwhile
        self._member = TextMember(name) if name in LONGEST_TEXT_BYTES else ImageMember(f"member {name!r} of the ZIP", None, name)

    def _end_image(self, member: ImageMember) -> None:
        image = identify(member, len(self._arrivals.images), self._series)
        self._arrivals.refuse_known(image)
        self._arrivals.add_image(image)
        self._member = None

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _no_single_image(which: str) -> TciadError:
    return TciadError(f"image {which} came singly, and the series is kept as the ZIP that the archive sends")
