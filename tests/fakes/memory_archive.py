"""An archive in memory, for tests of the layers above it; it satisfies the contract in tests/archive/contract."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import md5 as hash_md5

from downloader.archive.nbia.transfers import ZipImages, limits_for
from downloader.archive.port import (
    Capabilities,
    CollectionDescription,
    Md5Lists,
    NoteUnreadable,
    SeriesSize,
    SeriesTransfer,
    StudyCount,
    Transfer,
)
from downloader.errors import AccessDeniedError, ArchiveFaultError, TciadError, UnexpectedReplyError
from downloader.model import ImageData, ImageEnded, ImageStarted, Md5Mode, Portion, Series, SeriesQuery

_ASKED = (
    "collection",
    "patient_id",
    "study_instance_uid",
    "series_instance_uid",
    "modality",
    "body_part_examined",
    "manufacturer",
    "manufacturer_model_name",
)


ALL_CAPABILITIES = Capabilities(patients_by_modality=True, single_images=True, original_bytes=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBody:
    """A body of these pieces, each a batch; an error among them is raised when it is reached."""

    pieces: Sequence[bytes | TciadError]
    md5_list_expected: bool = False

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        """Yield piece by piece."""
        for piece in self.pieces:
            if isinstance(piece, TciadError):
                raise piece
            yield [piece]


class MemoryTransfer:
    """A transfer that parses the ZIP in a body."""

    def __init__(self, body: MemoryBody, series: Series) -> None:
        self._body = body
        self._images = ZipImages(limits_for(series), has_md5_list=body.md5_list_expected)
        self.brings_digests = body.md5_list_expected
        self.evidence = self._images.evidence

    async def portions(self) -> AsyncIterator[Portion]:
        """Yield piece by piece."""
        is_cut = any(isinstance(piece, TciadError) for piece in self._body.pieces)
        left_bytes = sum(len(piece) for piece in self._body.pieces if isinstance(piece, bytes))
        async for batch in self._body.batches():
            received_bytes = sum(map(len, batch))
            left_bytes -= received_bytes
            yield Portion(
                events=self._images.read(batch),
                received_bytes=received_bytes,
                is_last=not is_cut and not left_bytes,
                original=batch,
            )


class MemoryImage:
    """One image that was requested by its UID."""

    def __init__(self, sop_instance_uid: str, content: bytes) -> None:
        self._started = ImageStarted("", sop_instance_uid)
        self._content = content

    async def portions(self) -> AsyncIterator[Portion]:
        """Yield the whole image."""
        yield Portion(events=(self._started, ImageData(self._content), ImageEnded()), received_bytes=len(self._content))


Answer = MemoryBody | TciadError
"""The result of one open_series: a body, or an error before the body."""


@dataclass(slots=True)
class MemoryArchive:
    """Implements `downloader.archive.port.Source`. Tests change the attributes as they go.

    `answers` has the results of each series' downloads, in order; the last is repeated. `images` has each series' images by SOP
    Instance UID. `failures` are raised by the next queries, one each. `opened` lists every requested download, in order;
    `described` counts the requests for descriptions. Series in `unlisted` are counted and found by name, but find_series leaves
    them out.
    """

    rows: list[Series] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    images: dict[str, dict[str, bytes]] = field(default_factory=dict)
    carts: dict[str, list[str]] = field(default_factory=dict)
    descriptions: dict[str, CollectionDescription] = field(default_factory=dict)
    failures: list[TciadError] = field(default_factory=list)
    described: int = 0
    opened: list[tuple[str, Md5Mode]] = field(default_factory=list)
    queries: list[SeriesQuery] = field(default_factory=list)
    counted: list[SeriesQuery] = field(default_factory=list)
    asked_by_name: list[list[str]] = field(default_factory=list)
    unlisted: set[str] = field(default_factory=set)
    name: str = "memory"
    generation: str = "memory"
    capabilities: Capabilities = ALL_CAPABILITIES
    lists: Md5Lists = Md5Lists.NEVER

    def md5_lists(self, series_instance_uid: str) -> Md5Lists:
        """The value of the attribute."""
        return self.lists

    def note_md5_lists(self) -> None:
        """Set that lists were received before."""
        self.lists = Md5Lists.SENT

    def lacks(self, *attributes: str) -> None:
        """Remove these attributes from all rows from now on."""
        self.capabilities = replace(self.capabilities, absent_attributes=frozenset(attributes))

    async def find_series(self, query: SeriesQuery, note: NoteUnreadable | None = None) -> AsyncGenerator[Series, None]:
        """The rows that match; text is compared case-insensitively."""
        self.queries.append(query)
        self._fail()
        for row in list(self.rows):
            if row.series_instance_uid not in self.unlisted and all(
                _fits(getattr(query, name), getattr(row, name)) for name in _ASKED
            ):
                yield row

    async def find_listed_series(
        self, series_instance_uids: Sequence[str], note: NoteUnreadable | None = None
    ) -> AsyncGenerator[Series, None]:
        """The rows of these series."""
        self.asked_by_name.append(list(series_instance_uids))
        self._fail()
        rows = {row.series_instance_uid: row for row in self.rows}
        for series_instance_uid in dict.fromkeys(series_instance_uids):
            if series_instance_uid in rows:
                yield rows[series_instance_uid]

    async def find_own_rows(self, series: Sequence[Series]) -> Sequence[Series]:
        """The rows of these series."""
        return [row async for row in self.find_listed_series([one.series_instance_uid for one in series])]

    async def find_study_counts(self, query: SeriesQuery) -> Sequence[StudyCount]:
        """Count the rows by study; rows without a study are left out."""
        self.counted.append(query)
        self._fail()
        rows = [row for row in self.rows if all(_fits(getattr(query, name), getattr(row, name)) for name in _ASKED[:3])]
        counts = Counter((row.study_instance_uid, row.patient_id) for row in rows if row.study_instance_uid)
        return [StudyCount(study_instance_uid=study, patient_id=name, series=count) for (study, name), count in counts.items()]

    async def find_patients(self, collection: str, modality: str | None = None) -> Sequence[str]:
        """The patients of the rows; refused if a row has no patient."""
        self._fail()
        rows = [row for row in self.rows if _fits(collection, row.collection) and _fits(modality, row.modality)]
        if not all(row.patient_id for row in rows):
            raise UnexpectedReplyError("no patients are listed")
        return list(dict.fromkeys(row.patient_id for row in rows))

    async def find_shared_cart(self, name: str) -> Sequence[str]:
        """The series of the cart."""
        self._fail()
        return list(dict.fromkeys(self.carts.get(name, [])))

    async def find_collections(self) -> Sequence[str]:
        """The collections of the rows."""
        self._fail()
        return sorted({row.collection for row in self.rows if row.collection})

    async def find_descriptions(self, collections: Sequence[str]) -> dict[str, CollectionDescription]:
        """The descriptions in the attribute."""
        self.described += 1
        self._fail()
        return {name: self.descriptions[name] for name in collections if name in self.descriptions}

    @asynccontextmanager
    async def open_series(self, series: Series, md5: Md5Mode) -> AsyncIterator[SeriesTransfer]:
        """Return the next answer of the series."""
        self.opened.append((series.series_instance_uid, md5))
        answers = self.answers.get(series.series_instance_uid)
        if not answers:
            raise AccessDeniedError("not in this archive", series_instance_uid=series.series_instance_uid)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, TciadError):
            raise answer
        yield MemoryTransfer(answer, series)

    async def find_series_size(self, series_instance_uid: str) -> SeriesSize:
        """Count the images."""
        self._fail()
        images = self.images.get(series_instance_uid)
        if not images:
            return SeriesSize()
        return SeriesSize(image_count=len(images), file_size_bytes=sum(map(len, images.values())))

    async def find_sop_instance_uids(self, series_instance_uid: str) -> Sequence[str]:
        """List the images."""
        self._fail()
        return list(self.images.get(series_instance_uid, {}))

    @asynccontextmanager
    async def open_image(self, series_instance_uid: str, sop_instance_uid: str) -> AsyncIterator[Transfer]:
        """Return one image."""
        self._fail()
        image = self.images.get(series_instance_uid, {}).get(sop_instance_uid)
        if image is None:
            raise ArchiveFaultError("no such image", series_instance_uid=series_instance_uid)
        yield MemoryImage(sop_instance_uid, image)

    async def find_image_md5(self, sop_instance_uid: str) -> str:
        """Hash one image."""
        self._fail()
        found = [images[sop_instance_uid] for images in self.images.values() if sop_instance_uid in images]
        return _digest(found[0]) if found else ""

    async def find_series_md5(self, series_instance_uid: str) -> str:
        """Hash the sorted hashes of the images."""
        self._fail()
        images = self.images.get(series_instance_uid)
        return _digest("".join(sorted(map(_digest, images.values()))).encode()) if images else ""

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


def _fits(asked: str | None, value: str) -> bool:
    return not asked or asked.casefold() == value.casefold()


def _digest(content: bytes) -> str:
    return hash_md5(content, usedforsecurity=False).hexdigest()
