"""How long to wait: arithmetic only."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downloader.config.bandwidth_schedule import parse_bandwidth
from downloader.pacing import AdaptiveConcurrency, Backoff, BandwidthLimiter, BreakerState, CircuitBreaker

DRAWS = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(attempt=st.integers(min_value=1, max_value=10_000), draw=DRAWS)
def test_a_delay_is_between_half_and_all_of_its_step(attempt: int, draw: float) -> None:
    """Jitter never makes a pause vanish, and no number of attempts makes it endless."""
    backoff = Backoff(first_seconds=2, longest_seconds=300)
    step = min(2.0 * 2.0 ** min(attempt - 1, 60), 300)
    assert step / 2 <= backoff.delay_seconds(attempt, draw) <= step


@given(draw=DRAWS, retry_after_seconds=st.floats(min_value=0, max_value=86_400))
def test_what_the_archive_asks_for_is_never_shortened(draw: float, retry_after_seconds: float) -> None:
    """Retry-After is a floor."""
    assert Backoff().delay_seconds(1, draw, retry_after_seconds) >= retry_after_seconds


@given(st.lists(st.integers(min_value=1, max_value=5_000_000), min_size=1, max_size=200))
def test_a_reader_that_obeys_never_exceeds_the_bandwidth_by_more_than_a_second_of_burst(sizes: list[int]) -> None:
    """Whatever the batches, the total stays under rate times time plus one second's worth and the batch in hand."""
    limiter = BandwidthLimiter()
    now = 0.0
    for received_bytes in sizes:
        now += limiter.delay_seconds(received_bytes, 1_000_000, now)
    assert sum(sizes) <= 1_000_000 * (now + 1.0) + max(sizes)


def test_idle_time_is_not_saved_up() -> None:
    """An hour of silence earns one second of burst."""
    limiter = BandwidthLimiter()
    limiter.delay_seconds(1_000, 1_000, 0.0)
    assert limiter.delay_seconds(10_000, 1_000, 3_600.0) >= 8.9


def test_another_limit_holds_from_the_next_bytes_on() -> None:
    """The same bytes take ten times as long under a tenth of the rate, and no time without a limit."""
    limiter = BandwidthLimiter()
    assert limiter.delay_seconds(11_000, 1_000, 0.0) == pytest.approx(10.0)
    assert limiter.delay_seconds(1_000, 100, 10.0) == pytest.approx(10.0)
    assert limiter.delay_seconds(1_000_000_000, None, 20.0) == 0.0


@pytest.mark.parametrize(
    ("local", "rate"),
    [("07:59", 40), ("08:00", 5), ("17:59", 5), ("18:00", 40), ("21:59", 40), ("22:00", None), ("00:00", None), ("05:59", None)],
)
def test_the_time_of_the_day_decides_which_limit_holds(local: str, rate: int | None) -> None:
    """A window holds from its first minute to before its last, over midnight too."""
    text = {"default": "40MB/s", "08:00-18:00": "5MB/s", "22:00-06:00": "unlimited"}
    expected = None if rate is None else rate * 1_000_000
    assert parse_bandwidth(text).rate_at(time.fromisoformat(local)) == expected


def test_a_window_may_end_at_midnight() -> None:
    """24:00 is the end of the day."""
    plan = parse_bandwidth({"18:00-24:00": "1MB/s"})
    assert plan.rate_at(time(23, 59)) == 1_000_000
    assert plan.rate_at(time(0, 0)) is None


