"""The port of a source of images: its catalogue, transfers, digests and descriptions."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from downloader.completeness import Evidence
from downloader.model import Md5Mode, Portion, Series, SeriesQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The optional features of a source.

    Attributes:
        absent_attributes: attributes of a `Series` that no row of this source has.
        counts_with_rows: `find_series` also reads the counts of the studies, so that `find_study_counts` of the same query needs
            no request.
        patients_by_modality: the patients of a collection can be found by modality.
        single_images: `find_sop_instance_uids` and `open_image` are available.
        original_bytes: a transfer has the bytes of a ZIP, which a library can store unchanged.
    """

    absent_attributes: frozenset[str] = frozenset()
    counts_with_rows: bool = False
    patients_by_modality: bool = False
    single_images: bool = False
    original_bytes: bool = False


class Md5Lists(StrEnum):
    """What is known about an archive's MD5 lists in ZIPs.

    NEVER: its generation has none. ABSENT: refusals have shown that this deployment sends none (docs/decisions/0022). SENT: a
    list was received, in this process or according to the library.
    """

    NEVER = "never"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyNeeds:
    """Which of `study_id`, `study_date` and `study_description` a series must have, if its study has it.

    Not every generation's getSeries returns them (docs/archives.md#series-queries). It is an error if an archive cannot provide
    what is `required`, because folder names or the selection depend on it; a missing `wished` attribute only leaves a column
    empty.
    """

    required: frozenset[str] = frozenset()
    wished: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        """Both together."""
        return self.required | self.wished


NO_STUDY_NEEDS: Final = StudyNeeds()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSize:
    """The archive's separate counts for one series; None if unknown."""

    image_count: int | None = None
    file_size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionDescription:
    """The archive's description of a collection: plain text, and the address (a DOI) of the data; both may be empty."""

    text: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRow:
    """A row of a list of series that cannot be parsed.

    `sentence` names the list, the row and the problem. `series_instance_uid` is the series of the row, without blanks and dots at
    its ends; empty if it has none.
    """

    sentence: str
    series_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCount:
    """The number of series that the archive counts for one study (SeriesCount of getPatientStudy); it may include hidden ones."""

    study_instance_uid: str
    patient_id: str = ""
    series: int = 0


NoteUnreadable = Callable[[UnreadableRow], None]


class Transfer(Protocol):
    """A transfer of images in progress."""

    def portions(self) -> AsyncIterator[Portion]:
        """Yield portions of about 1 MiB as they arrive.

        The events of a portion are parsed where they are iterated, which must be a worker thread. Iterate the events of one
        portion completely before the next portion.

        Raises:
            CutTransferError: the connection ended before the transfer did.
            StalledTransferError: no bytes for the idle time, or fewer than the minimum rate.
        """
        ...


class SeriesTransfer(Transfer, Protocol):
    """A transfer of all images of one series."""

    @property
    def brings_digests(self) -> bool:
        """Whether digests of the images were requested, which arrive with them."""
        ...

    def evidence(self) -> Evidence:
        """What the source reports about the transfer. Call it after all events of all portions were iterated. Thread-safe.

        Raises:
            TruncatedZipError: the transfer is incomplete by its own framing, such as the central directory of a ZIP.
        """
        ...


