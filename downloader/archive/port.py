"""The port of a source of images: its catalogue, its transfers, its digests and its descriptions."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from downloader.completeness import Evidence
from downloader.model import Md5Mode, Portion, Series, SeriesQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a source can do beside its catalogue and its transfers.

    Attributes:
        absent_attributes: attributes of a `Series` that every row of this source lacks.
        counts_with_rows: `find_series` learns the counts of the studies as well, so that `find_study_counts` of the same query
            costs no request.
        patients_by_modality: the patients of a collection can be found by a modality.
        single_images: `find_sop_instance_uids` and `open_image` are answered.
        original_bytes: a transfer has the bytes of a ZIP, which a library can keep as they came.
    """

    absent_attributes: frozenset[str] = frozenset()
    counts_with_rows: bool = False
    patients_by_modality: bool = False
    single_images: bool = False
    original_bytes: bool = False


class Md5Lists(StrEnum):
    """What an archive has shown of the MD5 lists that its ZIPs can bring.

    Never: its generation has none. Absent: refusals have shown that this deployment sends none (docs/decisions/0022). Sent: one
    came, in this process or as the library shows.
    """

    NEVER = "never"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyNeeds:
    """Which of `study_id`, `study_date` and `study_description` a series must have, if its study has it.

    Not every generation's getSeries tells them (docs/archives.md#series-queries). An archive that cannot tell what is
    `required` is an error, since folders are named after it or series chosen by it; without what is `wished` only a column
    stays empty.
    """

    required: frozenset[str] = frozenset()
    wished: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        """Both."""
        return self.required | self.wished


NO_STUDY_NEEDS: Final = StudyNeeds()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSize:
    """What the archive counts for one series apart from its catalogue row; None where it does not know."""

    image_count: int | None = None
    file_size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionDescription:
    """What the archive says of a collection: plain text, and the address (a DOI) of the data; empty where it says nothing."""

    text: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRow:
    """A row of a list of series that cannot be read.

    `sentence` says which row of which list it is, and what is wrong with it. `series_instance_uid` is the series that it may
    mean, blanks and dots at its ends taken away; empty where it names none.
    """

    sentence: str
    series_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCount:
    """How many series the archive counts for one study (SeriesCount of getPatientStudy); it may count hidden ones."""

    study_instance_uid: str
    patient_id: str = ""
    series: int = 0


NoteUnreadable = Callable[[UnreadableRow], None]


class Transfer(Protocol):
    """Images while they arrive."""

    def portions(self) -> AsyncIterator[Portion]:
        """Yield what comes, in portions of about a mebibyte, as it comes.

        A portion costs the event loop nothing: its events are parsed where they are iterated, which is to be a worker thread. The
        events of one portion must have been iterated to their end before the next portion is.

        Raises:
            CutTransferError: the connection ended before the transfer did.
            StalledTransferError: no bytes for the idle time, or fewer than the minimum rate.
        """
        ...


class SeriesTransfer(Transfer, Protocol):
    """All images of one series while they arrive."""

    @property
    def brings_digests(self) -> bool:
        """Whether the source was asked for the digests of the images, which then come with them."""
        ...

    def evidence(self) -> Evidence:
        """What the source says of the transfer, once all portions came and all their events were iterated. Safe in any thread.

        Raises:
            TruncatedZipError: what came is not whole by the source's own framing, such as the central directory of a ZIP.
        """
        ...


