"""Live events and rates: figures, in order, bounded."""

import pytest

from downloader.model import (
    AttemptStarted,
    BytesReceived,
    CatalogueResolved,
    Failure,
    Series,
    SeriesCompleted,
    SeriesFailed,
    SeriesGivenBack,
    SeriesSetBack,
    SeriesTally,
)
from downloader.pacing import BreakerState
from downloader.scheduling.scheduler import Pressure
from downloader.service.live import MOST_WAITING, LiveFeed
from downloader.service.port import LiveKind, RunPhase, ServiceEvent
from downloader.service.progress import CycleProgress
from tests.fakes.clock import FakeClock
from tests.store.examples import receipt

pytestmark = pytest.mark.anyio
SERIES = Series(series_instance_uid="1.2.3", collection="C", image_count=3)
EVENTS: list[ServiceEvent] = [
    CatalogueResolved(new=1, changed=2, returned=3, withdrawn=4),
    AttemptStarted(series=SERIES, attempt=1),
    BytesReceived(series_instance_uid="1.2.3", received_bytes=10, images=1),
    SeriesSetBack(series_instance_uid="1.2.3", attempt=1, error="E", message="m", delay_seconds=2.0),
    SeriesCompleted(receipt=receipt(SERIES), attempt=2, elapsed_seconds=1.0),
    SeriesFailed(failure=Failure(series_instance_uid="1.2.4", error="E", message="m", attempts=3)),
]


async def test_events_are_told_in_order_and_bytes_are_not() -> None:
    """With figures of what happened, never with the images of a receipt."""
    feed = LiveFeed(FakeClock())
    with feed.subscribe() as events:
        for event in EVENTS:
            feed.tell("m", event)
        told = [await anext(events) for _ in range(5)]
    assert [(event.number, event.kind) for event in told] == [
        (1, LiveKind.CATALOGUE_RESOLVED),
        (2, LiveKind.ATTEMPT_STARTED),
        (3, LiveKind.SERIES_SET_BACK),
        (4, LiveKind.SERIES_COMPLETED),
        (5, LiveKind.SERIES_FAILED),
    ]
    assert told[3].series_instance_uid == "1.2.3"
    assert told[3].figures == {"attempt": 2, "images": 3, "stored_bytes": 3000, "received_bytes": 1234, "elapsed_seconds": 1.0}
    assert {event.manifest for event in told} == {"m"}


async def test_a_slow_listener_misses_events_and_costs_nothing() -> None:
    """The gap in the numbers tells; others miss nothing."""
    feed = LiveFeed(FakeClock())
    with feed.subscribe() as slow, feed.subscribe() as quick:
        for number in range(MOST_WAITING + 10):
            feed.publish(LiveKind.PAUSED)
            assert (await anext(quick)).number == number + 1
        assert [(await anext(slow)).number for _ in range(MOST_WAITING)] == list(range(1, MOST_WAITING + 1))
        feed.publish(LiveKind.RESUMED)
        assert (await anext(slow)).number == MOST_WAITING + 11


async def test_nobody_listens_after_the_end() -> None:
    """A subscription that is over is forgotten."""
    feed = LiveFeed(FakeClock())
    with feed.subscribe():
        pass
    feed.publish(LiveKind.PAUSED)


async def test_a_series_that_was_given_back_is_under_way_no_more() -> None:
    """As in an outage, in which nothing else is reported."""
    progress = CycleProgress(FakeClock(), 4, lambda _: None)
    progress.take(AttemptStarted(series=SERIES, attempt=1))
    progress.take(SeriesGivenBack(series_instance_uid="1.2.3"))
    told = progress.now(None)
    assert (told.active, told.set_back, told.failed) == ((), 0, 0)


async def test_progress_adds_up_what_a_cycle_tells() -> None:
    """Counts of the cycle, the series that are under way, and the rate of the last seconds."""
    clock = FakeClock()
    passed: list[ServiceEvent] = []
    progress = CycleProgress(clock, 4, passed.append)
    assert progress.now(None).phase is RunPhase.RESOLVING
    progress.begin("m", SeriesTally())
    progress.take(AttemptStarted(series=SERIES, attempt=1))
    for _ in range(5):
        clock.elapsed_seconds += 1
        progress.take(BytesReceived(series_instance_uid="1.2.3", received_bytes=1000, images=2))
    told = progress.now(Pressure(concurrency=2, breaker=BreakerState.OPEN, archives_out=frozenset({"tcia"}), short_of_room=False))
    assert (told.phase, told.received_bytes, told.bytes_per_second) == (RunPhase.FETCHING, 5000, 500.0)
    assert (told.concurrency, told.concurrency_ceiling, told.breaker) == (2, 4, BreakerState.OPEN)
    (active,) = told.active
    assert (active.received_bytes, active.images, active.image_count, active.attempt) == (5000, 2, 3, 1)
    progress.take(EVENTS[4])  # type: ignore[arg-type]  # an event of a run
    clock.elapsed_seconds += 60
    told = progress.now(None)
    assert (told.completed, told.images, told.active, told.bytes_per_second) == (1, 3, (), 0.0)
    assert len(passed) == 7
