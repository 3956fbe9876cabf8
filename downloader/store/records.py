"""What the store gives and takes: values without behaviour, the same for every implementation."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from downloader.model import Digests, Series, SeriesState, WithdrawalRule

LONGEST_DELAY: Final = timedelta(days=8)
"""No lease lasts so long, and no archive makes anybody wait so long: what is later was dated by a clock that was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A run or a service that works with the store: claims belong to one. `session_id` is unique; the rest is for people."""

    session_id: str
    host: str
    pid: int
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What one batch of `enqueue` met: `new` were not known, `changed` were complete but the catalogue says otherwise now.

    `known` are all others, so that the three sum to the series of the batch; one that is named twice counts once. The names are
    SeriesInstanceUIDs in the order of the batch; `returned_series`, which were withdrawn and are listed again, count as known.
    `contradicting` are rows whose figures were not taken.
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
    """One row of the store, for those who ask: `folder` is relative to the library, empty until complete.

    A series that was complete and no longer is keeps `folder`, `stored_bytes` and `completed_at`: its images still lie there.
    `failed_rounds` counts how many times in a row it ended failed; `rests_until_at` is until when it is not tried again then.
    `digests` and `came_with_list` are of its proof; None is not known, as of what an older tciad stored.
    `needed_bytes` is how much room it waits for, 0 where it does not.
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
    """A withdrawn series that lies in the library, and what all manifests that ever wanted it want done with it.

    The most careful policy and the longest grace count.
    """

    stored: StoredSeries
    rule: WithdrawalRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofGroup:
    """How many complete series of one archive are proven by less than its MD5 of every image, and by what. None is not known."""

    archive: str
    digests: Digests | None
    came_with_list: bool
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFilter:
    """Which series are asked for: all that fit every one of these. None and empty text limit nothing.

    `text` is looked for, without case, in identifiers, patient, collection, modality, description and error; `error` is the whole
    name of one.
    """

    state: SeriesState | None = None
    manifest: str | None = None
    collection: str | None = None
    error: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failed series of one error and collection; `message` is that of one of them.

    Their back-offs end between `first_retry_at` and `last_retry_at`; None where they have none.
    """

    error: str
    collection: str
    series: int
    message: str
    first_retry_at: datetime | None
    last_retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """Some rows in the archive's order; `next_after` asks for those that may follow, None when there are none."""

    rows: tuple[StoredSeries, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleNote:
    """How the last cycle of a manifest ended; `succeeded_at` is when one last ended with everything complete (exit code 0)."""

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
    """What verifying a sound series needs of its row; `key` is the store's own number of the series."""

    key: int
    state: SeriesState
    folder: str
    stored_bytes: int


class Standing(StrEnum):
    """How a catalogue row compares with the store: not known, not fetched yet, complete as listed, or listed otherwise now."""

    NEW = "new"
    PENDING = "pending"
    COMPLETE = "complete"
    CHANGED = "changed"