class TestConcurrency:
    """How many series at once."""

    def test_it_doubles_with_each_round_and_stops_at_the_ceiling(self) -> None:
        """Four answers at four make eight: an archive that is well is not kept waiting."""
        concurrency = AdaptiveConcurrency(15)
        assert concurrency.limit == 4
        for expected in (8, 15, 15):
            for _ in range(concurrency.limit):
                concurrency.answered(0.1, now=1.0)
            assert concurrency.limit == expected

    @pytest.mark.parametrize(("ceiling", "limit"), [(1, 1), (3, 3), (4, 4), (16, 4), (32, 8), (64, 16)])
    def test_it_begins_gently(self, ceiling: int, limit: int) -> None:
        """At a quarter of what the user allows, or at four where that is more."""
        assert AdaptiveConcurrency(ceiling).limit == limit

    def test_push_back_halves_it_once_however_many_workers_hear_it(self) -> None:
        """Everything that was under way answers 503 at once: that is one message."""
        concurrency = AdaptiveConcurrency(4)
        for _ in range(4):
            concurrency.pushed_back(now=100.0)
        assert concurrency.limit == 2

    def test_after_it_was_halved_it_grows_by_about_one_for_each_round(self) -> None:
        """Up to three quarters it hurries, from there on it feels its way."""
        concurrency = AdaptiveConcurrency(16)
        for _ in range(12):
            concurrency.answered(0.1, now=1.0)
        for _ in range(3):
            concurrency.pushed_back(now=100.0)
        assert concurrency.limit == 8
        for _ in range(4):
            concurrency.answered(0.1, now=110.0)
        assert concurrency.limit == 12
        for _ in range(13):
            concurrency.answered(0.1, now=111.0)
        assert concurrency.limit == 13

    def test_a_refusal_now_and_then_costs_little(self) -> None:
        """One in fifty is the archive's own weakness: at half speed nothing would be gained for anybody."""
        concurrency = AdaptiveConcurrency(32)
        limits = []
        for second in range(1000):
            concurrency.pushed_back(float(second)) if second % 50 == 49 else concurrency.answered(0.1, float(second))
            limits.append(concurrency.limit)
        assert min(limits[100:]) >= 28
        assert sum(limits[100:]) / len(limits[100:]) > 31

    def test_it_does_not_grow_while_it_settles(self) -> None:
        """Answers to what was asked before the push-back prove nothing."""
        concurrency = AdaptiveConcurrency(16)
        for _ in range(3):
            concurrency.pushed_back(now=100.0)
        for _ in range(100):
            concurrency.answered(0.1, now=104.0)
        assert concurrency.limit == 2

    def test_rising_latency_holds_it_and_congestion_lowers_it(self) -> None:
        """Later and later first bytes say the same as 503, more politely."""
        concurrency = AdaptiveConcurrency(16)
        for _ in range(20):
            concurrency.answered(0.2, now=1.0)
        before = concurrency.limit
        for step in range(3):
            concurrency.answered(2.0, now=2.0 + step)
        assert concurrency.limit <= before
        for step in range(30):
            concurrency.answered(10.0, now=100.0 + step)
        assert concurrency.limit < before

    @given(st.lists(st.tuples(st.booleans(), st.floats(min_value=0, max_value=100)), max_size=300))
    def test_it_is_always_between_one_and_the_ceiling(self, events: list[tuple[bool, float]]) -> None:
        """Whatever happens."""
        concurrency = AdaptiveConcurrency(6)
        now = 0.0
        for success, seconds in events:
            now += seconds
            concurrency.answered(seconds, now) if success else concurrency.pushed_back(now)
            assert 1 <= concurrency.limit <= 6


def state_of(breaker: CircuitBreaker) -> BreakerState:
    return breaker.state


class TestBreaker:
    """Outages of the whole archive."""

    def test_a_few_faults_in_a_row_ask_for_a_probe_and_a_success_between_them_does_not(self) -> None:
        """One broken series among good ones is no outage."""
        breaker = CircuitBreaker()
        for _ in range(10):
            breaker.faulted()
            breaker.succeeded()
        assert state_of(breaker) is BreakerState.CLOSED
        for _ in range(3):
            breaker.faulted()
        assert state_of(breaker) is BreakerState.SUSPICIOUS

    def test_probes_come_less_and_less_often_and_a_good_one_closes(self) -> None:
        """15 s, 30 s, … never more than ten minutes; then everything is as before."""
        breaker = CircuitBreaker()
        pauses = [breaker.probe_failed() for _ in range(10)]
        assert pauses[:3] == [15.0, 30.0, 60.0]
        assert pauses[-1] == 600.0
        assert state_of(breaker) is BreakerState.OPEN
        breaker.succeeded()
        assert state_of(breaker) is BreakerState.CLOSED
        assert breaker.probe_failed() == 15.0

    def test_the_archives_own_word_is_a_floor(self) -> None:
        """Retry-After on a probe is obeyed."""
        assert CircuitBreaker().probe_failed(retry_after_seconds=1_800) == 1_800
