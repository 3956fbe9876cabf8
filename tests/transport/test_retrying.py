"""Questions that are asked again."""

import pytest

from downloader.errors import (
    AccessDeniedError,
    ArchiveBusyError,
    ArchiveFaultError,
    CredentialsRejectedError,
    TciadError,
    UnexpectedReplyError,
)
from downloader.pacing import Backoff
from downloader.transport.retrying import RetryPolicy
from tests.fakes.clock import turning_clock

pytestmark = pytest.mark.anyio


class Oracle:
    """Answers after this many errors."""

    def __init__(self, *errors: TciadError) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def ask(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def test_a_fault_that_passes_is_asked_again_after_growing_pauses() -> None:
    """Two faults cost two pauses, and the answer comes."""
    oracle = Oracle(ArchiveFaultError("500"), ArchiveFaultError("500"))
    async with turning_clock() as clock:
        retry_policy = RetryPolicy(clock=clock, backoff=Backoff(first_seconds=2), attempts=5, draw=lambda: 0.0)
        assert await retry_policy.ask("getSeries", oracle.ask) == "answer"
        assert clock.slept == [1.0, 2.0]


async def test_retries_end() -> None:
    """After the last attempt its error is raised as it is."""
    oracle = Oracle(*[ArchiveFaultError(f"fault {number}") for number in range(9)])
    async with turning_clock() as clock:
        retry_policy = RetryPolicy(clock=clock, backoff=Backoff(), attempts=3, draw=lambda: 0.0)
        with pytest.raises(ArchiveFaultError, match="fault 2"):
            await retry_policy.ask("getSeries", oracle.ask)
    assert oracle.asked == 3


@pytest.mark.parametrize("error", [AccessDeniedError("no"), UnexpectedReplyError("404")])
async def test_what_rarely_passes_is_asked_once_more(error: TciadError) -> None:
    """A wrong address is reported after seconds, not minutes; a proxy that was in the way once ends nothing."""
    passing, lasting = Oracle(error), Oracle(*[error] * 9)
    async with turning_clock() as clock:
        retry_policy = RetryPolicy(clock=clock, backoff=Backoff(first_seconds=2), attempts=5, draw=lambda: 0.0)
        assert await retry_policy.ask("getSeries", passing.ask) == "answer"
        with pytest.raises(type(error)):
            await retry_policy.ask("getSeries", lasting.ask)
        assert lasting.asked == 2
        assert clock.slept == [1.0, 1.0]


async def test_what_no_repetition_mends_is_raised_at_once() -> None:
    """Wrong credentials stay wrong, and accounts are locked for less."""
    oracle = Oracle(CredentialsRejectedError("401"))
    async with turning_clock() as clock:
        retry_policy = RetryPolicy(clock=clock, backoff=Backoff(), attempts=3, draw=lambda: 0.0)
        with pytest.raises(CredentialsRejectedError):
            await retry_policy.ask("getSeries", oracle.ask)
        assert clock.slept == []


async def test_a_busy_archive_sets_the_pause() -> None:
    """Retry-After is obeyed to the second."""
    oracle = Oracle(ArchiveBusyError("429", retry_after_seconds=120))
    async with turning_clock() as clock:
        retry_policy = RetryPolicy(clock=clock, backoff=Backoff(), attempts=3, draw=lambda: 0.0)
        await retry_policy.ask("getSeries", oracle.ask)
        assert clock.slept == [120.0]
