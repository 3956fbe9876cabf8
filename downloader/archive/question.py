"""The queries of `tciad query`: the port, and the conversion of flags to a question."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Protocol

from downloader.config.messages import kind_of, quote, refuse_choice, suggest
from downloader.errors import SettingsError
from downloader.manifest import check_uid

SERIES_ATTRIBUTE: Final = "SeriesInstanceUID"
SERIES_NAMES: Final = frozenset({SERIES_ATTRIBUTE, "Series UID", "seriesInstanceUID"})
"""The names of the series' UID in the generations."""

Attributes = Mapping[str, str | int]
"""One row of a reply: the archive's attributes under its own names and in its order. Counts and sizes are numbers, all else is
unchanged text; attributes without a value are absent, whatever the format wrote for them.
"""


class ReplyFormat(StrEnum):
    """The formats of the archive's rows (docs/archives.md#reply-formats). The values are those of its parameter `format`."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
    XML = "xml"


class Topic(StrEnum):
    """The kinds of queries, independent of the generations' endpoints."""

    COLLECTIONS = "collections"
    MODALITIES = "modalities"
    BODY_PARTS = "body-parts"
    MANUFACTURERS = "manufacturers"
    COLLECTION_COUNTS = "collection-counts"
    MODALITY_COUNTS = "modality-counts"
    BODY_PART_COUNTS = "body-part-counts"
    MANUFACTURER_COUNTS = "manufacturer-counts"
    PATIENTS = "patients"
    PATIENTS_BY_MODALITY = "patients-by-modality"
    NEW_PATIENTS = "new-patients"
    STUDIES = "studies"
    NEW_STUDIES = "new-studies"
    SERIES = "series"
    UPDATED_SERIES = "updated-series"
    SERIES_SIZE = "series-size"
    SERIES_METADATA = "series-metadata"
    IMAGES = "images"
    DICOM_TAGS = "dicom-tags"
    COLLECTION_DESCRIPTIONS = "collection-descriptions"
    DOI_COLLECTIONS = "doi-collections"
    DOI_SERIES = "doi-series"
    PATIENT_SEARCH = "patient-search"
    SHARED_CART = "shared-cart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query, independent of the generations' endpoints and parameters. None and empty match any.

    `series_instance_uids` may be many: the client sends as many requests as the generation needs. `since` is for new-patients,
    new-studies and updated-series; `shared_cart` is the name of a cart; `doi` is for doi-collections and doi-series.
    """

    topic: Topic
    collection: str | None = None
    patient_id: str | None = None
    study_instance_uid: str | None = None
    series_instance_uids: tuple[str, ...] = ()
    modality: str | None = None
    body_part_examined: str | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None
    since: date | None = None
    shared_cart: str | None = None
    doi: str | None = None


class RawReply(Protocol):
    """A reply in the archive's own form, as it arrives. `content_type` is the archive's header, empty if it sent none."""

    @property
    def content_type(self) -> str: ...  # noqa: D102  told above

    def batches(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield the body in lists of chunks that together hold 1 MiB or more (the last fewer).

        Raises:
            CutTransferError: the connection ended before the body did.
            StalledTransferError: no bytes for the idle time, or fewer than the minimum rate.
        """
        ...


class OfferedQuery(Protocol):
    """One query that a source offers.

    `attributes` are the columns of the reply in the archive's order; `row_attributes` are those of the resulting rows; `formats`
    are the available formats.
    """

    @property
    def attributes(self) -> tuple[str, ...]: ...  # noqa: D102  told above

    @property
    def row_attributes(self) -> tuple[str, ...]: ...  # noqa: D102  told above

    @property
    def formats(self) -> tuple[ReplyFormat, ...]: ...  # noqa: D102  told above


