"""One series under construction: in memory while it is small, otherwise in a folder."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from downloader.errors import TciadError, WrongSeriesError
from downloader.library.local.filesystem import (
    FileSystemErrors,
    FreeSpace,
    make_new_folder,
    remove_folder,
    rename_within,
    sync_files,
    sync_folder,
    write_new,
    write_synced,
)
from downloader.library.local.incoming_image import IncomingImage, identify
from downloader.library.local.journal import Journal, Staged, journal_path, part_name
from downloader.library.local.staging_names import leave
from downloader.library.local.tree import SeriesTree
from downloader.library.model import SeriesLocation
from downloader.library.names import name_images, receipt_image
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
)

HELD_BYTES = 4 * 1024 * 1024
"""The maximum size of the images of a series in memory, without the last block of data."""
HELD_IMAGES = 64
"""The maximum number of images of a series in memory: while it is written, each has an open file."""


class LocalStaging:
    """Implements Staging in `folder`, for one thread at a time.

    `staged` is the result of earlier attempts; `left` is the folder for the result of this one.

    A series without staged images that arrives in one portion stays in memory until it grows too large, fails or is committed.
    Written at once, its images need no journal, no temporary names, and no second opening for the sync: for a small series that
    is most of the work (docs/decisions/0010). Images of earlier portions are on the disk.

    On the disk, images are named by their position until all have arrived: the source's names are never paths. The folder is
    created for the first image; if no attempt left anything, existing content is removed.
    """

    keeps_parts = True

    def __init__(
        self,
        series: Series,
        folder: Path,
        staged: Staged,
        tree: SeriesTree,
        free_space: FreeSpace,
        errors: FileSystemErrors,
        *,
        left: Path | None = None,
    ) -> None:
        self._series = series
        self._folder = folder
        self._left = left or folder
        self._has_folder = not staged.is_empty
        self._prefix = f"{folder}/"
        self._tree = tree
        self._free_space = free_space
        self._errors = errors
        self._journal = Journal(journal_path(folder), series)
        self._staged = staged
        self._license_text = staged.license_text
        self._images = dict(staged.images)
        self._arrived: dict[str, StagedImage] = {}
        self._position = max((image.position for image in staged.images.values()), default=-1)
        self._image: IncomingImage | None = None
        self._unnoted: StagedImage | None = None
        # images in memory by position; None once the series is on the disk
        self._held: dict[int, list[bytes]] | None = None
        self._images_written = 0
        self._is_over = False

    @property
    def salvage(self) -> Salvage:
        """See the port."""
        return Salvage(
            images=tuple(self._staged.images.values()),
            received_bytes=self._staged.received_bytes,
            broken_streams=self._staged.broken_streams,
        )

    @property
    def images_written(self) -> int:
        """See the port."""
        return self._images_written

    @property
    def arrived(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return tuple(self._arrived.values())

    def take(self, portion: Portion) -> None:
        """See the port."""
        with self._errors:
            if portion.is_last and not self._has_folder:
                self._held = {}
            held_bytes = 0
            for event in portion.events:
                if isinstance(event, ImageData):
                    if self._image is None:
                        raise TciadError("received data of an image without its start")
                    self._image.write(event.data)
                    held_bytes += len(event.data)
                    if self._held is not None and held_bytes > HELD_BYTES:
                        self._move_to_disk()
                elif isinstance(event, ImageStarted):
                    self._begin(event)
                elif isinstance(event, ImageEnded):
                    self._end()
                elif isinstance(event, LicenseReceived):
                    self._take_license(event.text)
                elif self._unnoted is not None:
                    self._note_followed(self._unnoted)

    def images(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return tuple(self._images.values())

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """See the port."""
        wanted = {image.sop_instance_uid: image for image in images}
        with self._errors:
            for sop_instance_uid, image in self._images.items():
                if sop_instance_uid not in wanted:
                    self._remove(image)
        self._images = wanted

    def named_images(self) -> tuple[Image, ...]:
        """See the port."""
        return tuple(receipt_image(name, staged) for name, staged in self._named().items())

    def stored_zip(self) -> None:
        """See the port."""
        return

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """See the port. The collection's LICENSE is written with its first series."""
        named = self._named()
        if [(image.name, image.md5) for image in receipt.images] != [(name, image.md5) for name, image in named.items()]:
            raise TciadError("the receipt lists other images than were staged")
        with self._errors:
            if self._image is not None:
                self._drop_unfinished(self._image)
            if self._held is not None:
                self._free_space.require(self._series.series_instance_uid, receipt.stored_bytes)
                make_new_folder(self._folder)
                contents = {name: self._held[image.position] for name, image in named.items()}
                write_synced(self._folder, {RECEIPT_NAME: [encode_receipt(receipt)], **contents})
            else:
                if self._unnoted is not None:
                    self._note_followed(self._unnoted)
                self._need_folder()
                # the receipt first: after a kill it shows a later start which image has which name
                write_new(self._folder / RECEIPT_NAME, encode_receipt(receipt))
                rename_within(self._folder, ((part_name(image.position), name) for name, image in named.items()))
                sync_files(self._folder, (*named, RECEIPT_NAME))
                sync_folder(self._folder)
            place = self._tree.put(self._folder, receipt, self._license_text)
            if self._held is None:
                self._journal.remove()
        self._is_over = True
        return place

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:
        """See the port."""
        if self._is_over:
            return
        with self._errors:
            if self._image is not None:
                self._drop_unfinished(self._image)
            if self._held is not None:
                self._move_to_disk()
            if self._unnoted is not None:
                # if the archive fails within an image, it still ends the ZIP properly: the last image may be incomplete
                # (docs/archives.md#failed-downloads)
                self._remove(self._images.pop(self._unnoted.sop_instance_uid))
            self._drop_doubtful()
            if not self._images and not line_broke:
                self.discard()
                return
            self._need_folder()
            self._journal.note_attempt(received_bytes=received_bytes, broken_streams=int(line_broke))
            self._journal.close()
            leave(self._folder, self._left)
        self._is_over = True

    def discard(self) -> None:
        """See the port."""
        if self._is_over:
            return
        with self._errors:
            if self._image is not None:
                self._image.close()
            self._journal.remove()
            remove_folder(self._folder)
        self._is_over = True

    def _named(self) -> Mapping[str, StagedImage]:
        """The images by their future names in the library."""
        return name_images(tuple(self._images.values()))

    def _begin(self, started: ImageStarted) -> None:
        if self._image is not None:
            self._drop_unfinished(self._image)
        if self._unnoted is not None:
            self._note_followed(self._unnoted)
        if self._held is not None and len(self._held) == HELD_IMAGES:
            self._move_to_disk()
        self._position += 1
        if self._held is not None:
            self._held[self._position] = []
            self._image = IncomingImage(started, None, self._held[self._position])
            return
        self._free_space.require(self._series.series_instance_uid)  # other processes write to the same disk
        self._need_folder()
        self._image = IncomingImage(started, self._prefix + part_name(self._position))

    def _end(self) -> None:
        ended = self._image
        if ended is None:
            raise TciadError("received the end of an image without its start")
        image = identify(ended, self._position, self._series)
        if image.sop_instance_uid in self._arrived and not ended.started.sop_instance_uid:
            raise WrongSeriesError(
                f"image {image.sop_instance_uid} was received twice", series_instance_uid=image.series_instance_uid
            )
        self._image = None
        self._images_written += 1
        known = self._images.get(image.sop_instance_uid)
        if known is not None and known.md5 == image.md5:
            self._remove(image)
            image = replace(image, position=known.position)
        else:
            if known is not None:
                self._remove(known)
            if not image.ends_whole and not image.doubt:
                self._unnoted = image
            elif not image.doubt and self._held is None:
                self._journal.note_image(image)
        self._images[image.sop_instance_uid] = image
        if not ended.started.sop_instance_uid:
            self._arrived[image.sop_instance_uid] = image

    def _take_license(self, text: bytes) -> None:
        if self._has_folder and self._staged.license_text is None:
            self._journal.note_license(text)
        self._license_text = text

    def _move_to_disk(self) -> None:
        """Write the images in memory to the disk, as if they had been written on arrival."""
        contents, self._held = self._held or {}, None
        self._free_space.require(self._series.series_instance_uid)
        self._need_folder()
        for image in self._images.values():
            write_new(self._part(image), b"".join(contents[image.position]))
            if image is not self._unnoted and not image.doubt:
                self._journal.note_image(image)
        if self._image is not None:
            self._image.move_to(self._prefix + part_name(self._position))

    def _need_folder(self) -> None:
        if not self._has_folder:
            make_new_folder(self._folder)
            self._has_folder = True
            # not before: a series in memory has no journal, whichever portion brought its licence
            if self._license_text is not None:
                self._journal.note_license(self._license_text)

    def _drop_doubtful(self) -> None:
        """Remove images that only the archive's list could prove: the next attempt may come without it."""
        for image in [image for image in self._images.values() if image.doubt]:
            self._remove(self._images.pop(image.sop_instance_uid))

    def _note_followed(self, image: StagedImage) -> None:
        """Mark an image as complete: another image or text followed it, or it is proven."""
        self._unnoted = None
        if self._held is None:
            self._journal.note_image(image)

    def _drop_unfinished(self, image: IncomingImage) -> None:
        """Drop an image that did not end."""
        image.close()
        if self._held is not None:
            del self._held[self._position]
        else:
            Path(self._prefix + part_name(self._position)).unlink(missing_ok=True)
        self._image = None

    def _remove(self, image: StagedImage) -> None:
        if self._held is not None:
            del self._held[image.position]
        else:
            self._part(image).unlink()

    def _part(self, image: StagedImage) -> Path:
        return self._folder / part_name(image.position)
