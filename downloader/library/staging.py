"""One series under construction in a folder of its own, which the shelf takes over when the series is complete."""

from pathlib import Path, PurePosixPath

from downloader.errors import TciadError, UnsafeMemberError, WrongSeriesError
from downloader.library.disk import remove_folder, rename_within, sync_files, sync_folder, write_new
from downloader.library.faults import LibraryFaults
from downloader.library.image_names import name_images
from downloader.library.members import (
    LICENSE_MEMBER,
    LONGEST_TEXT_BYTES,
    MD5_LIST_MEMBER,
    ImageMember,
    TextMember,
    refuse_unsafe_name,
)
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.library.room import Room
from downloader.library.shelf import Shelf
from downloader.model import Image, Receipt, Series, StagedImage, StagedSeries
from downloader.zipstream import MemberData, MemberStarted, ZipEvent


class LocalStaging:
    """Implements Staging in the empty folder `folder`, for one thread at a time.

    Images are called by the position of their member until all have come: what the ZIP calls them is never a path.
    """

    def __init__(self, series: Series, folder: Path, shelf: Shelf, room: Room, faults: LibraryFaults) -> None:
        self._series = series
        self._folder = folder
        self._prefix = f"{folder}/"
        self._shelf = shelf
        self._room = room
        self._faults = faults
        self._member: ImageMember | TextMember | None = None
        self._images: list[StagedImage] = []
        self._texts: dict[str, bytes] = {}
        self._member_names: set[str] = set()
        self._sop_instance_uids: set[str] = set()
        self._last_member_name = ""
        self._is_committed = False

    @property
    def images_written(self) -> int:
        """See the port."""
        return len(self._images)

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
                self._end_image(self._member, event.size_bytes)
            else:
                self._texts[self._member.name] = self._member.content()

    def contents(self) -> StagedSeries:
        """See the port. Texts are the only members that are not images."""
        return StagedSeries(
            images=tuple(self._images),
            md5_list=self._texts.get(MD5_LIST_MEMBER),
            md5_list_is_last=self._last_member_name == MD5_LIST_MEMBER,
            license_text=self._texts.get(LICENSE_MEMBER),
            other_members=tuple(self._texts),
        )

    def named_images(self) -> tuple[Image, ...]:
        """See the port."""
        return tuple(
            Image(name=name, sop_instance_uid=staged.sop_instance_uid, size_bytes=staged.size_bytes, md5=staged.md5)
            for name, staged in name_images(self._images).items()
        )

    def commit(self, receipt: Receipt) -> PurePosixPath:
        """See the port. The collection's LICENSE is written with its first series."""
        named = name_images(self._images)
        if [(image.name, image.md5) for image in receipt.images] != [(name, named[name].md5) for name in named]:
            raise TciadError("the receipt tells of other images than were staged")
        with self._faults:
            rename_within(self._folder, ((_part_name(image.position), name) for name, image in named.items()))
            write_new(self._folder / RECEIPT_NAME, encode_receipt(receipt))
            sync_files(self._folder, (*named, RECEIPT_NAME))
            sync_folder(self._folder)
            folder = self._shelf.put(self._folder, receipt, self._texts.get(LICENSE_MEMBER))
        self._is_committed = True
        return folder

    def discard(self) -> None:
        """See the port."""
        if self._is_committed:
            return
        with self._faults:
            if self._member is not None:
                self._member.close()
            remove_folder(self._folder)

    def _start(self, name: str) -> None:
        if self._member is not None:
            self._member.close()
        refuse_unsafe_name(name)
        if name in self._member_names:
            # the archive stops before it writes a name twice (ARCHIVE §4.4), so this ZIP is not its work
            raise UnsafeMemberError(f"the ZIP has two members called {name!r}, which no honest archive sends")
        position = len(self._member_names)
        self._member_names.add(name)
        self._last_member_name = name
        if name in LONGEST_TEXT_BYTES:
            self._member = TextMember(name)
        else:
            self._room.require(self._series.series_instance_uid)  # others write to the same disk meanwhile
            self._member = ImageMember(name, self._prefix + _part_name(position))

    def _end_image(self, member: ImageMember, size_bytes: int) -> None:
        identity, md5 = member.finish()
        if identity.series_instance_uid != self._series.series_instance_uid:
            raise WrongSeriesError(
                f"member {member.name!r} of the ZIP is an image of series {identity.series_instance_uid}",
                series_instance_uid=self._series.series_instance_uid,
            )
        if identity.sop_instance_uid in self._sop_instance_uids:
            raise WrongSeriesError(
                f"image {identity.sop_instance_uid} came twice", series_instance_uid=self._series.series_instance_uid
            )
        self._sop_instance_uids.add(identity.sop_instance_uid)
        self._images.append(
            StagedImage(
                position=len(self._member_names) - 1,
                member_name=member.name,
                sop_instance_uid=identity.sop_instance_uid,
                series_instance_uid=identity.series_instance_uid,
                instance_number=identity.instance_number,
                acquisition_number=identity.acquisition_number,
                size_bytes=size_bytes,
                md5=md5,
                ends_whole=identity.ends_whole,
            )
        )


def _part_name(position: int) -> str:
    return f"{position:08d}.part"
