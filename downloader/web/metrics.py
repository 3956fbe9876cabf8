"""Metrics for Prometheus: counters of events, and gauges of the moment of the request."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from downloader.model import BytesReceived, SeriesCompleted, SeriesFailed, SeriesSetBack
from downloader.pacing import BreakerState
from downloader.service.port import (
    ArchiveStatus,
    CycleEnded,
    LibraryStatus,
    ManifestStatus,
    ServiceEvent,
    ServiceReports,
    ServiceStatus,
)
from downloader.service.summary import SummaryState, summarize

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_RATES: Final = (1e4, 3e4, 1e5, 3e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8)
_STATES: Final = ("pending", "claimed", "complete", "failed", "withdrawn")
_MANIFEST: Final = ["manifest"]
Labelled = TypeVar("Labelled", Counter, Histogram)


class Metrics:
    """Counts events (`Observer`), and writes all metrics on request."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._labels: dict[str, set[tuple[Counter | Histogram, tuple[str, ...]]]] = {}
        ProcessCollector(registry=self._registry)
        self._moment = Moment()
        self._registry.register(self._moment)
        self._received = self._counter("tciad_received_bytes", "Bytes of response bodies received.", _MANIFEST)
        self._images = self._counter("tciad_images", "Images of series that became complete.", _MANIFEST)
        self._attempts = self._counter("tciad_attempts", "Attempts at series, by outcome.", ["manifest", "outcome"])
        self._cycles = self._counter("tciad_cycles", "Cycles, by outcome.", ["manifest", "outcome"])
        self._first_byte = self._histogram("tciad_first_byte_seconds", "Time until the archive began to respond.", _SECONDS)
        self._elapsed = self._histogram("tciad_attempt_seconds", "Duration of attempts that completed a series.", _SECONDS)
        self._rate = self._histogram("tciad_attempt_bytes_per_second", "Transfer rate of completed series.", _RATES)

    def take(self, manifest: str, event: ServiceEvent) -> None:
        """Implements `Observer`."""
        match event:
            case BytesReceived():
                self._of(self._received, manifest).inc(event.received_bytes)
            case SeriesCompleted() if event.downloaded:
                self._of(self._attempts, manifest, "completed").inc()
                self._of(self._images, manifest).inc(len(event.receipt.images))
                self._of(self._first_byte, manifest).observe(event.first_byte_seconds)
                self._of(self._elapsed, manifest).observe(event.elapsed_seconds)
                if event.elapsed_seconds > 0:
                    self._of(self._rate, manifest).observe(event.receipt.received_bytes / event.elapsed_seconds)
            case SeriesSetBack():
                self._of(self._attempts, manifest, "set_back").inc()
            case SeriesFailed():
                self._of(self._attempts, manifest, "failed").inc()
            case CycleEnded():
                self._of(self._cycles, manifest, event.summary.outcome).inc()
            case _:
                return

    def _of(self, metric: Labelled, *labels: str) -> Labelled:
        """The figure with these labels, of which the manifest is the first."""
        self._labels.setdefault(labels[0], set()).add((metric, labels))
        return metric.labels(*labels)

    def _forget_others(self, manifests: Sequence[ManifestStatus]) -> None:
        """Drop the figures of manifests that are gone, like the gauges of the moment; otherwise each name would stay."""
        for name in self._labels.keys() - {manifest.name for manifest in manifests}:
            for metric, labels in self._labels.pop(name):
                metric.remove(*labels)

    def names(self) -> set[str]:
        """What is counted, without the endings that Prometheus gives to counters and histograms."""
        return {metric.name for metric in self._registry.collect()}

    async def expose(self, service: ServiceReports, accept: str) -> tuple[bytes, str]:
        """All figures, and their content type: OpenMetrics if the client accepts it.

        Raises:
            StoreError: the store cannot be read.
        """
        status, manifests = await service.status(), await service.manifests()
        # nothing is awaited from here on, so that no other request can put its moment in between
        self._moment.status, self._moment.manifests = status, manifests
        self._forget_others(manifests)
        encode, content_type = _encoder_of(accept)
        return encode(self._registry), content_type

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, _MANIFEST, buckets=buckets, registry=self._registry)


