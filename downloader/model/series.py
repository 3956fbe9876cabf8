"""Series: catalogue rows, their versions, receipts, and state in the store."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time
from enum import StrEnum

LARGEST_FIGURE = 2**42
"""Upper bound of counts and sizes. No series has a hundredth of it, and the store can add up two million of them in 63 bits."""
LONGEST_UID_CHARACTERS = 64
_DICOM_UID = re.compile(rf"(?=.{{1,{LONGEST_UID_CHARACTERS}}}\Z)[0-9]+(?:\.[0-9]+)*", re.ASCII)


def is_dicom_uid(text: str) -> bool:
    """Whether the text is a DICOM UID: numbers joined by dots, at most 64 characters.

    Leading zeros are accepted although the standard forbids them, because real images have them.

    Source: DICOM PS3.5 §9.1.
    """
    return _DICOM_UID.fullmatch(text) is not None


class SeriesState(StrEnum):
    """The state of a wanted series in the store."""

    PENDING = "pending"
    CLAIMED = "claimed"
    COMPLETE = "complete"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class WithdrawnPolicy(StrEnum):
    """What happens to series that the archive no longer lists, from the most to the least careful."""

    KEEP = "keep"
    QUARANTINE = "quarantine"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRule:
    """What the manifests that want a series do with it after the archive has withdrawn it."""

    policy: WithdrawnPolicy = WithdrawnPolicy.KEEP
    grace_seconds: float = 0.0


class Md5Mode(StrEnum):
    """When to request the archive's MD5 list: if it is offered (`auto`), always, or else fail (`require`), or never (`off`)."""

    AUTO = "auto"
    REQUIRE = "require"
    OFF = "off"


