"""Waits for archives that do not answer while the catalogue is listed, as the scheduler does during fetching."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

import structlog

from downloader.archive.port import Catalogue
from downloader.clock import Clock
from downloader.errors import ArchiveError, TransferError, Verdict, retry_after_of
from downloader.pacing import BreakerState, CircuitBreaker
from downloader.scheduling.scheduler import Pressure

_log = structlog.get_logger(__name__)
Listed = TypeVar("Listed")


class ListingWait:
    """Repeats a listing once every archive answers a probe.

    Args:
        archives: the archives of the listing, by name.
        outage_seconds: how long after the first failure the wait ends with the error.
        gives_way: whether to end the wait now, because other work is due that needs none of the archives with these names.
    """

    def __init__(
        self,
        archives: Mapping[str, Catalogue],
        clock: Clock,
        outage_seconds: float,
        gives_way: Callable[[frozenset[str]], bool],
    ) -> None:
        self._archives = archives
        self._clock = clock
        self._outage_seconds = outage_seconds
        self._gives_way = gives_way
        self._breaker = CircuitBreaker()
        self._began: float | None = None
        self._began_at: datetime | None = None
        self._out: frozenset[str] = frozenset()
        self._is_waiting = False

    @property
    def pressure(self) -> Pressure | None:
        """Which archives have an outage, and since when; None while there is no wait."""
        if not self._is_waiting:
            return None
        return Pressure(
            concurrency=0,
            breaker=BreakerState.OPEN,
            archives_out=self._out,
            out_since_at=self._began_at,
            short_of_room=False,
        )

    async def until_listed(self, list_catalogue: Callable[[], Awaitable[Listed]]) -> Listed:
        """Await `list_catalogue()`, and again after each outage.

        Raises:
            ArchiveError, TransferError: waiting does not help, the outage lasts too long, or other work is due.
        """
        while True:
            try:
                return await list_catalogue()
            except (ArchiveError, TransferError) as error:
                await self._wait(error)

    @property
    def archives_out(self) -> frozenset[str]:
        """Archives that did not answer the last probes; with several archives, none before the first probe."""
        return self._out

    async def _wait(self, failure: ArchiveError | TransferError) -> None:
        """Pause and probe, with growing pauses, until every archive answers."""
        if self._began is None:
            self._began, self._began_at = self._clock.monotonic(), self._clock.now()
        self._out = frozenset(self._archives) if len(self._archives) == 1 else frozenset()
        found: ArchiveError | TransferError | None = failure
        self._is_waiting = True
        try:
            while found is not None:
                # measured from the first failure: a listing that fails again after successful probes is the same outage
                outage_seconds = self._clock.monotonic() - self._began
                is_over = outage_seconds > self._outage_seconds or self._gives_way(self._out)
                if found.verdict is not Verdict.RETRY or is_over:
                    raise found
                await self._pause(found, outage_seconds)
                found = await self._probe()
        finally:
            self._is_waiting = False

    async def _pause(self, failure: ArchiveError | TransferError, outage_seconds: float) -> None:
        pause_seconds = self._breaker.probe_failed(retry_after_of(failure))
        _log.warning(
            "archive unreachable",
            archive=", ".join(sorted(self._out or self._archives)),
            message=str(failure),
            outage_seconds=round(outage_seconds, 1),
            next_probe_seconds=pause_seconds,
        )
        await self._clock.sleep(pause_seconds)

    async def _probe(self) -> ArchiveError | TransferError | None:
        """Send each archive a cheap request. Returns the first error, None if all have answered."""
        failures: dict[str, ArchiveError | TransferError] = {}
        for name, archive in self._archives.items():
            try:
                await archive.find_collections()
            except (ArchiveError, TransferError) as error:
                failures[name] = error
        self._out = frozenset(failures)
        return next(iter(failures.values()), None)
