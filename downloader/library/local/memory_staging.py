"""One small series whose ZIP lies whole in memory: nothing of it touches the disk before it is proven."""

from pathlib import Path

from downloader.errors import TciadError
from downloader.library.image_names import name_images, receipt_image
from downloader.library.local.errors import LibraryFaults
from downloader.library.local.filesystem import make_new_folder, write_synced
from downloader.library.local.free_space import FreeSpace
from downloader.library.local.received import Arrivals
from downloader.library.local.tree import SeriesTree
from downloader.library.local.zip_members import LONGEST_TEXT_BYTES, ImageMember, TextMember, identify
from downloader.library.model import SeriesLocation
from downloader.library.receipt import RECEIPT_NAME, encode_receipt
from downloader.model import Image, Receipt, Series, StagedSeries
from downloader.zipstream import MemberData, MemberStarted, ZipEvent, ZipLimits

HELD_BYTES = 4 * 1024 * 1024
"""The images of a series that is held take no more memory than this."""
HELD_IMAGES = 64
"""A series that is held has no more images than this: while it is written, each has a file open."""
_TEXTS = 8
_TEXT_BYTES = 1024 * 1024
_LIMITS = ZipLimits(
    member_count=HELD_IMAGES + _TEXTS, member_bytes=HELD_BYTES + _TEXT_BYTES, total_bytes=HELD_BYTES + _TEXT_BYTES
)


def may_be_held(series: Series) -> bool:
    """Whether the catalogue says that the series is small enough."""
    is_small = series.file_size_bytes is not None and series.file_size_bytes <= HELD_BYTES
    return is_small and series.image_count is not None and series.image_count <= HELD_IMAGES


class HeldSeries:
    """Implements HeldStaging; `folder` in staging is made when the series is committed.

    Written at once, the images need no journal, no names of their own while they come, and no second opening to be synced: for a
    small series that is most of the work (docs/decisions/0010).
    """

    limits = _LIMITS

    def __init__(self, series: Series, folder: Path, tree: SeriesTree, free_space: FreeSpace, faults: LibraryFaults) -> None:
        self._series = series
        self._folder = folder
        self._tree = tree
        self._free_space = free_space
        self._faults = faults
        self._arrivals = Arrivals()
        self._member: ImageMember | TextMember | None = None
        self._chunks: list[bytes] = []
        self._contents: dict[str, list[bytes]] = {}

    def take(self, event: ZipEvent) -> None:
        """See the port."""
        if isinstance(event, MemberStarted):
            self._start(event.name)
        elif self._member is None:
            raise TciadError("the ZIP reader gave data outside of any member")
        elif isinstance(event, MemberData):
            self._member.write(event.data)
            self._chunks.append(event.data)
        else:
            self._end(self._member)

    def contents(self) -> StagedSeries:
        """See the port."""
        return self._arrivals.contents()

    def named_images(self) -> tuple[Image, ...]:
        """See the port."""
        named = name_images(tuple(self._arrivals.images.values()))
        return tuple(receipt_image(name, staged) for name, staged in named.items())

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """See the port. The collection's LICENSE is written with its first series."""
        if receipt.images != self.named_images():
            raise TciadError("the receipt tells of other images than came")
        named = name_images(tuple(self._arrivals.images.values()))
        files = {name: self._contents[staged.sop_instance_uid] for name, staged in named.items()}
        with self._faults:
            self._free_space.require(self._series.series_instance_uid, receipt.stored_bytes)
            make_new_folder(self._folder)
            write_synced(self._folder, {RECEIPT_NAME: [encode_receipt(receipt)], **files})
            return self._tree.put(self._folder, receipt, self._arrivals.license_text)

    def _start(self, name: str) -> None:
        self._arrivals.begin(name)
        self._chunks = []
        self._member = TextMember(name) if name in LONGEST_TEXT_BYTES else ImageMember(f"member {name!r} of the ZIP", None, name)

    def _end(self, member: ImageMember | TextMember) -> None:
        self._member = None
        if isinstance(member, TextMember):
            self._arrivals.add_text(member)
            return
        image = identify(member, len(self._contents), self._series)
        self._arrivals.refuse_known(image)
        self._arrivals.add_image(image)
        self._contents[image.sop_instance_uid] = self._chunks