class Catalogue(Protocol):
    """What a source lists. For those who resolve a manifest, and those who ask again about one series."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What the source can do, as far as it is known now."""
        ...

    def find_series(self, query: SeriesQuery, note: NoteUnreadable | None = None) -> AsyncGenerator[Series, None]:
        """Ask getSeries and yield each row, parsed while it arrives.

        Attributes of the query that this generation cannot ask are left out: the caller filters the rows again.
        Rows have what the archive was opened to need of their studies, in whatever way they were asked for. An empty reply
        yields nothing, which proves nothing (docs/archives.md#empty-replies). Whoever leaves before the end closes the iterator
        (contextlib.aclosing), which ends the reply. `note` takes rows that cannot be read, which hide no others.

        Raises:
            ArchiveFaultError: so many rows cannot be read that this is no list of series; without `note`, also for one.
        """
        ...

    def find_listed_series(
        self, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None
    ) -> AsyncGenerator[Series, None]:
        """Yield the catalogue's row for each of these series that it lists; those it does not list are simply missing.

        `note` and errors as for `find_series`.
        """
        ...

    async def find_own_rows(self, series: Sequence[Series]) -> Sequence[Series]:
        """The catalogue's rows of these series, asked for in every way in which the generation asks for single ones.

        By list and by series, or by study where it knows neither; a series is missing only where each way left it out. Their
        former rows say in which study they were. Rows lack what only getPatientStudy tells.

        Raises:
            UnexpectedReplyError: the generation can be asked by study only, and a former row names none.
        """
        ...

    async def find_series_size(self, series_instance_uid: str) -> SeriesSize:
        """Ask getSeriesSize, which is slow: for catalogues whose rows say neither image count nor size."""
        ...

    async def find_study_counts(self, query: SeriesQuery) -> Sequence[StudyCount]:
        """How many series the archive counts for each study of this collection, patient or study.

        Raises:
            UnexpectedReplyError: the generation, or this deployment, does not tell.
        """
        ...

    async def find_patients(self, collection: str, modality: str | None = None) -> Sequence[str]:
        """The patients of a collection, or those of them that have series of a modality.

        Raises:
            UnexpectedReplyError: the generation, or this deployment, does not tell.
        """
        ...

    async def find_collections(self) -> Sequence[str]:
        """Names of all collections that the caller may see (getCollectionValues)."""
        ...

    async def find_shared_cart(self, name: str) -> Sequence[str]:
        """The series of a shared cart, each once; none where the archive has no such cart, or cannot read it.

        Raises:
            UnexpectedReplyError: the generation has no carts.

        Source: docs/archives.md#empty-replies.
        """
        ...


class Transfers(Protocol):
    """How images come from a source. For those who fetch series."""

    def open_series(self, series: Series, md5: Md5Mode) -> AbstractAsyncContextManager[SeriesTransfer]:
        """Ask for the images of one series and enter once the source shows that they follow.

        Raises:
            AccessDeniedError: the archive refuses this series (docs/archives.md#failed-downloads: unknown, private, or a
                passing fault).
            UnexpectedReplyError: `md5` is `require` and this source offers no digests.
        """
        ...

    def open_image(self, series_instance_uid: str, sop_instance_uid: str) -> AbstractAsyncContextManager[Transfer]:
        """Ask for one image and enter once the source shows that it follows.

        Raises:
            ArchiveFaultError: the archive failed; NBIA answers the same for an image that it does not have.
            UnexpectedReplyError: the source gives no single images.
        """
        ...

    async def find_sop_instance_uids(self, series_instance_uid: str) -> Sequence[str]:
        """The images that the archive lists for a series; it may list more, or none, of what it sends.

        None as well where the generation has no such list.

        Source: docs/archives.md#series-queries.
        """
        ...

    def md5_lists(self, series_instance_uid: str) -> Md5Lists:
        """Whether a ZIP of this series can be expected to bring an MD5 list. Asks nothing."""
        ...

    def note_md5_lists(self) -> None:
        """MD5 lists came from this archive before: it is held to them from now on."""
        ...


class DigestSource(Protocol):
    """MD5s that a source has of its images. For those who prove parts, and those who verify what is stored."""

    async def find_image_md5(self, sop_instance_uid: str) -> str:
        """The archive's MD5 of one image, 32 lower-case hex digits; empty where it has none."""
        ...

    async def find_series_md5(self, series_instance_uid: str) -> str:
        """The MD5 of a series' image MD5s, joined in ascending order; empty where the archive has none.

        Source: docs/archives.md#md5s.
        """
        ...


class Descriptions(Protocol):
    """What a source says of its collections. For those who index a library."""

    async def find_descriptions(self, collections: Sequence[str]) -> Mapping[str, CollectionDescription]:
        """What the archive says of these collections, by their exact names; those it says nothing of are missing.

        None at all where the generation has no descriptions.
        """
        ...


class Source(Catalogue, Transfers, DigestSource, Descriptions, Protocol):
    """One archive, spoken to in one generation of its API. Methods raise ArchiveError or TransferError and nothing else.

    This is what a source implements and what a run is put together from. Code that needs a part of it names that part.
    """

    name: str
    generation: str
