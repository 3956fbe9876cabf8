"""Series: rows of the catalogue, their versions, their receipts, and where they stand in the store."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time
from enum import StrEnum

LARGEST_FIGURE = 2**42
"""No series has a hundredth of it in images or bytes, and a store can add up two million of them (its integers have 63 bits)."""
LONGEST_UID_CHARACTERS = 64
_DICOM_UID = re.compile(rf"(?=.{{1,{LONGEST_UID_CHARACTERS}}}\Z)[0-9]+(?:\.[0-9]+)*", re.ASCII)


def is_dicom_uid(text: str) -> bool:
    """Whether the text is a DICOM UID: numbers joined by dots, 64 characters at most.

    Leading zeros are let pass although the standard forbids them: real images have them.

    Source: DICOM PS3.5 §9.1.
    """
    return _DICOM_UID.fullmatch(text) is not None


class SeriesState(StrEnum):
    """Where a wanted series stands in the store."""

    PENDING = "pending"
    CLAIMED = "claimed"
    COMPLETE = "complete"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class WithdrawnPolicy(StrEnum):
    """What becomes of series that the archive no longer lists, the most careful first."""

    KEEP = "keep"
    QUARANTINE = "quarantine"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRule:
    """What a manifest, or all manifests that wanted a series, want done with it once the archive has withdrawn it."""

    policy: WithdrawnPolicy = WithdrawnPolicy.KEEP
    grace_seconds: float = 0.0


class Md5Mode(StrEnum):
    """Whether the archive is asked for its MD5 list: where it can (`auto`), always or else fail (`require`), never (`off`)."""

    AUTO = "auto"
    REQUIRE = "require"
    OFF = "off"


class Digests(StrEnum):
    """Of how many images of a series the archive's own MD5 was seen to match: the strength of its proof."""

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
    """The figures of a catalogue row that tell one version of a series from another; None where the row leaves one out."""

    image_count: int | None
    file_size_bytes: int | None
    date_released: date | None
    submitted_at: datetime | None

    def differs_from(self, other: "SeriesVersion") -> bool:
        """Whether a figure that both rows give is another one. The store's statement `mark_changed` decides in the same way.

        v4 gives the day of a submission where v1 gives its second (docs/archives.md#series-queries, #dates), so a time of
        midnight counts as no time: two moments are compared as days where one of them has none.
        """
        return self.differs_in_images_from(other) or self.differs_in_dates_from(other)

    def differs_in_images_from(self, other: "SeriesVersion") -> bool:
        """Whether the count or the size of the images is another one."""
        return _differ(self.image_count, other.image_count) or _differ(self.file_size_bytes, other.file_size_bytes)

    def differs_in_dates_from(self, other: "SeriesVersion") -> bool:
        """Whether one of the dates is another one: a re-curation that may have left every image as it was."""
        return _differ(self.date_released, other.date_released) or _differ_in_time(self.submitted_at, other.submitted_at)

    def differs_in_dates_alone_from(self, other: "SeriesVersion") -> bool:
        """Whether a date is another one, and neither the count nor the size."""
        return self.differs_in_dates_from(other) and not self.differs_in_images_from(other)


def _differ(before: object, now: object) -> bool:
    return before is not None and now is not None and before != now


def _differ_in_time(before: datetime | None, now: datetime | None) -> bool:
    if before is None or now is None or before == now:
        return False
    return not (is_day_of(before, now) or is_day_of(now, before))


def is_day_of(told: datetime, moment: datetime) -> bool:
    """Whether `told` is midnight at the beginning of the day of `moment`: all that an archive says which gives days only."""
    return told.time() == time() and told.date() == moment.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of getSeries: what the catalogue says of one series. Absent attributes are None or empty.

    `image_count` and `file_size_bytes` are live aggregates over the images; the size is that of the uncompressed DICOM files,
    LICENSE and lists not counted.

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
        """The figures that tell whether the catalogue means the same images as another row of the series."""
        return SeriesVersion(
            image_count=self.image_count,
            file_size_bytes=self.file_size_bytes,
            date_released=self.date_released,
            submitted_at=self.submitted_at,
        )

    def with_gaps_filled(self, told_before: "Series") -> "Series":
        """The row with what another row of the series tells besides, but for the figures that tell versions of it apart."""
        gaps = [name for name in _LASTING if not getattr(self, name) and getattr(told_before, name)]
        return replace(self, **{name: getattr(told_before, name) for name in gaps}) if gaps else self


