"""The claims of one scheduler: claimed in portions, with leases that are extended while in use; unused claims are returned."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

import anyio.from_thread
from anyio import CancelScope

from downloader.clock import Clock
from downloader.errors import LeaseLostError
from downloader.model import Claim, FetchOrder
from downloader.store.port import Queue, Sessions
from downloader.store.records import Session

LEASE_SECONDS = 600.0
"""The lease of a claim: after this time without an extension, other workers may claim the series."""
SESSION_SECONDS = 120.0
"""How long a session without a heartbeat counts as alive; when others start, they release the claims of dead sessions."""
HEARTBEAT_SECONDS = 25.0
AHEAD_SECONDS = 0.1
"""Series are claimed ahead only if they are likely to start within this time, because every claim counts an attempt."""
LARGEST_PORTION = 16
COUNTED_SECONDS = 0.5
"""Minimum period for measuring how fast series end: a shorter one would be dominated by coincidences."""


class LeaseStore(Queue, Sessions, Protocol):
    """The part of the store that leases use."""


@dataclass(slots=True)
class _Hold:
    """A claim in use; `scope` cancels the work when the lease is `lost`."""

    claim: Claim
    scope: CancelScope = field(default_factory=CancelScope)
    lost: LeaseLostError | None = None

    def lose(self) -> None:
        """Cancel the work: another worker has the series now."""
        self.lost = _lost(self.claim)
        self.scope.cancel()


def _lost(claim: Claim) -> LeaseLostError:
    return LeaseLostError(
        f"attempt {claim.attempt} no longer holds the lease", series_instance_uid=claim.series.series_instance_uid
    )


class Leases:
    """Claims series of one store for one session. Uses the worker's clock, which may differ from the store's."""

    def __init__(self, store: LeaseStore, clock: Clock, session: Session) -> None:
        self._store = store
        self._clock = clock
        self._session = session
        self._ahead: defaultdict[FetchOrder, deque[Claim]] = defaultdict(deque)
        self._holds: list[_Hold] = []
        self._extended_at: dict[str, float] = {}
        # by series, the claim that this session made last
        self._newest: dict[str, str] = {}
        self._counted_from = clock.monotonic()
        self._ended = 0
        self._ended_per_second = 0.0

    async def claim(self, manifest: str, order: FetchOrder, archives: Collection[str] | None = None) -> Claim | None:
        """The next due series of the manifest, or None; only of these archives, if they are given."""
        if archives is not None:
            await self.give_back(but_of=archives)
        ahead = self._ahead[order]
        if not ahead:
            ahead.extend(await self._claim_portion(manifest, order, archives))
        # the store may have nothing left while claims of another order are still unused
        ahead = ahead or next(filter(None, self._ahead.values()), ahead)
        return ahead.popleft() if ahead else None

    @contextmanager
    def held(self, claim: Claim) -> Iterator[None]:
        """Extend the lease while the block runs, and cancel the block if the lease is lost.

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
            self._forget(claim)
            self._ended += 1
        if hold.lost is not None:
            raise hold.lost

    def expect_held(self, claim: Claim) -> None:
        """Make sure that the series is still this worker's, before its folder is published. For threads of the event loop.

        Asks the store only if the lease was not extended in time, such as after the process was stopped.

        Raises:
            LeaseLostError: another worker has the series now.
        """
        if self._clock.monotonic() - self._extended_at.get(claim.claim_id, -inf) < LEASE_SECONDS:
            return
        if anyio.from_thread.run(self._extend, [claim]) and not self._has_later_claim(claim):
            raise _lost(claim)

    def _has_later_claim(self, claim: Claim) -> bool:
        """Whether this session claimed the series again, after its lease ran out: attempts at one series take turns."""
        return self._newest.get(claim.series.series_instance_uid, claim.claim_id) != claim.claim_id

    def _forget(self, claim: Claim) -> None:
        self._extended_at.pop(claim.claim_id, None)
        if not self._has_later_claim(claim):
            self._newest.pop(claim.series.series_instance_uid, None)

    async def keep(self) -> None:
        """Send heartbeats of the session and extend all leases, until cancelled.

        Raises:
            StoreError: the store cannot be used.
        """
        while True:
            await self._store.beat(self._session, SESSION_SECONDS)
            await self._extend_all()
            await self._clock.sleep(HEARTBEAT_SECONDS)

    async def _extend_all(self) -> None:
        claims = [*(hold.claim for hold in self._holds), *(claim for ahead in self._ahead.values() for claim in ahead)]
        if not claims:
            return
        lost = await self._extend(claims)
        for hold in self._holds:
            if hold.claim.claim_id in lost:
                hold.lose()
        for ahead in self._ahead.values():
            for claim in [claim for claim in ahead if claim.claim_id in lost]:
                ahead.remove(claim)
                self._forget(claim)

    async def _extend(self, claims: Sequence[Claim]) -> set[str]:
        """Extend the leases; returns the claims that were lost."""
        began = self._clock.monotonic()
        lost = {claim.claim_id for claim in await self._store.extend(claims, LEASE_SECONDS)}
        for claim in claims:
            # the claim may have ended meanwhile
            if claim.claim_id not in lost and claim.claim_id in self._extended_at:
                self._extended_at[claim.claim_id] = began
        return lost

    async def give_back(self, but_of: Collection[str] = ()) -> None:
        """Return unused claims, except of series of these archives; their attempts do not count."""
        with CancelScope(shield=True):
            for ahead in self._ahead.values():
                for claim in [claim for claim in ahead if claim.archive not in but_of]:
                    with suppress(LeaseLostError):  # another worker has the series, and ends its attempt
                        await self._store.set_back(claim, delay_seconds=0.0, error="", message="", count_attempt=False)
                    self._forget(claim)
                    if claim in ahead:
                        ahead.remove(claim)

    async def _claim_portion(self, manifest: str, order: FetchOrder, archives: Collection[str] | None) -> list[Claim]:
        # shielded: if the caller were cancelled here, the claim would be lost until its lease ends
        began = self._clock.monotonic()
        with CancelScope(shield=True):
            claims = await self._store.claim(
                manifest,
                session_id=self._session.session_id,
                lease_seconds=LEASE_SECONDS,
                limit=self._portion(),
                order=order,
                archives=archives,
            )
        self._extended_at |= {claim.claim_id: began for claim in claims}
        self._newest |= {claim.series.series_instance_uid: claim.claim_id for claim in claims}
        return list(claims)

    def _portion(self) -> int:
        """How many series to claim at once: one, unless series end so fast that more will start within AHEAD_SECONDS."""
        now = self._clock.monotonic()
        elapsed_seconds = now - self._counted_from
        if elapsed_seconds >= COUNTED_SECONDS:
            self._ended_per_second = self._ended / elapsed_seconds
            self._counted_from, self._ended = now, 0
        return max(1, min(LARGEST_PORTION, int(self._ended_per_second * AHEAD_SECONDS)))
