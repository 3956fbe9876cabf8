"""Repeat queries that may succeed the next time, with growing pauses."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from downloader.clock import Clock
from downloader.errors import TciadError, Verdict, retry_after_of
from downloader.pacing import Backoff

BRIEF_ATTEMPTS = 2
"""Attempts at a request whose error rarely passes: with a wrong address the error comes two seconds later."""
_log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")


class RetryPolicy:
    """How often, and after which pauses, a query is repeated.

    Args:
        attempts: how often a query is sent in all.
        draw: gives random numbers in [0, 1).
    """

    def __init__(self, *, clock: Clock, backoff: Backoff, attempts: int, draw: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = backoff
        self._attempts = attempts
        self._draw = draw

    @property
    def attempts(self) -> int:
        """How often a query that may succeed the next time is sent in all."""
        return self._attempts

    async def ask(self, what: str, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Await `question()` until it returns, raises an error that no retry can mend, or has used all attempts.

        `what` names the question in the log. Raises the last of our errors.
        """
        attempt = 1
        while True:
            try:
                return await question()
            except TciadError as error:
                if attempt >= self._attempts_for(error):
                    raise
                delay_seconds = self._backoff.delay_seconds(attempt, self._draw(), retry_after_of(error))
                _log.warning(
                    "ask again",
                    question=what,
                    attempt=attempt,
                    error=type(error).__name__,
                    message=str(error),
                    delay_seconds=round(delay_seconds, 1),
                )
            attempt += 1
            await self._clock.sleep(delay_seconds)

    def _attempts_for(self, error: TciadError) -> int:
        match error.verdict:
            case Verdict.RETRY:
                return self._attempts
            case Verdict.RETRY_BRIEFLY:
                return min(BRIEF_ATTEMPTS, self._attempts)
            case _:
                return 1