class Digests(StrEnum):
    """The strength of a proof: for how many images of a series the archive's own MD5 matched."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


class FetchOrder(StrEnum):
    """Which wanted series is claimed first."""

    ARCHIVE = "archive"
    SMALLEST_FIRST = "smallest-first"
    LARGEST_FIRST = "largest-first"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesVersion:
    """The values of a catalogue row that distinguish versions of a series; None if the row lacks one."""

    image_count: int | None
    file_size_bytes: int | None
    date_released: date | None
    submitted_at: datetime | None

    def differs_from(self, other: "SeriesVersion") -> bool:
        """Whether a value that both rows have differs. The store's statement `mark_changed` applies the same rule.

        v4 gives the day of a submission, v1 the second (docs/archives.md#series-queries, #dates). So midnight counts as a day
        without a time: if either value has no time, only the days are compared.
        """
        return self.differs_in_images_from(other) or self.differs_in_dates_from(other)

    def differs_in_images_from(self, other: "SeriesVersion") -> bool:
        """Whether the number or the total size of the images differs."""
        return _differ(self.image_count, other.image_count) or _differ(self.file_size_bytes, other.file_size_bytes)

    def differs_in_dates_from(self, other: "SeriesVersion") -> bool:
        """Whether a date differs: a new curation that may have left every image unchanged."""
        return _differ(self.date_released, other.date_released) or _differ_in_time(self.submitted_at, other.submitted_at)

    def differs_in_dates_alone_from(self, other: "SeriesVersion") -> bool:
        """Whether a date differs, but neither the number nor the size of the images."""
        return self.differs_in_dates_from(other) and not self.differs_in_images_from(other)


def _differ(before: object, now: object) -> bool:
    return before is not None and now is not None and before != now


def _differ_in_time(before: datetime | None, now: datetime | None) -> bool:
    if before is None or now is None or before == now:
        return False
    return not (is_day_of(before, now) or is_day_of(now, before))


def is_day_of(told: datetime, moment: datetime) -> bool:
    """Whether `told` is midnight of the day of `moment`: the value of an archive that gives only days."""
    return told.time() == time() and told.date() == moment.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of getSeries: the catalogue's attributes of one series. Absent attributes are None or empty.

    `image_count` and `file_size_bytes` are live aggregates over the images. The size is that of the uncompressed DICOM files,
    without LICENSE and lists.

    Source: docs/archives.md#series-queries.
    """

    series_instance_uid: str
    study_instance_uid: str = ""
    collection: str = ""
    patient_id: str = ""
    modality: str = ""
    body_part_examined: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    software_versions: str = ""
    series_number: str = ""
    series_description: str = ""
    protocol_name: str = ""
    series_date: date | None = None
    study_date: date | None = None
    study_description: str = ""
    study_id: str = ""
    annotations_flag: str = ""
    third_party_analysis: str = ""
    license_name: str = ""
    license_uri: str = ""
    data_description_uri: str = ""
    image_count: int | None = None
    file_size_bytes: int | None = None
    date_released: date | None = None
    submitted_at: datetime | None = None
    released_status: str = ""

    @property
    def version(self) -> SeriesVersion:
        """The values that show whether another row of the series describes the same images."""
        return SeriesVersion(
            image_count=self.image_count,
            file_size_bytes=self.file_size_bytes,
            date_released=self.date_released,
            submitted_at=self.submitted_at,
        )

    def with_gaps_filled(self, told_before: "Series") -> "Series":
        """The row with its empty attributes filled from another row of the series, except the attributes of its version."""
        gaps = [name for name in _LASTING if not getattr(self, name) and getattr(told_before, name)]
        return replace(self, **{name: getattr(told_before, name) for name in gaps}) if gaps else self


VERSION_ATTRIBUTES = tuple(attribute.name for attribute in fields(SeriesVersion))
"""The attributes of a `Series` that are in its `version`."""
_LASTING = tuple(attribute.name for attribute in fields(Series) if attribute.name not in VERSION_ATTRIBUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuery:
    """The filters of one getSeries request. The archive compares each attribute with one value; None matches any value."""

    collection: str | None = None
    patient_id: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    body_part_examined: str | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None


class Identity(StrEnum):
    """Whether the identifiers of an image could be read."""

    READ = "read"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One stored SOP instance: its file name in the series folder, size in bytes, and MD5 in lower-case hex.

    `sop_class_uid` is empty if the image does not contain it, and in receipts of versions that did not read it. If `identity` is
    `unread`, no reader finds the identifiers, `sop_instance_uid` is empty, and the bytes matched the archive's own MD5.
    """

    name: str
    sop_instance_uid: str
    size_bytes: int
    md5: str
    sop_class_uid: str = ""
    identity: Identity = Identity.READ


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The proof of a series, in addition to CRC-32, central directory, DICOM identity and image count, which always hold.

    `size` tells that the sizes add up to the archive's FileSize, `md5_images` how many images matched the archive's own MD5,
    `md5_blank` how many had none. `merged` tells that the images arrived in several attempts and were proven together. `md5_list`
    tells whether they arrived in one ZIP with the archive's MD5 list, which may have blanks; None in receipts of versions that
    did not record it. `identity` is `unread` if the identifiers of an image cannot be read.
    """

    size: bool
    md5_images: int
    md5_blank: int
    merged: bool = False
    md5_list: bool | None = None
    identity: Identity = Identity.READ

    @property
    def digests(self) -> Digests:
        """The strength of the proof."""
        if self.md5_images <= 0:
            return Digests.NONE
        return Digests.SOME if self.md5_blank else Digests.ALL

    @property
    def came_with_list(self) -> bool:
        """Whether an MD5 list arrived with the images; in old receipts, a match in a single ZIP shows it."""
        return self.md5_images > 0 and not self.merged if self.md5_list is None else self.md5_list


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredZip:
    """The ZIP of a series as the archive sent it: its file name in the series folder, size in bytes, and lower-case hex MD5."""

    name: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of what was stored for one series, written next to the images as `.receipt.json`.

    If there is a `zip`, the images are its members instead of files, and have the names of the members.
    """

    series: Series
    archive: str
    generation: str
    completed_at: datetime
    tool_version: str
    images: tuple[Image, ...]
    proof: Proof
    received_bytes: int
    zip: StoredZip | None = None

    @property
    def file_sizes(self) -> Mapping[str, int]:
        """Name and size of every file in the series folder, except the receipt."""
        if self.zip is not None:
            return {self.zip.name: self.zip.size_bytes}
        return {image.name: image.size_bytes for image in self.images}

    @property
    def stored_bytes(self) -> int:
        """Total size of the images, also of those in a ZIP."""
        return sum(image.size_bytes for image in self.images)

    @property
    def sop_class_uid(self) -> str:
        """The most frequent SOP class of the images; empty if no image has one."""
        told = Counter(image.sop_class_uid for image in self.images if image.sop_class_uid)
        return max(told, key=told.__getitem__, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to one series. `attempt` counts from 1 and includes this one; `claim_id` names this claim alone.

    `failed_rounds` is the number of consecutive rounds in which the series failed. `folder` is the folder of its earlier images
    in the library, empty if there are none. `unended_attempts` counts earlier attempts that never recorded an end because the
    process died. `needed_bytes` is the space that a download needed that stopped on a full disk, 0 if there was none;
    `rounds_without_room` counts such downloads.
    """

    series: Series
    archive: str
    attempt: int
    claim_id: str
    failed_rounds: int = 0
    folder: str = ""
    unended_attempts: int = 0
    needed_bytes: int = 0
    rounds_without_room: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A series that ended without being complete, and why. `error` is the name of one of our error classes."""

    series_instance_uid: str
    error: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTally:
    """Counts of series by state, with images and bytes, of one manifest or of a whole library."""

    pending: int = 0
    claimed: int = 0
    complete: int = 0
    failed: int = 0
    withdrawn: int = 0
    images: int = 0
    stored_bytes: int = 0
    expected_images: int = 0
    expected_bytes: int = 0

    @property
    def selected(self) -> int:
        """Series that the manifest wants now: all except the withdrawn ones."""
        return self.pending + self.claimed + self.complete + self.failed

    def without_unseen(self, unseen: int) -> "SeriesTally":
        """The counts if `unseen` complete series are missing in the library: they count as pending."""
        unseen = min(unseen, self.complete)
        if not unseen:
            return self
        seen = replace(self, complete=self.complete - unseen, pending=self.pending + unseen)
        return seen if seen.complete else replace(seen, images=0, stored_bytes=0)
