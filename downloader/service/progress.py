"""How far the running cycle of a manifest is, added up from its events."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from downloader.clock import Clock
from downloader.model import (
    AttemptStarted,
    BytesReceived,
    Event,
    SeriesCompleted,
    SeriesFailed,
    SeriesGivenBack,
    SeriesSetBack,
    SeriesTally,
)
from downloader.scheduling.scheduler import Pressure
from downloader.service.port import ActiveSeries, RunPhase, RunProgress

RATE_SECONDS: Final = 10.0
"""The period over which the rate is measured."""


class ByteRate:
    """Bytes per second over the last `RATE_SECONDS`, in steps of a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steps: deque[tuple[int, int]] = deque()

    def add(self, received_bytes: int) -> None:
        """Note received bytes."""
        second = int(self._clock.monotonic())
        if self._steps and self._steps[-1][0] == second:
            received_bytes += self._steps.pop()[1]
        self._steps.append((second, received_bytes))
        self._forget()

    def bytes_per_second(self) -> float:
        """What came lately."""
        self._forget()
        return sum(received_bytes for _, received_bytes in self._steps) / RATE_SECONDS

    def _forget(self) -> None:
        oldest = self._clock.monotonic() - RATE_SECONDS
        while self._steps and self._steps[0][0] < oldest:
            self._steps.popleft()


@dataclass(slots=True)
class _Counts:
    completed: int = 0
    set_back: int = 0
    failed: int = 0
    images: int = 0
    received_bytes: int = 0
    stored_bytes: int = 0


class CycleProgress:
    """Listens to one cycle, and passes what it hears on to `tell`. Implements `RunListener`."""

    def __init__(self, clock: Clock, ceiling: int, tell: Callable[[Event], None]) -> None:
        self._clock = clock
        self._ceiling = ceiling
        self._tell = tell
        self._started_at: datetime = clock.now()
        self._phase = RunPhase.RESOLVING
        self._counts = _Counts()
        self._active: dict[str, ActiveSeries] = {}
        self._rate = ByteRate(clock)

    def begin(self, manifest: str, tally: SeriesTally) -> None:  # noqa: ARG002  the creator of this object knows both
        """The manifest is resolved: now series are fetched."""
        self._phase = RunPhase.FETCHING

    def take(self, event: Event) -> None:
        """Count, and pass on."""
        match event:
            case AttemptStarted():
                self._start(event)
            case BytesReceived():
                self._receive(event)
            case SeriesCompleted():
                self._active.pop(event.receipt.series.series_instance_uid, None)
                self._counts.completed += 1
                self._counts.images += len(event.receipt.images)
                self._counts.stored_bytes += event.receipt.stored_bytes
            case SeriesSetBack():
                self._active.pop(event.series_instance_uid, None)
                self._counts.set_back += 1
            case SeriesGivenBack():
                self._active.pop(event.series_instance_uid, None)
            case SeriesFailed():
                self._active.pop(event.failure.series_instance_uid, None)
                self._counts.failed += 1
            case _:
                pass
        self._tell(event)

    def now(self, pressure: Pressure | None) -> RunProgress:
        """The figures of this moment."""
        counts = self._counts
        progress = RunProgress(
            started_at=self._started_at,
            phase=self._phase,
            completed=counts.completed,
            set_back=counts.set_back,
            failed=counts.failed,
            images=counts.images,
            received_bytes=counts.received_bytes,
            stored_bytes=counts.stored_bytes,
            bytes_per_second=self._rate.bytes_per_second(),
            concurrency_ceiling=self._ceiling,
            active=tuple(self._active.values()),
        )
        if pressure is None:
            return progress
        is_waiting = pressure.out_since_at is not None and not self._active
        return replace(
            progress,
            phase=RunPhase.WAITING if is_waiting else self._phase,
            concurrency=pressure.concurrency,
            breaker=pressure.breaker,
            archives_out=tuple(sorted(pressure.archives_out)),
            waiting_since_at=pressure.out_since_at,
        )

    def _start(self, event: AttemptStarted) -> None:
        series = event.series
        self._active[series.series_instance_uid] = ActiveSeries(
            series_instance_uid=series.series_instance_uid,
            collection=series.collection,
            patient_id=series.patient_id,
            modality=series.modality,
            attempt=event.attempt,
            began_at=self._clock.now(),
            images=0,
            image_count=series.image_count,
            received_bytes=0,
            file_size_bytes=series.file_size_bytes,
        )

    def _receive(self, event: BytesReceived) -> None:
        self._counts.received_bytes += event.received_bytes
        self._rate.add(event.received_bytes)
        active = self._active.get(event.series_instance_uid)
        if active is not None:
            received_bytes = active.received_bytes + event.received_bytes
            self._active[event.series_instance_uid] = replace(active, received_bytes=received_bytes, images=event.images)
