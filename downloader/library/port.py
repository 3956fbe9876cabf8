"""What a place for completed series offers. Everything here blocks: call it in a worker thread."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from downloader.errors import DamagedReceiptError
from downloader.library.local.change_journal import LibraryChanges
from downloader.library.local.moving import MoveBatch
from downloader.library.local.walking import TreeWalk
from downloader.library.location import Place
from downloader.model import Image, Receipt, Series, StagedImage, StagedSeries, StoredZip
from downloader.zipstream import ZipEvent, ZipLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLook:
    """Folders in which no receipt is (`missing`), and those that cannot be looked at, with the reason of the system."""

    missing: Sequence[str]
    unreadable: Mapping[str, str]


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

    def commit(self, receipt: Receipt) -> Place:
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

    def commit(self, receipt: Receipt) -> Place:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignImage:
    """An image in a tree of another program. `changed_at_ns` and its size tell whether it is still the one that was hashed."""

    path: Path
    staged: StagedImage
    changed_at_ns: int


class Adoption(Protocol):
    """One series of a foreign tree on its way into the library. Nothing of the tree is changed."""

    def images(self) -> tuple[StagedImage, ...]:
        """All images, as they were hashed in the tree."""
        ...

    def named_images(self) -> tuple[Image, ...]:
        """The images under the names that they will have in the library, in the order of those names."""
        ...

    def commit(self, receipt: Receipt) -> Place:
        """Link or copy the images, and put the series into the library as Staging.commit does.

        Raises:
            DigestMismatchError: a file changed after it was hashed.
        """
        ...

    def discard(self) -> None:
        """Remove what was brought so far. Does nothing after `commit`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedSeries:
    """What metadata.csv says of a series in the library. `folder` is relative to it."""

    series: Series
    folder: PurePosixPath
    stored_bytes: int
    completed_at: datetime | None
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """How many complete series of a collection the archive gives this page of the data, and this licence; empty is not told.

    `description` is what the archive says of the collection, in plain text.
    """

    collection: str
    data_description_uri: str
    license_name: str
    license_uri: str
    series: int
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDescription:
    """What an archive said of a collection when it was asked: plain text, and the address of the data; maybe nothing."""

    archive: str
    collection: str
    text: str
    uri: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedMember:
    """An image in a stored ZIP, as it is there now: what the ZIP calls it, its size, and the MD5 of its bytes."""

    name: str
    size_bytes: int
    md5: str


