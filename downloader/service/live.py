"""Live events for listeners, in bounded queues: a slow listener misses events, and costs no memory."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from downloader.clock import Clock
from downloader.model import AttemptStarted, CatalogueResolved, SeriesCompleted, SeriesFailed, SeriesSetBack
from downloader.service.port import CycleBegan, CycleEnded, LiveEvent, LiveKind, ServiceEvent

MOST_WAITING: Final = 256


class LiveFeed:
    """Passes every event to every listener that keeps up; slow listeners miss some."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._listeners: set[MemoryObjectSendStream[LiveEvent]] = set()

    @contextmanager
    def subscribe(self) -> Iterator["LiveSubscription"]:
        """Events from now on, for as long as the context lasts."""
        send, receive = anyio.create_memory_object_stream[LiveEvent](MOST_WAITING)
        self._listeners.add(send)
        with send, receive:
            try:
                yield LiveSubscription(receive)
            finally:
                self._listeners.discard(send)

    def tell(self, manifest: str, event: ServiceEvent) -> None:
        """Something happened in a cycle of the manifest."""
        told = _figures_of(event)
        if told is not None:
            kind, series_instance_uid, figures = told
            self.publish(kind, manifest, series_instance_uid, figures)

    def publish(
        self,
        kind: LiveKind,
        manifest: str = "",
        series_instance_uid: str = "",
        figures: dict[str, int | float | str] | None = None,
    ) -> None:
        """Number the event and pass it to the listeners."""
        live = LiveEvent(
            number=next(self._numbers),
            at=self._clock.now(),
            kind=kind,
            manifest=manifest,
            series_instance_uid=series_instance_uid,
            figures=figures or {},
        )
        for listener in self._listeners:
            try:
                listener.send_nowait(live)
            except anyio.WouldBlock:
                continue


class LiveSubscription:
    """Implements `Subscription`."""

    def __init__(self, receive: MemoryObjectReceiveStream[LiveEvent]) -> None:
        self._receive = receive

    def __aiter__(self) -> AsyncIterator[LiveEvent]:
        return self

    async def __anext__(self) -> LiveEvent:
        return await self._receive.receive()


Told = tuple[LiveKind, str, dict[str, int | float | str]]


def _figures_of(event: ServiceEvent) -> Told | None:
    """The live event for a service event; None for received bytes, which are too many."""
    match event:
        case CycleBegan():
            return LiveKind.CYCLE_BEGAN, "", {}
        case CatalogueResolved():
            figures: dict[str, int | float | str] = {
                "new": event.new,
                "changed": event.changed,
                "returned": event.returned,
                "withdrawn": event.withdrawn,
            }
            return LiveKind.CATALOGUE_RESOLVED, "", figures
        case CycleEnded():
            return LiveKind.CYCLE_ENDED, "", _figures_of_end(event)
        case AttemptStarted():
            return LiveKind.ATTEMPT_STARTED, event.series.series_instance_uid, {"attempt": event.attempt}
        case SeriesCompleted():
            return LiveKind.SERIES_COMPLETED, event.receipt.series.series_instance_uid, _figures_of_completion(event)
        case SeriesSetBack():
            set_back: dict[str, int | float | str] = {
                "attempt": event.attempt,
                "error": event.error,
                "message": event.message,
                "delay_seconds": round(event.delay_seconds, 1),
            }
            return LiveKind.SERIES_SET_BACK, event.series_instance_uid, set_back
        case SeriesFailed(failure=failure):
            failed: dict[str, int | float | str] = {
                "attempts": failure.attempts,
                "error": failure.error,
                "message": failure.message,
            }
            return LiveKind.SERIES_FAILED, failure.series_instance_uid, failed
        case _:
            return None


def _figures_of_end(event: CycleEnded) -> dict[str, int | float | str]:
    summary = event.summary
    return {
        "outcome": summary.outcome,
        "exit_code": summary.exit_code,
        "error": summary.error,
        "elapsed_seconds": round((summary.ended_at - summary.began_at).total_seconds(), 3),
        "completed": event.completed,
        "failed": event.failed,
        "received_bytes": event.received_bytes,
    }


def _figures_of_completion(event: SeriesCompleted) -> dict[str, int | float | str]:
    return {
        "attempt": event.attempt,
        "images": len(event.receipt.images),
        "stored_bytes": event.receipt.stored_bytes,
        "received_bytes": event.receipt.received_bytes if event.downloaded else 0,
        "elapsed_seconds": round(event.elapsed_seconds, 3),
    }
