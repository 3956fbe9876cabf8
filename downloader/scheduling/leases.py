"""The claims of one scheduler: taken in portions, kept alive for as long as they are held, given back where nobody began."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from anyio import CancelScope

from downloader.clock import Clock
from downloader.errors import LeaseLostError
from downloader.model import Claim, FetchOrder
from downloader.store.port import Queue

LEASE_SECONDS = 600.0
AHEAD_SECONDS = 0.1
"""Claimed ahead are at most the series that are likely to begin in this time: what is claimed has an attempt counted."""
LARGEST_PORTION = 16
COUNTED_SECONDS = 0.5
"""Over how long at least it is counted how fast series end: two that end together say nothing."""


@dataclass(slots=True)
class _Hold:
    """A claim that somebody works under; `scope` ends the work when the lease turns out to be `lost`."""

    claim: Claim
    scope: CancelScope = field(default_factory=CancelScope)
    lost: LeaseLostError | None = None


class Leases:
    """Claims series of one store for one owner."""

    def __init__(self, store: Queue, clock: Clock, owner: str) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._ahead: defaultdict[FetchOrder, deque[Claim]] = defaultdict(deque)
        self._holds: list[_Hold] = []
        self._counted_from = clock.monotonic()
        self._ended = 0
        self._ended_per_second = 0.0

    async def claim(self, manifest: str, order: FetchOrder, archives: Collection[str] | None = None) -> Claim | None:
        """The next series of the manifest that is due, if one is; only of these archives, where they are given."""
        if archives is not None:
            await self.give_back(but_of=archives)
        ahead = self._ahead[order]
        if not ahead:
            ahead.extend(await self._claim_portion(manifest, order, archives))
        # where the store has nothing left, what was claimed ahead in another order still is
        ahead = ahead or next(filter(None, self._ahead.values()), ahead)
        return ahead.popleft() if ahead else None

    @contextmanager
    def held(self, claim: Claim) -> Iterator[None]:
        """Keep the lease alive while the block runs, and end the block when it is lost.

        Raises:
            LeaseLostError: another worker has the series now.
        """
        hold = _Hold(claim)
        self._holds.append(hold)
        try:
            with hold.scope:
                yield
        finally:
            self._holds.remove(hold)
            self._ended += 1
        if hold.lost is not None:
            raise hold.lost

    async def keep(self) -> None:
        """Extend every lease in time, until cancelled.

        Raises:
            StoreError: the store cannot be used.
        """
        while True:
            await self._clock.sleep(LEASE_SECONDS / 3)
            for hold in list(self._holds):
                hold.lost = await self._lost(hold.claim)
                if hold.lost is not None:
                    hold.scope.cancel()
            for ahead in list(self._ahead.values()):
                for claim in list(ahead):
                    if await self._lost(claim) is not None and claim in ahead:
                        ahead.remove(claim)

    async def give_back(self, but_of: Collection[str] = ()) -> None:
        """Set back what was claimed and not begun, except series of these archives; its attempt does not count."""
        with CancelScope(shield=True):
            for ahead in self._ahead.values():
                for claim in [claim for claim in ahead if claim.archive not in but_of]:
                    with suppress(LeaseLostError):  # then it is another's to end
                        await self._store.set_back(
                            claim, due_at=self._clock.steady_now(), error="", message="", count_attempt=False
                        )
                    if claim in ahead:
                        ahead.remove(claim)

    async def _lost(self, claim: Claim) -> LeaseLostError | None:
        """Extend the lease; how it was lost, where it was."""
        try:
            await self._store.extend(claim, self._clock.steady_now() + timedelta(seconds=LEASE_SECONDS))
        except LeaseLostError as error:
            return error
        return None

    async def _claim_portion(self, manifest: str, order: FetchOrder, archives: Collection[str] | None) -> list[Claim]:
        at = self._clock.steady_now()
        # a claim whose caller was cancelled would be a lease that nobody holds
        with CancelScope(shield=True):
            claims = await self._store.claim(
                manifest,
                owner=self._owner,
                at=at,
                lease_until_at=at + timedelta(seconds=LEASE_SECONDS),
                limit=self._portion(),
                order=order,
                archives=archives,
            )
        return list(claims)

    def _portion(self) -> int:
        """How many to claim at once: one, unless series end so fast that the next ones are sure to begin in a moment."""
        now = self._clock.monotonic()
        elapsed_seconds = now - self._counted_from
        if elapsed_seconds >= COUNTED_SECONDS:
            self._ended_per_second = self._ended / elapsed_seconds
            self._counted_from, self._ended = now, 0
        return max(1, min(LARGEST_PORTION, int(self._ended_per_second * AHEAD_SECONDS)))
