"""What the scheduler reports while it works. Events carry figures, never live objects."""

from dataclasses import dataclass

from downloader.model.series import Failure, Receipt, Series


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """A worker begins an attempt."""

    series: Series
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesReceived:
    """Bytes of a body came in, counted before inflating; `images` of its members have been written so far in this attempt."""

    series_instance_uid: str
    received_bytes: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCompleted:
    """A series is in the library, and the store knows.

    `folder` is relative to the library; `stepped_aside` tells that it is not the one that the layout would give it first, since
    another series lies there. `first_byte_seconds` is how long the archive took to begin its reply. `quarantined` is where the
    damaged folder lies now whose place it took; empty where there was none.
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
    """An attempt failed and another will follow."""

    series_instance_uid: str
    attempt: int
    error: str
    message: str
    delay_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFailed:
    """A series will not be tried again in this run."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueResolved:
    """The archive has told what a manifest means: how many series it had never listed, lists otherwise, again, or no more."""

    new: int
    changed: int
    returned: int
    withdrawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesGivenBack:
    """An attempt had no chance, as when the archive went out, and does not count; or another worker has the series by now."""

    series_instance_uid: str


Event = AttemptStarted | BytesReceived | SeriesCompleted | SeriesSetBack | SeriesGivenBack | SeriesFailed | CatalogueResolved