class Catalogue(Protocol):
    """The catalogue of a source, for resolving manifests and for rechecking single series."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """The features of the source, as far as they are known now."""
        ...

    def find_series(self, query: SeriesQuery, note: NoteUnreadable | None = None) -> AsyncGenerator[Series, None]:
        """Send getSeries and yield each row, parsed as it arrives.

        Attributes of the query for which this generation has no filter are ignored: callers filter the rows again. Rows include
        the study attributes that the archive was opened for. An empty reply yields nothing, which proves nothing
        (docs/archives.md#empty-replies). Callers that stop early must close the iterator (contextlib.aclosing), which ends the
        reply. `note` receives unreadable rows; other rows are still yielded.

        Raises:
            ArchiveFaultError: too many rows are unreadable for a list of series; without `note`, any unreadable row.
        """
        ...

    def find_listed_series(
        self, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None
    ) -> AsyncGenerator[Series, None]:
        """Yield the catalogue's row of each of these series that it lists; others are left out.

        `note` and errors as for `find_series`.
        """
        ...

    async def find_own_rows(self, series: Sequence[Series]) -> Sequence[Series]:
        """The catalogue's rows of these series, requested in every way in which the generation returns single ones.

        By list and by series, or by study if it has neither; a series is left out only if no way returns it. The given rows
        provide the studies. The rows lack attributes that only getPatientStudy has.

        Raises:
            UnexpectedReplyError: the generation has queries by study only, and a given row has no study.
        """
        ...

    async def find_series_size(self, series_instance_uid: str) -> SeriesSize:
        """Send getSeriesSize, which is slow: for catalogues whose rows have neither image count nor size."""
        ...

    async def find_study_counts(self, query: SeriesQuery) -> Sequence[StudyCount]:
        """The number of series that the archive counts for each study of this collection, patient or study.

        Raises:
            UnexpectedReplyError: the generation, or this deployment, has no such counts.
        """
        ...

    async def find_patients(self, collection: str, modality: str | None = None) -> Sequence[str]:
        """The patients of a collection, or those with series of a modality.

        Raises:
            UnexpectedReplyError: the generation, or this deployment, has no such list.
        """
        ...

    async def find_collections(self) -> Sequence[str]:
        """The names of all collections that the user may see (getCollectionValues)."""
        ...

    async def find_shared_cart(self, name: str) -> Sequence[str]:
        """The series of a shared cart, without duplicates; empty if the archive has no such cart, or cannot read it.

        Raises:
            UnexpectedReplyError: the generation has no carts.

        Source: docs/archives.md#empty-replies.
        """
        ...


class Transfers(Protocol):
    """The transfers of a source, for fetching series."""

    def open_series(self, series: Series, md5: Md5Mode) -> AbstractAsyncContextManager[SeriesTransfer]:
        """Request the images of one series; enter when the response shows that they follow.

        Raises:
            AccessDeniedError: the archive refuses this series (docs/archives.md#failed-downloads: unknown, private, or a
                transient fault).
            UnexpectedReplyError: `md5` is `require` and this source offers no digests.
        """
        ...

    def open_image(self, series_instance_uid: str, sop_instance_uid: str) -> AbstractAsyncContextManager[Transfer]:
        """Request one image; enter when the response shows that it follows.

        Raises:
            ArchiveFaultError: the archive failed; NBIA replies the same for an image that it does not have.
            UnexpectedReplyError: the source has no single images.
        """
        ...

    async def find_sop_instance_uids(self, series_instance_uid: str) -> Sequence[str]:
        """The images that the archive lists for a series; it may list more than it sends, or none.

        Also empty if the generation has no such list.

        Source: docs/archives.md#series-queries.
        """
        ...

    def md5_lists(self, series_instance_uid: str) -> Md5Lists:
        """Whether a ZIP of this series probably has an MD5 list. Sends no request."""
        ...

    def note_md5_lists(self) -> None:
        """Record that this archive sent MD5 lists before: from now on a missing list is a fault."""
        ...


class DigestSource(Protocol):
    """The source's MD5s of its images, for proving single images and for verification."""

    async def find_image_md5(self, sop_instance_uid: str) -> str:
        """The archive's MD5 of one image, 32 lower-case hex digits; empty if it has none."""
        ...

    async def find_series_md5(self, series_instance_uid: str) -> str:
        """The MD5 over the sorted and joined MD5s of a series' images; empty if the archive has none.

        Source: docs/archives.md#md5s.
        """
        ...


class Descriptions(Protocol):
    """The source's descriptions of collections, for the files of a library."""

    async def find_descriptions(self, collections: Sequence[str]) -> Mapping[str, CollectionDescription]:
        """The archive's descriptions of these collections, by exact names; collections without one are left out.

        Empty if the generation has no descriptions.
        """
        ...


class Source(Catalogue, Transfers, DigestSource, Descriptions, Protocol):
    """One archive, used through one generation of its API. Methods raise only ArchiveError or TransferError.

    Sources implement it and runs are composed with it. Code that needs a part of it uses the port of that part.
    """

    name: str
    generation: str
