"""One resolve of a manifest into the store: enqueues listed series, resolves contradictions, withdraws vanished series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from downloader.clock import Clock
from downloader.errors import ArchiveFaultError
from downloader.fetching.context import AttemptContext
from downloader.library.port import Library
from downloader.manifest import Manifest
from downloader.mirroring.leftovers import LeftoversStore, clear_leftovers
from downloader.model import Series
from downloader.resolving.contradictions import Contradictions
from downloader.resolving.own_rows import CONTROLS
from downloader.resolving.resolver import Resolution, Resolver
from downloader.resolving.vanished import ask_about_vanished
from downloader.results.changes import ChangeLog
from downloader.store.port import Intake
from downloader.store.records import Enqueued

DROPPED_AT_ONCE: Final = 1_000


class ResolveStore(Intake, LeftoversStore, Protocol):
    """The part of the store that a resolve uses."""


@dataclass(slots=True, kw_only=True)
class CatalogueResolve:
    """Resolves `manifest` once.

    `skips_recent_failures`: do not retry series that failed recently. `changes` and `warnings` receive the results; `is_unproven`
    tells afterwards whether the list of selected series may be incomplete.
    """

    manifest: Manifest
    resolver: Resolver
    store: ResolveStore
    library: Library
    contexts: Mapping[str, AttemptContext]
    clock: Clock
    max_shrink_percent: float
    skips_recent_failures: bool
    changes: ChangeLog
    warnings: list[str]
    is_unproven: bool = False
    # a few series that each archive listed in this resolve, as control series
    _listed: dict[str, list[Series]] = field(default_factory=dict)
    # archives with lists that may be incomplete
    _doubted: set[str] = field(default_factory=set)
    _contradictions: Contradictions = field(default_factory=Contradictions)

    async def run(self) -> None:
        """Resolve the manifest.

        Raises:
            ArchiveError, ManifestError: as `Resolver.resolve`.
            StoreError: the store cannot be used.
        """
        name = self.manifest.name
        await self.store.note_withdrawal_rule(name, self.manifest.withdrawal_rule)
        number = await self.store.begin_resolve(name, self.clock.now())

        async def enqueue(archive: str, batch: Sequence[Series]) -> None:
            known = self._listed.setdefault(archive, [])
            known += batch[: CONTROLS - len(known)]
            self._note(
                archive, await self.store.enqueue(name, number, archive, batch, skips_recent_failures=self.skips_recent_failures)
            )

        resolution = await self.resolver.resolve(self.manifest, enqueue, self._begin_answer)
        for archive, unlisted in resolution.unlisted().items():
            met = await self.store.enqueue_unlisted(
                name, number, archive, unlisted, skips_recent_failures=self.skips_recent_failures
            )
            self._note(archive, met)
        await self._take_up(number, resolution)
        await self._settle(number)
        await self._withdraw(number, resolution.manifest)

    def _note(self, archive: str, met: Enqueued) -> None:
        self.changes.new.add(met.new_series)
        self.changes.changed.add(met.changed_series)
        self.changes.returned.add(met.returned_series)
        self._contradictions.add(archive, met.contradicting)

    async def _take_up(self, number: int, resolution: Resolution) -> None:
        self.warnings += resolution.warnings
        self.is_unproven |= not resolution.is_whole
        self._doubted |= resolution.doubts.keys()
        for rows in resolution.unreadable.values():
            meant = [row.series_instance_uid for row in rows if row.series_instance_uid]
            await self.store.keep_named(self.manifest.name, number, meant)

    def _begin_answer(self, is_repeated: bool) -> None:
        self._contradictions.begin_answer(is_repeated=is_repeated)

    async def _settle(self, number: int) -> None:
        """Choose one row for each series that was listed with contradictory rows, and enqueue it."""
        archives = {name: context.archive for name, context in self.contexts.items()}

        async def ask(archive: str, series: Sequence[Series]) -> Sequence[Series]:
            return await self.resolver.ask_own_rows(archive, series, self._listed.get(archive, ()))

        for settled in await self._contradictions.settle(self.store, self.library.finder, archives, ask):
            name, row = self.manifest.name, settled.chosen
            if not settled.is_taken:
                met = await self.store.enqueue(
                    name, number, settled.archive, [row], skips_recent_failures=self.skips_recent_failures, settles=True
                )
                self._note(settled.archive, met)
            if settled.is_kept:
                # the row that looked like a change was the other of two contradictory rows
                self.changes.changed.discard(row.series_instance_uid)
            if settled.sentence:
                self.warnings.append(settled.sentence)
            self.is_unproven |= not settled.is_proven

    async def _withdraw(self, number: int, resolved: Manifest) -> None:
        """Mark vanished series as withdrawn, unless too many are missing for the catalogue to be accepted."""
        name = self.manifest.name
        if await self._drop_unwanted(number, resolved):
            await self._clear_leftovers()
        vanished = await self.store.count_vanished(name, number)
        if not vanished:
            return
        before = (await self.store.tally(name)).selected - self.changes.new.count - self.changes.returned.count
        if vanished > before * self.max_shrink_percent / 100:
            self.is_unproven = self.changes.doubted = True
            self.warnings.append(
                f"the archive no longer lists {vanished} of {before} series; that is more than max_shrink allows "
                f"({self.max_shrink_percent:g}%), so no series was marked as withdrawn. "
                "If this is correct, run again with --max-shrink 100%"
            )
            return
        answer = await ask_about_vanished(name, number, self.store, list(self.contexts), self._ask_own_rows)
        for archive, rows in answer.listed.items():
            await self._keep_listed(number, resolved, archive, rows)
        self.warnings += answer.warnings()
        if answer.unanswered:
            self.is_unproven = self.changes.doubted = True
        if answer.denied:
            await self.library.index.expect_metadata()
            withdrawn = await self.store.withdraw_vanished(name, number, self.clock.now(), denied=answer.denied)
            self.changes.withdrawn.add(withdrawn)
        await self._clear_leftovers()

    async def _drop_unwanted(self, number: int, resolved: Manifest) -> int:
        """Remove series from the manifest that this resolve did not find because the manifest changed; returns how many."""
        name, dropped = self.manifest.name, 0
        unwanted: list[str] = []
        async for row in self.store.find_vanished(name, number):
            if not resolved.wants(row.series):
                unwanted.append(row.series.series_instance_uid)
            if len(unwanted) == DROPPED_AT_ONCE:
                dropped += await self.store.drop_wishes(name, number, unwanted)
                unwanted = []
        return dropped + await self.store.drop_wishes(name, number, unwanted)

    async def _clear_leftovers(self) -> None:
        """Remove parts of series from staging that are no longer wanted; no attempt has started yet."""
        await clear_leftovers(self.library, self.store, self.clock.now())

    async def _ask_own_rows(self, archive: str, series: Sequence[Series]) -> Sequence[Series]:
        if archive in self._doubted:
            raise ArchiveFaultError(f"the lists of {archive} may be incomplete")
        return await self.resolver.ask_own_rows(archive, series, self._listed.get(archive, ()))

    async def _keep_listed(self, number: int, resolved: Manifest, archive: str, rows: Sequence[Series]) -> None:
        """Keep series that the archive returns only singly; remove those that the manifest no longer selects."""
        wanted = [row for row in rows if resolved.wants(row)]
        self._note(archive, await self.store.enqueue(self.manifest.name, number, archive, wanted))
        unwanted = [row for row in rows if not resolved.wants(row)]
        for row in unwanted:
            await self.store.update_series(row)
        if unwanted:
            await self._drop_unwanted(number, resolved)
