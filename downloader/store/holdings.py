"""The content of a library, counted in one pass over its series, for its report."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from downloader.model import SeriesState


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAmount:
    """An amount of series, and what the catalogue expects.

    `images` and `stored_bytes` are what the library received when the series became complete; they may still be there when the
    series is no longer complete. `expected_*` leave out series without figures in the catalogue.
    """

    series: int = 0
    images: int = 0
    stored_bytes: int = 0
    expected_images: int = 0
    expected_bytes: int = 0

    def __add__(self, other: "HeldAmount") -> "HeldAmount":
        return HeldAmount(
            series=self.series + other.series,
            images=self.images + other.images,
            stored_bytes=self.stored_bytes + other.stored_bytes,
            expected_images=self.expected_images + other.expected_images,
            expected_bytes=self.expected_bytes + other.expected_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGroup:
    """The series of one collection and modality in one state."""

    collection: str
    modality: str
    state: SeriesState
    amount: HeldAmount


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLicence:
    """How many complete series of a collection have this licence and this data page in the catalogue; empty if it gives none."""

    collection: str
    license_name: str
    license_uri: str
    data_description_uri: str
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """The counts of a whole library at one time.

    All except `groups` and `errors` are of complete series. `patients` and `studies` count, by collection, those with any series.
    `sizes` counts series by their stored bytes rounded down to one digit. `hours` has the series that became complete, by hour.
    `errors` counts failed series by error class.
    """

    groups: tuple[HeldGroup, ...] = ()
    patients: Mapping[str, int] = field(default_factory=dict)
    studies: Mapping[str, int] = field(default_factory=dict)
    licences: tuple[HeldLicence, ...] = ()
    sizes: Mapping[int, int] = field(default_factory=dict)
    hours: Mapping[datetime, HeldAmount] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


class HoldingRow(NamedTuple):
    """The counted values of a series. Missing texts are empty, missing numbers 0, `completed_at` is ISO 8601 in UTC or empty."""

    collection: str
    modality: str
    state: str
    patient_id: str
    study_instance_uid: str
    images: int
    stored_bytes: int
    expected_images: int
    expected_bytes: int
    completed_at: str
    error: str
    license_name: str
    license_uri: str
    data_description_uri: str


def count_holdings(rows: Iterable[HoldingRow]) -> Holdings:
    """Add up the rows. Memory grows with patients and studies, of which it keeps one number each, but not with series."""
    groups: dict[tuple[str, str, str], _Sums] = defaultdict(_Sums)
    hours: dict[str, _Sums] = defaultdict(_Sums)
    patients: dict[str, set[int]] = defaultdict(set)
    studies: dict[str, set[int]] = defaultdict(set)
    licences: Counter[tuple[str, str, str, str]] = Counter()
    sizes: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    for row in rows:
        groups[row.collection, row.modality, row.state].add(row)
        if row.state == SeriesState.FAILED:
            errors[row.error] += 1
        if row.state != SeriesState.COMPLETE:
            continue
        # 64-bit hashes instead of texts: among a million, a collision occurs once in tens of millions of libraries
        patients[row.collection].add(hash(row.patient_id))
        studies[row.collection].add(hash(row.study_instance_uid))
        licences[row.collection, row.license_name, row.license_uri, row.data_description_uri] += 1
        sizes[_first_digit(row.stored_bytes)] += 1
        hours[row.completed_at[: len("2026-11-24T12")]].add(row)
    return Holdings(
        groups=tuple(
            HeldGroup(collection=collection, modality=modality, state=SeriesState(state), amount=sums.amount)
            for (collection, modality, state), sums in groups.items()
        ),
        patients={collection: len(known) for collection, known in patients.items()},
        studies={collection: len(known) for collection, known in studies.items()},
        licences=tuple(
            HeldLicence(collection=collection, license_name=name, license_uri=uri, data_description_uri=description, series=count)
            for (collection, name, uri, description), count in licences.items()
        ),
        sizes=dict(sizes),
        hours={_hour(text): sums.amount for text, sums in sorted(hours.items()) if text},
        errors=dict(errors),
    )


@dataclass(slots=True)
class _Sums:
    series: int = 0
    images: int = 0
    stored_bytes: int = 0
    expected_images: int = 0
    expected_bytes: int = 0

    def add(self, row: HoldingRow) -> None:
        self.series += 1
        self.images += row.images
        self.stored_bytes += row.stored_bytes
        self.expected_images += row.expected_images
        self.expected_bytes += row.expected_bytes

    @property
    def amount(self) -> HeldAmount:
        return HeldAmount(
            series=self.series,
            images=self.images,
            stored_bytes=self.stored_bytes,
            expected_images=self.expected_images,
            expected_bytes=self.expected_bytes,
        )


def _first_digit(figure: int) -> int:
    """Round down to one digit: 1,234 becomes 1,000."""
    digits = str(figure)
    return int(digits[0].ljust(len(digits), "0"))


def _hour(text: str) -> datetime:
    return datetime.fromisoformat(text + ":00").replace(tzinfo=UTC)