class ArchiveQueries(Protocol):
    """All queries of one archive. Methods raise ArchiveError, TransferError or SettingsError.

    `offers` has the queries of this generation.
    """

    name: str
    generation: str

    @property
    def offers(self) -> Mapping[Topic, OfferedQuery]: ...  # noqa: D102  told above

    def find_rows(self, question: Question, form: ReplyFormat = ReplyFormat.JSON) -> AsyncGenerator[Attributes, None]:
        """Send the query, and yield the rows of the reply; they are the same in every format.

        Filters that the generation lacks are applied to the rows, if these have the attribute. Rows about one series that do not
        contain its UID (series-size, images) get `SeriesInstanceUID` as their first attribute.

        Raises:
            SettingsError: the generation has no such query or filter, or a required filter is missing.
        """
        ...

    def open_reply(self, question: Question, form: ReplyFormat) -> AbstractAsyncContextManager[RawReply]:
        """Send the query, and enter when the archive sends the requested reply; an empty body means no rows.

        Raises:
            SettingsError: as `find_rows`; also if the generation lacks the format or one of the filters, or would need several
                requests.

        Source: docs/archives.md#empty-replies.
        """
        ...


FILTERS: Final = tuple(name for name in Question.__dataclass_fields__ if name != "topic")
"""The filters of a question."""


def make_question(what: str, filters: Mapping[str, object], *, named: str = "{}") -> Question:
    """The question with these filters; those that are None are not set.

    An empty filter is refused: it would match everything, which a user who sets a filter does not want (an unset variable of the
    shell, a selection without results).

    Args:
        what: a value of Topic.
        filters: by their names in Question; the series are one UID or several, and the day is a date or ISO text.
        named: the pattern of a filter's name in messages.

    Raises:
        SettingsError: there is no such topic or filter, or a value is invalid.
    """
    if what not in list(Topic):
        shown = "WHAT" if named.startswith("-") else "what"
        raise SettingsError(f"{shown}: {refuse_choice(what, [topic.value for topic in Topic])}")
    given = {name: value for name, value in filters.items() if value is not None}
    for name in given.keys() - set(FILTERS):
        raise SettingsError(f"{name}: unknown filter{suggest(name, FILTERS)}; the filters are {', '.join(FILTERS)}")
    values: dict[str, object] = {}
    for name, value in given.items():
        try:
            values[name] = _read(name, value)
        except ValueError as error:
            raise SettingsError(f"{_spell(name, named)}: {error}") from error
    return Question(topic=Topic(what), **values)  # type: ignore[arg-type]  # each was read for its filter


class UnlistedSeries:
    """The requested series for which no row was received.

    Args:
        question: the query.
    """

    def __init__(self, question: Question) -> None:
        self._left = dict.fromkeys(question.series_instance_uids)

    def note(self, row: Attributes) -> None:
        """Record a row."""
        for name in SERIES_NAMES:
            self._left.pop(str(row.get(name)), None)

    @property
    def left(self) -> tuple[str, ...]:
        """The series still without a row, in the order of the question."""
        return tuple(self._left)


def _spell(name: str, named: str) -> str:
    """The filter's name for messages: a flag is repeated for each series."""
    if not named.startswith("-"):
        return named.format(name)
    return named.format("series-instance-uid" if name == "series_instance_uids" else name.replace("_", "-"))


def _read(name: str, value: object) -> object:
    match name:
        case "series_instance_uids":
            return _read_series(value)
        case "since":
            return _read_day(value)
        case _:
            text = _read_text(value)
            return check_uid(text) if name == "study_instance_uid" else text


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, not {kind_of(value)}")  # noqa: TRY004 - told as a value that cannot be
    if not value.strip():
        raise ValueError("the text is empty; leave the filter out to select all")
    return value


def _read_series(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = (value,)
    series = tuple(check_uid(_read_text(one)) for one in value)
    if not series:
        raise ValueError("the list is empty; leave the filter out to select all")
    return series


def _read_day(value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(_read_text(value))
    except ValueError as error:
        shown = quote(value) if isinstance(value, str) else kind_of(value)
        raise ValueError(f"{shown} is not a date such as 2026-01-31") from error