def _encoder_of(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """The format that the client accepts; the oldest one if it accepts none."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):
        # choose_encoder compares versions without asking whether they are numbers
        return choose_encoder("")


class Moment(Collector):
    """Gauges of one moment."""

    def __init__(self) -> None:
        self.status: ServiceStatus | None = None
        self.manifests: Sequence[ManifestStatus] = ()

    def collect(self) -> Iterable[Metric]:
        """Implements `Collector`."""
        if self.status is None:
            return
        yield InfoMetricFamily("tciad_build", "Version of the running service.", {"version": self.status.version})
        yield _gauge(
            "tciad_started_timestamp_seconds", "Start time of the service.", [], {(): self.status.started_at.timestamp()}
        )
        yield _gauge("tciad_paused", "Whether the service is paused.", [], {(): self.status.paused})
        yield from _of_archives(self.status.archives)
        yield from _of_libraries(self.status)
        yield from _of_manifests(self.manifests)
        told = summarize(self.status, self.manifests).manifests
        yield _gauge(
            "tciad_manifest_needs_attention",
            "Whether the manifest is broken, has failed series, or cannot continue; as the page and /api/v1/status report.",
            _MANIFEST,
            {(of.name,): of.state is SummaryState.ATTENTION for of in told},
        )


def _of_archives(archives: Sequence[ArchiveStatus]) -> Iterable[Metric]:
    def gauge(name: str, text: str, value_of: Callable[[ArchiveStatus], float]) -> Metric:
        return _gauge(name, text, ["archive"], {(archive.base_url,): value_of(archive) for archive in archives})

    yield gauge(
        "tciad_archive_reachable", "Whether the archive answered the last request; 0 before any.", lambda of: of.reachable
    )
    yield gauge(
        "tciad_archive_last_answer_timestamp_seconds",
        "When the archive last answered since the service began; 0 for never.",
        lambda of: _timestamp(of.reached_at),
    )
    yield gauge(
        "tciad_archive_last_failure_timestamp_seconds",
        "When the archive was last out of reach since the service began; 0 for never.",
        lambda of: _timestamp(of.failed_at),
    )


def _timestamp(at: datetime | None) -> float:
    """Seconds since 1970; 0 for what never was."""
    return at.timestamp() if at else 0.0


def _of_libraries(status: ServiceStatus) -> Iterable[Metric]:
    def gauge(name: str, text: str, values: Iterable[tuple[LibraryStatus, float | None]]) -> Metric:
        return _gauge(name, text, ["library"], {(library.directory,): value for library, value in values})

    libraries = status.libraries
    yield gauge("tciad_library_usable", "Whether library and state store are usable.", [(of, of.usable) for of in libraries])
    yield gauge("tciad_library_paused", "Whether claiming is paused for the library.", [(of, of.paused) for of in libraries])
    yield gauge("tciad_short_of_room", "Whether claiming waits for free space.", [(of, of.short_of_room) for of in libraries])
    yield gauge("tciad_free_bytes", "Free space on the file system of the library.", [(of, of.free_bytes) for of in libraries])
    yield gauge("tciad_min_free_bytes", "Disk space that stays unused.", [(of, of.min_free_bytes) for of in libraries])
    yield gauge("tciad_stored_bytes", "Bytes of the complete series.", [(of, of.tally.stored_bytes) for of in libraries])
    ages = [(of, (status.told_at - of.queued_since_at).total_seconds() if of.queued_since_at else 0.0) for of in libraries]
    yield gauge("tciad_queue_age_seconds", "Time since the queue was last empty.", ages)


def _of_manifests(manifests: Sequence[ManifestStatus]) -> Iterable[Metric]:
    def gauge(name: str, text: str, values: Iterable[tuple[ManifestStatus, float | None]]) -> Metric:
        return _gauge(name, text, _MANIFEST, {(manifest.name,): value for manifest, value in values})

    states: dict[tuple[str, ...], float | None] = {
        (of.name, state): getattr(of.tally, state) for of in manifests for state in _STATES
    }
    yield _gauge("tciad_series", "Series of the manifest, by state.", ["manifest", "state"], states)
    running = [(of, of.progress) for of in manifests]
    yield gauge("tciad_running", "Whether a cycle is running.", [(of, now is not None) for of, now in running])
    yield gauge("tciad_manifest_wrong", "Whether the manifest file has errors.", [(of, bool(of.problem)) for of in manifests])
    yield gauge(
        "tciad_last_success_timestamp_seconds",
        "Time of the last cycle that ended with all series complete; 0 for never.",
        [(of, _timestamp(of.last_success_at)) for of in manifests],
    )
    yield gauge(
        "tciad_next_run_timestamp_seconds",
        "Start time of the next cycle.",
        [(of, of.next_run_at.timestamp() if of.next_run_at else None) for of in manifests],
    )
    yield gauge("tciad_concurrency", "Limit of concurrent series.", [(of, now.concurrency if now else 0) for of, now in running])
    yield gauge(
        "tciad_concurrency_ceiling",
        "Maximum number of concurrent series.",
        [(of, now.concurrency_ceiling if now else 0) for of, now in running],
    )
    yield gauge("tciad_active_series", "Series in flight.", [(of, len(now.active) if now else 0) for of, now in running])
    is_open = [(of, now is not None and now.breaker is not BreakerState.CLOSED) for of, now in running]
    yield gauge("tciad_breaker_open", "Whether the circuit breaker of an archive is open.", is_open)
    yield gauge(
        "tciad_receive_bytes_per_second",
        "Recent rate of received bytes.",
        [(of, now.bytes_per_second if now else 0) for of, now in running],
    )


def _gauge(name: str, text: str, labels: Sequence[str], values: dict[tuple[str, ...], float | None]) -> Metric:
    """A gauge; unknown values are left out."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for label_values, value in values.items():
        if value is not None:
            family.add_metric(label_values, float(value))
    return family