class ZipContents(Protocol):
    """A stored ZIP that is being read once more, from its beginning to its end."""

    @property
    def md5(self) -> str:
        """The MD5 of all that was read: of the whole file once `next_images` has given nothing."""
        ...

    def next_images(self, enough_bytes: int) -> Sequence[HashedMember]:
        """Read on until at least so many bytes of images were hashed; nothing at the end, when the ZIP turned out whole.

        Raises:
            TransferError: the ZIP is damaged, by the rules that held when it came.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFolder:
    """A folder in staging with a receipt whose files are all there in their sizes. `folder` is relative to the library."""

    folder: PurePosixPath
    receipt: Receipt


class MetadataTable(Protocol):
    """A new metadata.csv in the making. Until `commit` the old one is there."""

    def add(self, shelved: Iterable[ShelvedSeries]) -> None:
        """Write their rows; nothing is held in memory or open between two calls."""
        ...

    def commit(self) -> None:
        """Put the table where the old one was, in one step."""
        ...


class Library(Protocol):
    """The tree of completed series."""

    @property
    def changes(self) -> LibraryChanges:
        """Changes of series folders that more than one step makes, or that the store must learn of."""
        ...

    def begin(self, series: Series) -> Staging:
        """Make a staging folder for one attempt at `series`, with the images that earlier ones left and that can be believed.

        Each is hashed again. None are kept of a series whose ImageCount, FileSize or dates have changed since.
        """
        ...

    def require_room(self, series: Series, needed_bytes: int) -> None:
        """Refuse to begin a series that is known to need so much, where there is less room beside what is to stay free.

        Raises:
            NoSpaceError: there is.
        """
        ...

    def hold(self, series: Series) -> HeldStaging | None:
        """A way to take a whole series from memory when nothing of it is staged; None where it is too large, or kept as a ZIP."""
        ...

    def adopt(self, series: Series, images: Sequence[ForeignImage], *, link: bool) -> Adoption:
        """Begin to take over a series whose images lie elsewhere, each SOP instance once.

        `link`: the library shares the files with the tree where the file system can; else, and where it cannot, they are copied.
        """
        ...

    def folder_of(self, series: Series) -> PurePosixPath:
        """Where the series lies, or will lie, relative to the library."""
        ...

    def find_receipt(self, series: Series) -> Receipt | None:
        """The receipt in the series' folder, if it is there, can be read, and all its images are there in their sizes."""
        ...

    def find_moved(self, series: Series, noted: PurePosixPath) -> tuple[PurePosixPath, Receipt] | None:
        """Where a series lies whole that is not in the folder that was noted: in one of its layout, or on the way to it."""
        ...

    def look_for_receipts(self, folders: Sequence[str]) -> ReceiptLook:
        """In which of the folders, relative to the library, no receipt is. Their images are not looked at."""
        ...

    def listed_series(self) -> int | None:
        """How many series the library's own table lists; None where it has none."""
        ...

    def receipts(self) -> Iterator[tuple[PurePosixPath, Receipt]]:
        """Every readable receipt of the library with the folder it lies in, relative to the library."""
        ...

    def folders(self) -> Iterator[tuple[PurePosixPath, Receipt | DamagedReceiptError]]:
        """Every folder with a receipt, and what it says, or why it cannot be believed."""
        ...

    def receipt_in(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt in this folder; None where there is none.

        Raises:
            DamagedReceiptError: there is one, and it cannot be believed.
        """
        ...

    def doubted_receipt(self, folder: PurePosixPath) -> Receipt | None:
        """The receipt that was set aside in this folder, since its images are damaged; None where there is none."""
        ...

    def rewrite_receipt(self, folder: PurePosixPath, receipt: Receipt) -> None:
        """Put another receipt of the same images in place of the one in this folder, in one step; durable."""
        ...

    def contents(self, folder: PurePosixPath) -> Mapping[str, int | None]:
        """What lies in a folder beside the receipt: files with their size in bytes, anything else with None.

        Empty where there is no such folder.
        """
        ...

    def hash_image(self, folder: PurePosixPath, name: str) -> str:
        """The MD5 of a file in a folder as the disk has it, without crowding other files out of the system's memory."""
        ...

    def open_zip(self, folder: PurePosixPath, receipt: Receipt) -> ZipContents:
        """The ZIP of a series that is kept as one, to be read and hashed as `hash_image` does it."""
        ...

    def quarantine(self, path: PurePosixPath, label: str, at: datetime) -> PurePosixPath:
        """Move a folder or a file out of the tree, into `.tciad/quarantine/<time>-<label>`. Returns where it lies now."""
        ...

    def best_folder(self, series: Series) -> PurePosixPath:
        """Where the layout would have the series if no other lay there."""
        ...

    def place_for(self, folder: PurePosixPath, series: Series, taken: Collection[PurePosixPath] = ()) -> PurePosixPath:
        """Where a series that lies in `folder` belongs by the layout: there, if it may, else in the best place that is free.

        `taken` are places that others will have.

        Raises:
            LibraryError: something else lies in every place, or the series cannot be moved.
        """
        ...

    def move(self, folder: PurePosixPath, target: PurePosixPath) -> None:
        """Rename the folder of a series to a place that `place_for` gave; durable. Folders that are empty then are removed.

        Whoever is killed meanwhile leaves the series whole, in one place or another that `folders` finds.
        """
        ...

    def moves(self) -> AbstractContextManager[MoveBatch]:
        """Moves that become durable together when the context is left, by an error too."""
        ...

    def walk(self) -> TreeWalk:
        """All series of the library with what lies in their folders, for several threads to take side by side."""
        ...

    def papers_folder(self, series: Series) -> PurePosixPath:
        """Where licence and citation of the series' collection belong by the layout."""
        ...

    def move_papers(self, series: Series, others: Collection[PurePosixPath]) -> None:
        """Bring licence and citation of the series' collection there from where another layout put them.

        `others` are the folders of papers that stay, as another collection's.
        """
        ...

    def make_durable(self, folder: PurePosixPath) -> None:
        """Return once the names that lead to the folder of a series are on the disk.

        Whoever put it there may have been killed before they were.
        """
        ...

    def drop_staged(self, series: Series) -> None:
        """Remove what lies in staging of a series that turned out to be in the library already."""
        ...

    def holds(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the series lies in this folder; False where there is no such folder.

        Raises:
            LibraryError: something else lies there, or something that has no receipt to tell what it is.
        """
        ...

    def is_one_folder(self, folder: PurePosixPath, other: PurePosixPath) -> bool:
        """Whether both names lead to one folder that is there: by way of a link, or where the file system ignores their case."""
        ...

    def is_whole(self, folder: PurePosixPath, series_instance_uid: str) -> bool:
        """Whether the folder has a receipt of the series that can be believed, and all its files in their sizes."""
        ...

    def proves(self, folder: PurePosixPath, receipt: Receipt) -> bool:
        """Whether every file that the receipt names is there with the content that it tells. Reads all of them."""
        ...

    def has_series_in(self, folder: PurePosixPath) -> bool:
        """Whether this is the folder of a series, or the folder of one lies in it, however deep."""
        ...

    def staged_series(self) -> Sequence[Series]:
        """The series that attempts left images of; of each its SeriesInstanceUID and the figures of that time."""
        ...

    def whole_staged(self, keep: Collection[str] = ()) -> Sequence[StagedFolder]:
        """What dead runs left in staging that looks whole, but for these series."""
        ...

    def put_back(self, staged: StagedFolder) -> Place:
        """Put what `whole_staged` found where the layout wants it. Only for what is not in the tree, and was hashed."""
        ...

    def clear_staging(self, keep: Collection[str] = ()) -> int:
        """Remove what dead runs left in staging, but for these series; returns how many folders that were.

        What belongs to an unfinished change stays.
        """
        ...

    def free_bytes(self) -> int:
        """Room that this process may still use on the library's file system."""
        ...

    def begin_metadata(self) -> MetadataTable:
        """Start to write metadata.csv anew, for all series of the library."""
        ...

    def expect_metadata(self) -> None:
        """Remember, also through a kill, that what metadata.csv tells is about to change, until it is written anew.

        What is put, moved or taken out is remembered without being told.
        """
        ...

    def metadata_is_due(self) -> bool:
        """Whether metadata.csv does not tell what the library holds: nobody has written it since that changed."""
        ...

    def write_citations(self, citations: Sequence[Citation]) -> None:
        """Write CITATION.txt anew, for all collections of the library."""
        ...

    def descriptions(self) -> Sequence[KeptDescription]:
        """What archives said of their collections, as `keep_descriptions` kept it; none where that is lost."""
        ...

    def keep_descriptions(self, kept: Sequence[KeptDescription]) -> None:
        """Keep these in place of those that were kept before."""
        ...
