"""Staging of a library in memory, and the port through which series are added."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from downloader.errors import NoSpaceError, OccupiedFolderError, TciadError, WrongSeriesError
from downloader.library.local.incoming_image import IncomingImage, identify
from downloader.library.model import ForeignImage, SeriesLocation
from downloader.library.names import name_images, receipt_image
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
from tests.fakes.memory_tree import MemoryFolder, MemoryTree


@dataclass(slots=True)
class MemoryParts:
    """The results of attempts at a series: images with their bytes, the licence, and counts of the attempts."""

    series: Series
    images: dict[str, tuple[StagedImage, bytes]] = field(default_factory=dict)
    license_text: bytes | None = None
    received_bytes: int = 0
    broken_streams: int = 0


class MemoryStaging:
    """Implements Staging. Received images are in `parts` at once, where the next attempt finds them."""

    keeps_parts = True

    def __init__(self, series: Series, tree: MemoryTree, parts: dict[str, MemoryParts]) -> None:
        self._series = series
        self._tree = tree
        self._parts = parts
        known = parts.get(series.series_instance_uid)
        if known is not None and known.series.version.differs_from(series.version):
            del parts[series.series_instance_uid]
            known = None
        found = known or MemoryParts(series=series)
        found.images = {uid: (image, content) for uid, (image, content) in found.images.items() if not image.doubt}
        self._own = found
        images = tuple(image for image, _ in found.images.values())
        self.salvage = Salvage(images=images, received_bytes=found.received_bytes, broken_streams=found.broken_streams)
        self.images_written = 0
        self._arrived: dict[str, StagedImage] = {}
        self._position = max((image.position for image in images), default=-1)
        self._image: IncomingImage | None = None
        self._held: list[bytes] = []
        self._is_over = False

    @property
    def arrived(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return tuple(self._arrived.values())

    def take(self, portion: Portion) -> None:
        """See the port."""
        for event in portion.events:
            if isinstance(event, ImageStarted):
                self._parts[self._series.series_instance_uid] = self._own
                self._position, self._held = self._position + 1, []
                self._image = IncomingImage(event, None, self._held)
            elif isinstance(event, ImageData):
                self._begun().write(event.data)
            elif isinstance(event, ImageEnded):
                self._end(self._begun())
            elif isinstance(event, LicenseReceived):
                self._own.license_text = event.text

    def images(self) -> tuple[StagedImage, ...]:
        """See the port."""
        return tuple(image for image, _ in self._own.images.values())

    def narrow_to(self, images: Iterable[StagedImage]) -> None:
        """See the port."""
        wanted = {image.sop_instance_uid for image in images}
        self._own.images = {uid: held for uid, held in self._own.images.items() if uid in wanted}

    def named_images(self) -> tuple[Image, ...]:
        """See the port."""
        return tuple(receipt_image(name, staged) for name, staged in name_images(self.images()).items())

    def stored_zip(self) -> None:
        """See the port: no ZIP is stored."""
        return

    def commit(self, receipt: Receipt) -> SeriesLocation:
        """See the port."""
        named = name_images(self.images())
        if [(image.name, image.md5) for image in receipt.images] != [(name, named[name].md5) for name in named]:
            raise TciadError("the receipt lists other images than were staged")
        files = {name: self._own.images[image.sop_instance_uid][1] for name, image in named.items()}
        place = put(self._tree, MemoryFolder(receipt=receipt, files=files), self._own.license_text)
        self._parts.pop(self._series.series_instance_uid, None)
        self._is_over = True
        return place

    def keep(self, *, received_bytes: int, line_broke: bool) -> None:
        """See the port."""
        if self._is_over:
            return
        self._own.images = {uid: held for uid, held in self._own.images.items() if not held[0].doubt}
        if not self._own.images and not line_broke:
            self.discard()
            return
        self._own.received_bytes += received_bytes
        self._own.broken_streams += line_broke
        self._parts[self._series.series_instance_uid] = self._own
        self._is_over = True

    def discard(self) -> None:
        """See the port."""
        if not self._is_over:
            self._parts.pop(self._series.series_instance_uid, None)
            self._is_over = True

    def add(self, staged: StagedImage, content: bytes) -> None:
        """Stage an image, as one of a foreign tree is staged."""
        self._own.images[staged.sop_instance_uid] = (staged, content)

    def _begun(self) -> IncomingImage:
        if self._image is None:
            raise TciadError("received data of an image without its start")
        return self._image

    def _end(self, ended: IncomingImage) -> None:
        image = identify(ended, self._position, self._series)
        asked_for = ended.started.sop_instance_uid
        if image.sop_instance_uid in self._arrived and not asked_for:
            raise WrongSeriesError(
                f"image {image.sop_instance_uid} was received twice", series_instance_uid=image.series_instance_uid
            )
        self._image = None
        self.images_written += 1
        self.add(image, b"".join(self._held))
        if not asked_for:
            self._arrived[image.sop_instance_uid] = image


class MemorySink:
    """Implements SeriesSink for `tree`; `free_bytes` is the most that a series may need."""

    def __init__(self, tree: MemoryTree) -> None:
        self._tree = tree
        self.parts: dict[str, MemoryParts] = {}
        self.free_bytes = 1 << 40

    def begin(self, series: Series, claim_id: str = "", *, has_original: bool = True) -> MemoryStaging:
        """See the port."""
        del has_original
        self.require_room(series, series.file_size_bytes or 0)
        return MemoryStaging(series, self._tree, self.parts)

    def require_room(self, series: Series, needed_bytes: int) -> None:
        """See the port."""
        if needed_bytes > self.free_bytes:
            raise NoSpaceError(f"{needed_bytes:,} bytes are needed", series_instance_uid=series.series_instance_uid)

    def adopt(self, series: Series, images: Sequence[ForeignImage], *, link: bool) -> MemoryStaging:
        """See the port; links are copies here."""
        del link
        self.drop_staged(series)
        staging = MemoryStaging(series, self._tree, self.parts)
        for image in images:
            staging.add(image.staged, image.path.read_bytes())
        return staging

    def find_receipt(self, series: Series) -> Receipt | None:
        """See the port."""
        found = self._tree.find(self._tree.layout.folders(series), series.series_instance_uid)
        return found[1] if found is not None else None

    def folder_of(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.folder_of(series)

    def best_folder(self, series: Series) -> PurePosixPath:
        """See the port."""
        return self._tree.layout.folders(series)[0]

    def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """See the port."""
        self._tree.folders[folder].receipt = receipt

    def make_durable(self, folder: PurePosixPath) -> None:
        """See the port: memory needs no sync."""

    def drop_staged(self, series: Series) -> None:
        """See the port."""
        self.parts.pop(series.series_instance_uid, None)


def put(tree: MemoryTree, finished: MemoryFolder, license_text: bytes | None) -> SeriesLocation:
    """Move a finished folder to its place in the layout; a folder without a valid receipt there is moved to quarantine.

    Raises:
        OccupiedFolderError: another series is there.
    """
    receipt = finished.sound_receipt
    assert receipt is not None
    series, tree.index.is_due = receipt.series, True
    folder = tree.folder_of(series)
    older, quarantined = tree.folders.get(folder), None
    if older is not None:
        known = older.sound_receipt or older.doubted
        if known is None or known.series.series_instance_uid != series.series_instance_uid:
            raise OccupiedFolderError(f"{folder} in the library is in the way", series_instance_uid=series.series_instance_uid)
        if older.sound_receipt is None:
            quarantined = tree.quarantine_place(series.series_instance_uid, receipt.completed_at)
            tree.folders[quarantined] = older
    tree.folders[folder] = replace(finished)
    said = "".join(f"{line}\n" for line in (series.license_name, series.license_uri) if line)
    tree.papers.setdefault(tree.layout.collection_folder(series), license_text or said.encode())
    return SeriesLocation(folder=folder, stepped_aside=folder != tree.layout.folders(series)[0], quarantined=quarantined)
