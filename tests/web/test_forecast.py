"""Forecasts: said where something can be said, with what they rest on."""

from dataclasses import replace
from typing import Any

from downloader.model import SeriesTally
from downloader.service.port import RunPhase, RunProgress
from downloader.web.forecast import Forecast, ForecastReply, forecast_text
from tests.web.figures import NOW, manifest_status, run_progress, status_of_everything

HALF = SeriesTally(complete=50, pending=50, stored_bytes=50 * 10**9, expected_bytes=100 * 10**9)


def forecast(tally: SeriesTally = HALF, *samples: tuple[float, RunProgress], **status_changes: Any) -> ForecastReply:  # noqa: ANN401
    """After these samples, by their time in seconds."""
    made = Forecast()
    for seconds, progress in samples:
        made.note({"m": progress}, seconds)
    status, _ = status_of_everything()
    status = replace(status, libraries=(replace(status.libraries[0], tally=tally),))
    running = manifest_status("m", tally=tally, progress=samples[-1][1] if samples else None)
    return made.reply(replace(status, **status_changes), [running])


def fetched(gigabytes: float, **figures: Any) -> RunProgress:  # noqa: ANN401
    """A cycle that has stored so much."""
    return run_progress(stored_bytes=int(gigabytes * 10**9), **figures)


def test_the_rest_at_the_rate_of_the_last_hour() -> None:
    """Half of it in five hours: ten gigabytes an hour. Older samples do not count."""
    hours = [(hour * 3600.0, fetched(10 * hour)) for hour in range(6)]
    (manifest,) = forecast(HALF, (-3600.0, fetched(0)), *hours).manifests
    assert (manifest.seconds, manifest.measured_seconds) == (5 * 3600, 3600)
    assert manifest.sentence == "about 5 h at the rate of the last hour"


def test_a_shorter_stretch_is_named() -> None:
    """Not an hour that was not measured."""
    (manifest,) = forecast(HALF, (0.0, fetched(0)), (600.0, fetched(10))).manifests
    assert manifest.sentence == "about 50 min at the rate of the last 10 min"


def test_nothing_is_said_where_nothing_can_be() -> None:
    """Idle, begun just now, nothing stored, listing, waiting, paused, or nothing left."""
    first, last = (0.0, fetched(0)), (600.0, fetched(10))
    out = fetched(10, waiting_since_at=NOW)
    for samples in ((), (first,), (first, (30.0, fetched(5))), (first, (600.0, fetched(0))), (first, (600.0, out))):
        assert forecast(HALF, *samples).manifests[0].sentence == "", samples
    listing = fetched(0, phase=RunPhase.RESOLVING)
    assert forecast(HALF, (0.0, listing), (600.0, listing)).manifests[0].seconds is None
    assert forecast(HALF, first, last, paused=True).manifests[0].seconds is None
    assert forecast(SeriesTally(complete=9), first, last).manifests[0].seconds is None


def test_time_without_the_archive_does_not_count() -> None:
    """The rate is measured anew after an outage."""
    out = fetched(0, waiting_since_at=NOW)
    (manifest,) = forecast(HALF, (0.0, fetched(0)), (3600.0, out), (3700.0, fetched(0)), (4300.0, fetched(10))).manifests
    assert manifest.measured_seconds == 600


def test_failed_series_are_not_waited_for() -> None:
    """Their share of the bytes does not come in this cycle."""
    half_failed = replace(HALF, pending=25, failed=25)
    (manifest,) = forecast(half_failed, (0.0, fetched(0)), (600.0, fetched(10))).manifests
    assert manifest.seconds == 1500


def test_without_sizes_images_count_and_without_these_series() -> None:
    """As the archive gives them."""
    images = SeriesTally(complete=1, pending=1, images=100, expected_images=200)
    (by_images,) = forecast(images, (0.0, run_progress()), (600.0, run_progress(images=50))).manifests
    (by_series,) = forecast(SeriesTally(pending=4), (0.0, run_progress()), (600.0, run_progress(completed=2))).manifests
    assert (by_images.seconds, by_series.seconds) == (1200, 1200)


def test_a_disk_that_is_too_small() -> None:
    """Full before everything is there; one that is large enough is reported as such."""
    status, _ = status_of_everything()
    library = replace(status.libraries[0], tally=HALF, free_bytes=26 * 10**9, min_free_bytes=10**9)
    samples = ((0.0, fetched(0)), (3600.0, fetched(1)))
    (small,) = forecast(HALF, *samples, libraries=(library,)).libraries
    assert (small.wanted_bytes, round(small.seconds or 0)) == (50 * 10**9, 25 * 3600)
    assert small.sentence == "too little for all that is still to come: full in about 25 h at this rate"
    (large,) = forecast(HALF, *samples).libraries
    assert (large.seconds, large.sentence) == (None, "enough for all that is still to come")


def test_durations_are_as_exact_as_forecasts() -> None:
    """No seconds."""
    texts = [forecast_text(seconds) for seconds in (5, 600, 6 * 3600, 3 * 86_400)]
    assert texts == ["about a minute", "about 10 min", "about 6 h", "about 3 days"]
