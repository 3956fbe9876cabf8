"""The values that the store takes and returns, the same for every implementation."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from downloader.model import Digests, Series, SeriesState, WithdrawalRule

LONGEST_DELAY: Final = timedelta(days=8)
"""No lease is this long, and no archive requests such a wait: a later time was set by a wrong clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run or a service that uses the store and owns claims. `session_id` is unique; the rest is for people."""

    session_id: str
    host: str
    pid: int
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """The result of one batch of `enqueue`: `new` were not known, `changed` were complete in another version.

    `known` are all others, so that the three sum to the series of the batch; a series that is listed twice counts once. The names
    are SeriesInstanceUIDs in the order of the batch; `returned_series`, which were withdrawn and are listed again, count as
    known. `contradicting` are rows that were not accepted.
    """

    new: int = 0
    changed: int = 0
    known: int = 0
    new_series: tuple[str, ...] = ()
    changed_series: tuple[str, ...] = ()
    returned_series: tuple[str, ...] = ()
    contradicting: tuple[Series, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """One row of the store: `folder` is relative to the library, empty until complete.

    A series that is no longer complete keeps `folder`, `stored_bytes` and `completed_at`: its images are still there.
    `failed_rounds` is the number of consecutive rounds in which it failed; `rests_until_at` is the end of its back-off. `digests`
    and `came_with_list` are of its proof; None if unknown, as for series that an older tciad stored. `needed_bytes` is the free
    space that it waits for, 0 if it does not.
    """

    series: Series
    archive: str
    state: SeriesState
    attempts: int
    error: str
    message: str
    folder: str
    stored_bytes: int
    completed_at: datetime | None
    failed_rounds: int = 0
    rests_until_at: datetime | None = None
    withdrawn_at: datetime | None = None
    sop_class_uid: str = ""
    digests: Digests | None = None
    came_with_list: bool = False
    needed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawnSeries:
    """A withdrawn series in the library, and the policy of all manifests that ever wanted it.

    The most careful policy and the longest grace period apply.
    """

    stored: StoredSeries
    rule: WithdrawalRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofGroup:
    """Counts of an archive's complete series without matching MD5s of every image, by strength; None is unknown."""

    archive: str
    digests: Digests | None
    came_with_list: bool
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFilter:
    """A filter for series: all conditions must match. None and empty text match any.

    `text` is searched case-insensitively in identifiers, patient, collection, modality, description and error; `error` is the
    complete name of an error class.
    """

    state: SeriesState | None = None
    manifest: str | None = None
    collection: str | None = None
    error: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failed series of one error and collection; `message` is that of one of them.

    Their back-offs end between `first_retry_at` and `last_retry_at`; None if they have none.
    """

    error: str
    collection: str
    series: int
    message: str
    first_retry_at: datetime | None
    last_retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """Some rows in the archive's order; pass `next_after` for the next page; None if there are no more."""

    rows: tuple[StoredSeries, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleNote:
    """The end of the last cycle of a manifest; `succeeded_at` is the end of the last one that was complete (exit code 0)."""

    began_at: datetime
    ended_at: datetime
    outcome: str
    exit_code: int
    error: str
    succeeded_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlaces:
    """Some complete series with their folders in the library, in the archive's order; `next_after` as in `StoredPage`.

    `keys` are the store's own numbers of these series.
    """

    places: tuple[tuple[str, str], ...]
    next_after: int | None
    keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlace:
    """The values of a row that a quick verification needs; `key` is the store's own number of the series."""

    key: int
    state: SeriesState
    folder: str
    stored_bytes: int


class Standing(StrEnum):
    """A catalogue row compared with the store: unknown, not fetched yet, complete in this version, or complete in another."""

    NEW = "new"
    PENDING = "pending"
    COMPLETE = "complete"
    CHANGED = "changed"
