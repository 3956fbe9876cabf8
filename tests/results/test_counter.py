"""Figures of a run, counted from events."""

from downloader.model import BytesReceived, Failure, Series, SeriesCompleted, SeriesFailed, SeriesSetBack
from downloader.results.counter import RunCounter
from tests.store.examples import receipt


def test_images_count_as_they_come() -> None:
    """Each once: those of a series under way until it is complete, and not any more when its attempt came to nothing."""
    counter = RunCounter()

    def came(series_instance_uid: str, images: int) -> int:
        counter.take(BytesReceived(series_instance_uid=series_instance_uid, received_bytes=1, images=images))
        return counter.images

    assert [came("1.2.3", 0), came("1.2.3", 1), came("1.2.4", 2), came("1.2.3", 2)] == [0, 1, 3, 4]
    counter.take(SeriesSetBack(series_instance_uid="1.2.4", attempt=1, error="E", message="m", delay_seconds=1.0))
    assert counter.images == 2
    whole = receipt(Series(series_instance_uid="1.2.3", collection="C"), images=3)
    counter.take(SeriesCompleted(receipt=whole, attempt=1, elapsed_seconds=1.0))
    assert counter.images == counter.completed_images == 3
    assert came("1.2.4", 1) == 4
    counter.take(SeriesFailed(failure=Failure(series_instance_uid="1.2.4", error="E", message="m", attempts=2)))
    assert counter.images == 3
