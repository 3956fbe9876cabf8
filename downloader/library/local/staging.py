"""One series under construction in a folder of its own, which the tree takes over when the series is complete."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from downloader.errors import NotDicomError, TciadError, WrongSeriesError
from downloader.library.image_names import name_images, receipt_image
from downloader.library.local.errors import LibraryFaults
from downloader.library.local.filesystem import make_new_folder, remove_folder, rename_within, sync_files, sync_folder, write_new
from downloader.library.local.free_space import FreeSpace
from downloader.library.local.journal import Journal, Staged, journal_path
from downloader.library.local.received import Arrivals
from downloader.library.local.recovery import part_name
from downloader.library.local.tree import SeriesTree
from downloader.library.local.zip_members import (
    LICENSE_MEMBER,
    LONGEST_TEXT_BYTES,
    ImageMember,
    TextMember,
    identify,
)
from downloader.library.model import SeriesLocation
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.library.sink import Salvage
from downloader.model import Image, Receipt, Series, StagedImage, StagedSeries
from downloader.zipstream import MemberData, MemberStarted, ZipEvent


class LocalStaging:
    """Implements Staging in `folder`, for one thread at a time. `staged` is what earlier attempts left there.

    Images are called by the position of their member until all have come: what the ZIP calls them is never a path. The folder is
    made for the first of them; where nothing was left, whatever lies there goes.
    """

    keeps_parts = True

    def __init__(
        self, series: Series, folder: Path, staged: Staged, tree: SeriesTree, free_space: FreeSpace, faults: LibraryFaults
    ) -> None:
        self._series = series
        self._folder = folder
        self._has_folder = not staged.is_empty
        self._prefix = f"{folder}/"
        self._tree = tree
        self._free_space = free_space
        self._faults = faults
        self._journal = Journal(journal_path(folder), series)
        self._staged = staged
        self._images = dict(staged.images)
        self._position = max((image.position for image in staged.images.values()), default=-1)
        self._member: ImageMember | TextMember | None = None
        self._unnoted: StagedImage | None = None
        self._images_written = 0
        self._arrivals = Arrivals()
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

    def receive(self, chunk: bytes) -> None:
        """See the port. Members are written by themselves, so their ZIP is not."""

    def take(self, event: ZipEvent) -> None:
        """See the port.

        Raises:
            UnsafeMemberError: a name that no honest archive sends, a name that was there before, or an endless text.
        """
        with self._faults:
            if isinstance(event, MemberStarted):
                self._start(event.name)
            elif self._member is None:
                raise TciadError("the ZIP reader gave data outside of any member")
            elif isinstance(event, MemberData):
                self._member.write(event.data)
            elif isinstance(self._member, ImageMember):
                self._end_member(self._member)
            else:
                self._end_text(self._member)

    def begin_image(self, sop_instance_uid: str) -> None:
        """See the port."""
        with self._faults:
            self._drop_member()
            self._note_followed()
            self._open_image(f"image {sop_instance_uid}", "")

    def write_image(self, chunks: Sequence[bytes]) -> None:
        """See the port."""
        with self._faults:
            for chunk in chunks:
                self._opened_image().write(chunk)

    def end_image(self, sop_instance_uid: str) -> None:
        """See the port."""
        with self._faults:
            image = identify(self._opened_image(), self._position, self._series)
            if image.doubt:
                # no list comes with it that could vouch for its bytes
                raise NotDicomError(image.doubt, series_instance_uid=self._series.series_instance_uid)
            if image.sop_instance_uid != sop_instance_uid:
                raise WrongSeriesError(
                    f"the archive sent image {image.sop_instance_uid} where {sop_instance_uid} was asked for",
                    series_instance_uid=self._series.series_instance_uid,
                )
            self._admit(image)

    def contents(self) -> StagedSeries:
        """See the port."""
        return self._arrivals.contents()

    def images(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return tuple(self._images.values())

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """See the port."""
        wanted = {image.sop_instance_uid: image for image in images}
        with self._faults:
            for sop_instance_uid, image in self._images.items():
                if sop_instance_uid not in wanted:
                    self._part(image).unlink()
        self._images = wanted

    def named_images(self) -> tuple[Image, ...]:
        """See the port."""
        return tuple(receipt_image(name, staged) for name, staged in name_images(self.images()).items())

    def stored_zip(self) -> None:
        """See the port."""
        return

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """See the port. The collection's LICENSE is written with its first series."""
        named = name_images(self.images())
        if [(image.name, image.md5) for image in receipt.images] != [(name, named[name].md5) for name in named]:
            raise TciadError("the receipt tells of other images than were staged")
        with self._faults:
            self._drop_member()
            self._note_followed()
            self._need_folder()
            # the receipt first: it tells whoever comes after a kill which image got which name
            write_new(self._folder / RECEIPT_NAME, encode_receipt(receipt))
            rename_within(self._folder, ((part_name(image.position), name) for name, image in named.items()))
            sync_files(self._folder, (*named, RECEIPT_NAME))
            sync_folder(self._folder)
            license_text = self._arrivals.license_text
            if license_text is None:
                license_text = self._staged.license_text
            place = self._tree.put(self._folder, receipt, license_text)
            self._journal.remove()
        self._is_over = True
        return place

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:
        """See the port."""
        if self._is_over:
            return
        with self._faults:
            self._drop_member()
            if self._unnoted is not None:
                # the archive ends a ZIP in order when it fails in mid-image: the last image may be half of one
                # (docs/archives.md#failed-downloads)
                del self._images[self._unnoted.sop_instance_uid]
                self._part(self._unnoted).unlink()
            self._drop_doubtful()
            if not self._images and not line_broke:
                self.discard()
                return
            self._need_folder()
            self._journal.note_attempt(received_bytes=received_bytes, broken_streams=int(line_broke))
            self._journal.close()
        self._is_over = True

    def discard(self) -> None:
        """See the port."""
        if self._is_over:
            return
        with self._faults:
            if self._member is not None:
                self._member.close()
            self._journal.remove()
            remove_folder(self._folder)
        self._is_over = True

    def _start(self, name: str) -> None:
        self._drop_member()
        self._note_followed()
        self._arrivals.begin(name)
        if name in LONGEST_TEXT_BYTES:
            self._position += 1
            self._member = TextMember(name)
        else:
            self._open_image(f"member {name!r} of the ZIP", name)

    def _open_image(self, what: str, name: str) -> None:
        self._free_space.require(self._series.series_instance_uid)  # others write to the same disk meanwhile
        self._need_folder()
        self._position += 1
        self._member = ImageMember(what, self._prefix + part_name(self._position), name)

    def _need_folder(self) -> None:
        if not self._has_folder:
            make_new_folder(self._folder)
            self._has_folder = True

    def _opened_image(self) -> ImageMember:
        if not isinstance(self._member, ImageMember):
            raise TciadError("data came for an image that never began")
        return self._member

    def _end_text(self, member: TextMember) -> None:
        self._member = None
        self._arrivals.add_text(member)
        if member.name == LICENSE_MEMBER and self._staged.license_text is None:
            self._journal.note_license(member.content())

    def _end_member(self, member: ImageMember) -> None:
        image = identify(member, self._position, self._series)
        self._arrivals.refuse_known(image)
        self._arrivals.add_image(self._admit(image))

    def _admit(self, image: StagedImage) -> StagedImage:
        """Put an image that ended among those that are here; returns it as it lies here."""
        self._member = None
        self._images_written += 1
        known = self._images.get(image.sop_instance_uid)
        if known is not None and known.md5 == image.md5:
            self._part(image).unlink()
            image = replace(image, position=known.position)
        else:
            if known is not None:
                self._part(known).unlink()
            if image.ends_whole and not image.doubt:
                self._journal.note_image(image)
            elif not image.doubt:
                self._unnoted = image
        self._images[image.sop_instance_uid] = image
        return image

    def _drop_doubtful(self) -> None:
        """What only the archive's list could vouch for is of no use to an attempt that may come without it."""
        for image in [image for image in self._images.values() if image.doubt]:
            del self._images[image.sop_instance_uid]
            self._part(image).unlink()

    def _note_followed(self) -> None:
        """What was followed by another member or image, or is proven, was no half image."""
        if self._unnoted is not None:
            image, self._unnoted = self._unnoted, None
            self._journal.note_image(image)

    def _drop_member(self) -> None:
        """Let go of a member that never ended."""
        if isinstance(self._member, ImageMember):
            self._member.close()
            Path(self._prefix + part_name(self._position)).unlink(missing_ok=True)
        self._member = None

    def _part(self, image: StagedImage) -> Path:
        return self._folder / part_name(image.position)