VERSION_ATTRIBUTES = tuple(attribute.name for attribute in fields(SeriesVersion))
"""The attributes of a `Series` that its `version` holds."""
_LASTING = tuple(attribute.name for attribute in fields(Series) if attribute.name not in VERSION_ATTRIBUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuery:
    """What one getSeries asks, each attribute compared with one value by the archive; None asks for any."""

    collection: str | None = None
    patient_id: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    body_part_examined: str | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None


class Identity(StrEnum):
    """Whether an image could be read as far as it takes to tell which image of which series it is."""

    READ = "read"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One stored SOP instance: its file name inside the series folder, size, and lower-case hex MD5.

    `sop_class_uid` is empty where the image does not tell it, and in receipts from before it was looked for. Where `identity` is
    `unread`, no reader can tell which image it is, `sop_instance_uid` is empty, and the archive's own MD5 vouches for the bytes.
    """

    name: str
    sop_instance_uid: str
    size_bytes: int
    md5: str
    sop_class_uid: str = ""
    identity: Identity = Identity.READ


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a series' completeness rests on, beside CRC, directory, DICOM identity and image count, which always hold.

    `size` tells that the sizes summed to the archive's FileSize, `md5_images` how many images matched the archive's own MD5,
    `md5_blank` how many had none to match. `merged` tells that no single ZIP brought the series: its images came in several
    attempts and were proven together. `md5_list` tells whether they came in one ZIP with the archive's MD5 list, which may have
    blanks; None in receipts from before this was noted. `identity` is `unread` where no reader can tell who one of the images is.
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
        """Whether an MD5 list came with the images; in old receipts a match in a single ZIP shows it."""
        return self.md5_images > 0 and not self.merged if self.md5_list is None else self.md5_list


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredZip:
    """The ZIP of a series as the archive sent it: its file name inside the series folder, size, and lower-case hex MD5."""

    name: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The proof of what was stored for one series; written beside the images as `.receipt.json`.

    With a `zip`, the images are its members and not files: their names are what the ZIP calls them.
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
        """Name and size of every file that lies in the series folder beside the receipt."""
        if self.zip is not None:
            return {self.zip.name: self.zip.size_bytes}
        return {image.name: image.size_bytes for image in self.images}

    @property
    def stored_bytes(self) -> int:
        """Sum of the sizes of the images, in a ZIP as well."""
        return sum(image.size_bytes for image in self.images)

    @property
    def sop_class_uid(self) -> str:
        """What most of the images are; empty where none tells."""
        told = Counter(image.sop_class_uid for image in self.images if image.sop_class_uid)
        return max(told, key=told.__getitem__, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to one series until `lease_until_at`. `attempt` counts from 1, this one included.

    `failed_rounds` tells how many times in a row it ended failed before; `folder` is where its images of an earlier time lie in
    the library, empty if there were none. `unended_attempts` counts the attempts before this one whose end was never recorded:
    the process died in them. `needed_bytes` is how much room a download that ended for want of it found the series to need, 0
    where none did, and `rounds_without_room` how many such downloads there were.
    """

    series: Series
    archive: str
    attempt: int
    owner: str
    lease_until_at: datetime
    failed_rounds: int = 0
    folder: str = ""
    unended_attempts: int = 0
    needed_bytes: int = 0
    rounds_without_room: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A series that ended without being complete, and why. `error` is the class name of one of our errors."""

    series_instance_uid: str
    error: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTally:
    """How many series, images and bytes stand where; all counts of one manifest or of a whole library."""

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
        """Series that the manifest wants now: all but the withdrawn."""
        return self.pending + self.claimed + self.complete + self.failed

    def without_unseen(self, unseen: int) -> "SeriesTally":
        """The same where so many complete series are not seen in the library: they are to come."""
        unseen = min(unseen, self.complete)
        if not unseen:
            return self
        seen = replace(self, complete=self.complete - unseen, pending=self.pending + unseen)
        return seen if seen.complete else replace(seen, images=0, stored_bytes=0)
