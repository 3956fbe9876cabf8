"""One series under construction as the archive's ZIP: written as it arrives, its images proven on the way."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from downloader.errors import TciadError, WrongSeriesError
from downloader.library.local.filesystem import (
    NEW_FILE,
    FileSystemErrors,
    FreeSpace,
    remove_folder,
    sync_files,
    sync_folder,
    write_all,
    write_new,
)
from downloader.library.local.incoming_image import IncomingImage, identify
from downloader.library.local.tree import SeriesTree
from downloader.library.model import SeriesLocation
from downloader.library.names import receipt_image, safe_name
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.library.sink import Salvage
from downloader.model import (
    Image,
    ImageData,
    ImageEnded,
    ImageStarted,
    LicenseReceived,
    Portion,
    Receipt,
    Series,
    StagedImage,
    StoredZip,
)

_NOTHING: Final = Salvage()


class ZipStaging:
    """Implements Staging in `folder`, which is new and empty, for one thread at a time.

    The next attempt cannot use the result of an interrupted one: each ZIP is generated anew (docs/archives.md#zip-bytes), so none
    can be resumed.
    """

    salvage = _NOTHING
    keeps_parts = False

    def __init__(self, series: Series, folder: Path, tree: SeriesTree, free_space: FreeSpace, errors: FileSystemErrors) -> None:
        self._series = series
        self._folder = folder
        self._tree = tree
        self._free_space = free_space
        self._errors = errors
        self._name = f"{safe_name(series.series_instance_uid)}.zip"
        self._descriptor = os.open(folder / self._name, NEW_FILE, 0o666)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size_bytes = 0
        self._images: dict[str, StagedImage] = {}
        self._license_text: bytes | None = None
        self._image: IncomingImage | None = None
        self._is_over = False

    @property
    def images_written(self) -> int:
        """See the port."""
        return len(self._images)

    @property
    def arrived(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return tuple(self._images.values())

    def take(self, portion: Portion) -> None:
        """See the port."""
        with self._errors:
            for chunk in portion.original:
                write_all(self._descriptor, chunk)
                self._md5.update(chunk)
                self._size_bytes += len(chunk)
            for event in portion.events:
                if isinstance(event, ImageData):
                    self._begun_image().write(event.data)
                elif isinstance(event, ImageStarted):
                    self._begin(event)
                elif isinstance(event, ImageEnded):
                    self._end(self._begun_image())
                elif isinstance(event, LicenseReceived):
                    self._license_text = event.text

    def images(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return self.arrived

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """See the port. There are only images of this ZIP."""
        if {image.sop_instance_uid for image in images} != self._images.keys():
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
            raise TciadError("the receipt describes another ZIP than was staged")
        with self._errors:
            self._close()
            write_new(self._folder / RECEIPT_NAME, encode_receipt(receipt))
            sync_files(self._folder, (self._name, RECEIPT_NAME))
            sync_folder(self._folder)
            place = self._tree.put(self._folder, receipt, self._license_text)
        self._is_over = True
        return place

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:  # noqa: ARG002  the port's signature
        """See the port. A ZIP that ended early is useless."""
        self.discard()

    def discard(self) -> None:
        """See the port."""
        if self._is_over:
            return
        with self._errors:
            self._close()
            remove_folder(self._folder)
        self._is_over = True

    def _begin(self, started: ImageStarted) -> None:
        if started.sop_instance_uid:
            raise TciadError(f"{started.sop_instance_uid} was received as a single image, but the series is stored as a ZIP")
        self._free_space.require(self._series.series_instance_uid)  # other processes write to the same disk
        self._image = IncomingImage(started, None)

    def _end(self, ended: IncomingImage) -> None:
        image = identify(ended, len(self._images), self._series)
        if image.sop_instance_uid in self._images:
            raise WrongSeriesError(
                f"image {image.sop_instance_uid} was received twice", series_instance_uid=image.series_instance_uid
            )
        self._images[image.sop_instance_uid] = image
        self._image = None

    def _begun_image(self) -> IncomingImage:
        if self._image is None:
            raise TciadError("received data of an image without its start")
        return self._image

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
