"""How long to wait: arithmetic only."""

from hypothesis import given
from hypothesis import strategies as st

from downloader.pacing import BandwidthPace, RetryPace

DRAWS = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(attempt=st.integers(min_value=1, max_value=10_000), draw=DRAWS)
def test_a_delay_is_between_half_and_all_of_its_step(attempt: int, draw: float) -> None:
    """Jitter never makes a pause vanish, and no number of attempts makes it endless."""
    pace = RetryPace(first_seconds=2, longest_seconds=300)
    step = min(2.0 * 2.0 ** min(attempt - 1, 60), 300)
    assert step / 2 <= pace.delay_seconds(attempt, draw) <= step


@given(draw=DRAWS, retry_after_seconds=st.floats(min_value=0, max_value=86_400))
def test_what_the_archive_asks_for_is_never_shortened(draw: float, retry_after_seconds: float) -> None:
    """Retry-After is a floor."""
    assert RetryPace().delay_seconds(1, draw, retry_after_seconds) >= retry_after_seconds


@given(st.lists(st.integers(min_value=1, max_value=5_000_000), min_size=1, max_size=200))
def test_a_reader_that_obeys_never_exceeds_the_bandwidth_by_more_than_a_second_of_burst(sizes: list[int]) -> None:
    """Whatever the batches, the total stays under rate times time plus one second's worth and the batch in hand."""
    pace = BandwidthPace(1_000_000)
    now = 0.0
    for received_bytes in sizes:
        now += pace.delay_seconds(received_bytes, now)
    assert sum(sizes) <= 1_000_000 * (now + 1.0) + max(sizes)


def test_idle_time_is_not_saved_up() -> None:
    """An hour of silence earns one second of burst."""
    pace = BandwidthPace(1_000)
    pace.delay_seconds(1_000, 0.0)
    assert pace.delay_seconds(10_000, 3_600.0) >= 8.9
