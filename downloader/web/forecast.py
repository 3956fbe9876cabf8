"""When a running manifest will be complete, and a disk full: from what was stored during the last hour, or not at all."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from downloader.model import SeriesTally
from downloader.service.port import LibraryStatus, ManifestStatus, RunPhase, RunProgress, ServiceStatus

MEASURED_SECONDS: Final = 3_600.0
LEAST_SECONDS: Final = 60.0
"""A rate over less time says more about single series than about the archive."""


class Stored(NamedTuple):
    """What the cycle had stored by then."""

    monotonic: float
    series: int
    images: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestForecast:
    """When everything that a running manifest wants will be complete; `seconds` is None, and `sentence` empty, where unknown."""

    name: str
    seconds: float | None
    measured_seconds: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryForecast:
    """How long the disk of a library lasts. `wanted_bytes` is what is still to come, as far as archives give sizes.

    `seconds` is None where nothing is stored now, or everything wanted fits.
    """

    directory: str
    wanted_bytes: int
    seconds: float | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastReply:
    """All manifests and libraries."""

    manifests: tuple[ManifestForecast, ...]
    libraries: tuple[LibraryForecast, ...]


@dataclass(slots=True)
class _History:
    started_at: datetime
    samples: deque[Stored] = field(default_factory=deque)


class Forecast:
    """Remembers what running cycles stored during the last hour."""

    def __init__(self) -> None:
        self._histories: dict[str, _History] = {}

    def note(self, running: Mapping[str, RunProgress], monotonic: float) -> None:
        """Keep a sample of each running cycle; cycles that ended are forgotten, and time without the archive does not count."""
        for name in self._histories.keys() - running.keys():
            del self._histories[name]
        for name, progress in running.items():
            history = self._histories.get(name)
            if history is None or history.started_at != progress.started_at or _is_held_up(progress):
                history = self._histories[name] = _History(progress.started_at)
            if not _is_held_up(progress):
                samples = history.samples
                samples.append(Stored(monotonic, progress.completed, progress.images, progress.stored_bytes))
                while samples[-1].monotonic - samples[0].monotonic > MEASURED_SECONDS:
                    samples.popleft()

    def reply(self, status: ServiceStatus, manifests: Sequence[ManifestStatus]) -> ForecastReply:
        """All forecasts of this moment."""
        return ForecastReply(
            manifests=tuple(self._of_manifest(manifest, is_paused=_is_paused(manifest, status)) for manifest in manifests),
            libraries=tuple(self._of_library(library, manifests) for library in status.libraries),
        )

    def _of_manifest(self, manifest: ManifestStatus, *, is_paused: bool) -> ManifestForecast:
        measured = self._measured(manifest.name)
        seconds = None
        if measured and manifest.progress and not is_paused and not _is_held_up(manifest.progress):
            seconds = _seconds_left(manifest.tally, *measured)
        elapsed = measured[1].monotonic - measured[0].monotonic if measured else 0.0
        sentence = f"{forecast_text(seconds)} at the rate of the last {_span_text(elapsed)}" if seconds is not None else ""
        return ManifestForecast(name=manifest.name, seconds=seconds, measured_seconds=elapsed, sentence=sentence)

    def _of_library(self, library: LibraryStatus, manifests: Sequence[ManifestStatus]) -> LibraryForecast:
        own = [manifest for manifest in manifests if manifest.library == library.directory]
        wanted_bytes = bytes_left(library.tally)
        if library.free_bytes is None:
            return LibraryForecast(directory=library.directory, wanted_bytes=wanted_bytes, seconds=None, sentence="")
        room_bytes = max(0, library.free_bytes - library.min_free_bytes)
        if not wanted_bytes or wanted_bytes <= room_bytes:
            fits = "enough for all that is still to come" if wanted_bytes else ""
            return LibraryForecast(directory=library.directory, wanted_bytes=wanted_bytes, seconds=None, sentence=fits)
        rate = sum(self._bytes_per_second(manifest.name) for manifest in own)
        seconds = room_bytes / rate if rate else None
        sentence = "too little for all that is still to come"
        if seconds is not None:
            sentence += f": full in {forecast_text(seconds)} at this rate"
        return LibraryForecast(directory=library.directory, wanted_bytes=wanted_bytes, seconds=seconds, sentence=sentence)

    def _measured(self, name: str) -> tuple[Stored, Stored] | None:
        history = self._histories.get(name)
        if history is None or len(history.samples) < 2:
            return None
        first, last = history.samples[0], history.samples[-1]
        return (first, last) if last.monotonic - first.monotonic >= LEAST_SECONDS else None

    def _bytes_per_second(self, name: str) -> float:
        measured = self._measured(name)
        if measured is None:
            return 0.0
        first, last = measured
        return (last.stored_bytes - first.stored_bytes) / (last.monotonic - first.monotonic)


def bytes_left(tally: SeriesTally) -> int:
    """Bytes of the series that are still to come, without the share of those that failed."""
    return int(max(0, tally.expected_bytes - tally.stored_bytes) * _share_in_queue(tally))


def _seconds_left(tally: SeriesTally, first: Stored, last: Stored) -> float | None:
    """By bytes where the archive tells sizes, else by images, else by series; None where nothing was stored or is left."""
    elapsed = last.monotonic - first.monotonic
    images_left = max(0, tally.expected_images - tally.images) * _share_in_queue(tally)
    for left, stored in (
        (float(bytes_left(tally)), last.stored_bytes - first.stored_bytes),
        (images_left, last.images - first.images),
        (float(tally.pending + tally.claimed), last.series - first.series),
    ):
        if left > 0 and stored > 0:
            return left * elapsed / stored
    return None


def _share_in_queue(tally: SeriesTally) -> float:
    queued = tally.pending + tally.claimed
    return queued / (queued + tally.failed) if queued else 0.0


def _is_held_up(progress: RunProgress) -> bool:
    return progress.phase is not RunPhase.FETCHING or progress.waiting_since_at is not None


def _is_paused(manifest: ManifestStatus, status: ServiceStatus) -> bool:
    return status.paused or any(library.paused for library in status.libraries if library.directory == manifest.library)


def forecast_text(seconds: float) -> str:
    """Such as "about 6 h"; no more exact than a forecast can be."""
    if seconds < 90:
        return "about a minute"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"about {round(seconds / 3600)} h"
    return f"about {round(seconds / 86_400):,} days"


def _span_text(seconds: float) -> str:
    return "hour" if seconds >= 0.95 * MEASURED_SECONDS else f"{max(1, round(seconds / 60))} min"
