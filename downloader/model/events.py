"""Events that the scheduler reports. They hold values, never live objects."""

from dataclasses import dataclass

from downloader.model.series import Failure, Receipt, Series


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """A worker starts an attempt."""

    series: Series
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesReceived:
    """Bytes of a body were received, counted before inflating. `images` is the number of images of this attempt so far."""

    series_instance_uid: str
    received_bytes: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCompleted:
    """A series was moved into the library and recorded in the store.

    `folder` is relative to the library. `stepped_aside` tells that the first choice of the layout was occupied by another series.
    `first_byte_seconds` is the time until the archive began its response. `quarantined` is where the damaged folder is now that
    this one replaced; empty if there was none.
    """

    receipt: Receipt
    attempt: int
    elapsed_seconds: float
    downloaded: bool = True
    first_byte_seconds: float = 0.0
    folder: str = ""
    stepped_aside: bool = False
    quarantined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSetBack:
    """An attempt failed, and another attempt will follow."""

    series_instance_uid: str
    attempt: int
    error: str
    message: str
    delay_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFailed:
    """A series failed, and will not be retried in this run."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueResolved:
    """The archive's catalogue was read: how many series of the manifest are new, changed, listed again, or withdrawn."""

    new: int
    changed: int
    returned: int
    withdrawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesGivenBack:
    """An attempt does not count, for example because of an archive outage; or another worker has the series now."""

    series_instance_uid: str


Event = AttemptStarted | BytesReceived | SeriesCompleted | SeriesSetBack | SeriesGivenBack | SeriesFailed | CatalogueResolved
