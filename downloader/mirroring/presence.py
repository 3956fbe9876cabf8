"""Checks that the complete series of the store are in the library, before a run reports them as complete."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, Protocol

import anyio

from downloader.clock import Clock
from downloader.errors import WrongLibraryError
from downloader.library.index import LibraryIndex
from downloader.library.model import ReceiptLook
from downloader.library.port import SeriesFinder
from downloader.results.presence import Presence
from downloader.store.port import Corrections, FolderIndex, Inventory
from downloader.store.records import StoredSeries

MOST_NAMED: Final = 10
"""How many missing series, and unreadable folders, a report names; the others are only counted."""
PROBED_SERIES: Final = 300
SAMPLED_SERIES: Final = 2_000
LONGEST_LOOK_SECONDS: Final = 10.0
FEWEST_OF_A_WHOLE: Final = 10
"""If the store has at least that many complete series and none is in the library, the whole library is missing."""
SLOW_SECONDS: Final = 50e-6
"""A file system that takes longer for one receipt is read by `SLOW_LOOKS` tasks; a faster one would become slower by them."""
SLOW_LOOKS: Final = 4
_SERIES_AT_ONCE: Final = 500

Place = tuple[str, str]


class PresenceStore(Inventory, FolderIndex, Corrections, Protocol):
    """The part of the store that the check uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Absent:
    """Complete series whose receipts are not in the folders that the store has."""

    missing: list[Place] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def take(self, other: "_Absent") -> None:
        self.missing.extend(other.missing)
        self.unreadable.update(other.unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceCheck:
    """Checks for the complete series of manifests.

    If checking all of them would take longer than `longest_seconds`, by the time that `probed` series took, a random sample is
    checked. All are checked nevertheless if a series of the sample is missing, or if metadata.csv lists fewer series than the
    store counts.
    """

    finder: SeriesFinder
    index: LibraryIndex
    store: PresenceStore
    clock: Clock
    probed: int = PROBED_SERIES
    sampled: int = SAMPLED_SERIES
    longest_seconds: float = LONGEST_LOOK_SECONDS

    async def look(self, manifest: str) -> Presence:
        """Check the complete series of the manifest. Set missing ones to pending, and update folders of moved ones.

        Raises:
            WrongLibraryError: the store counts `FEWEST_OF_A_WHOLE` or more, of all manifests, and none of them is in the library.
            LibraryError, StoreError: the library's own directory, or the store, cannot be used.
        """
        complete = (await self.store.tally(manifest)).complete
        if not complete:
            return Presence(complete=0, looked_at=0)
        seconds_each = await self._probe(manifest)
        looked_at = complete
        if complete > self.sampled and seconds_each * complete > self.longest_seconds and await self._table_is_whole():
            sample = await self._draw(manifest)
            found = await self._absent_of(sample, seconds_each)
            if not found.missing and not found.unreadable:
                return Presence(complete=complete, looked_at=len(sample))
        absent = _Absent()
        async for page in self._pages(manifest):
            absent.take(await self._absent_of(page, seconds_each))
        gone, moved = await self._look_elsewhere(absent)
        if len(gone) == complete:
            await self._refuse_empty_library(gone[0])
        for start in range(0, len(gone), _SERIES_AT_ONCE):
            batch = gone[start : start + _SERIES_AT_ONCE]
            await self.store.reopen(batch, message="the series was complete and is missing from the library")
        unreadable = [f"{folder}: {reason}" for folder, reason in absent.unreadable.items()]
        return Presence(
            complete=complete,
            looked_at=looked_at,
            missing=len(gone),
            moved=moved,
            first_missing=tuple(gone[:MOST_NAMED]),
            unreadable=len(unreadable),
            first_unreadable=tuple(unreadable[:MOST_NAMED]),
        )

    async def _refuse_empty_library(self, example: str) -> None:
        """Raise WrongLibraryError if the store counts many series as complete, and the library has none of any manifest."""
        complete = (await self.store.tally()).complete
        if complete < FEWEST_OF_A_WHOLE or await holds_any(self.store, self.finder.look_for_receipts):
            return
        raise WrongLibraryError(
            f"none of the {complete:,} series that the state store counts as complete is in the library, such as {example}",
            next_step="mount the disk that they are on; if they were removed on purpose, `tciad store rebuild` creates a store "
            "from the receipts there, and the next run fetches the rest",
        )

    async def _probe(self, manifest: str) -> float:
        """The time that the file system takes for one receipt, in seconds."""
        page = await self.store.places(manifest, limit=self.probed)
        began = self.clock.monotonic()
        await self._look([folder for _, folder in page.places])
        return (self.clock.monotonic() - began) / max(1, len(page.places))

    async def _table_is_whole(self) -> bool:
        """Whether metadata.csv lists at least as many series as the store counts, if it exists and is up to date."""
        if await self.index.metadata_is_due():
            return True
        listed = await self.index.listed_series()
        return listed is None or listed >= (await self.store.tally()).complete

    async def _draw(self, manifest: str) -> Sequence[Place]:
        """A uniform random sample of the complete series, in constant memory (reservoir sampling)."""
        draw = random.Random().random  # noqa: S311 - a sample, not a secret
        drawn: list[Place] = []
        number = 0
        async for page in self._pages(manifest):
            for place in page:
                number += 1
                if len(drawn) < self.sampled:
                    drawn.append(place)
                elif (position := int(draw() * number)) < self.sampled:
                    drawn[position] = place
        return drawn

    async def _pages(self, manifest: str) -> AsyncIterator[Sequence[Place]]:
        after: int | None = 0
        while after is not None:
            page = await self.store.places(manifest, after=after)
            yield page.places
            after = page.next_after

    async def _absent_of(self, places: Sequence[Place], seconds_each: float) -> _Absent:
        """The series whose receipts are not in the folders that the store has."""
        folders = [folder for _, folder in places]
        look = await self._look(folders) if seconds_each < SLOW_SECONDS else await self._look_side_by_side(folders)
        missing = set(look.missing)
        return _Absent(
            missing=[place for place in places if place[1] in missing] if missing else [],
            unreadable=dict(look.unreadable),
        )

    async def _look_side_by_side(self, folders: Sequence[str]) -> ReceiptLook:
        missing: set[str] = set()
        unreadable: dict[str, str] = {}

        async def look(some: Sequence[str]) -> None:
            found = await self._look(some)
            missing.update(found.missing)
            unreadable.update(found.unreadable)

        async with anyio.create_task_group() as group:
            for number in range(SLOW_LOOKS):
                group.start_soon(look, folders[number::SLOW_LOOKS])
        return ReceiptLook(missing=list(missing), unreadable=unreadable)

    async def _look(self, folders: Sequence[str]) -> ReceiptLook:
        return await self.finder.look_for_receipts(folders)

    async def _look_elsewhere(self, absent: _Absent) -> tuple[list[str], int]:
        """Find which missing series are gone, and how many are in the layout's folder instead; update the latter in the store.

        Series whose folders cannot be read are added to `absent.unreadable`.
        """
        gone: list[str] = []
        moved = 0
        for start in range(0, len(absent.missing), _SERIES_AT_ONCE):
            batch = absent.missing[start : start + _SERIES_AT_ONCE]
            rows = await self.store.find_named([series_instance_uid for series_instance_uid, _ in batch])
            found = await self._find_moved(rows, absent.unreadable)
            if found:
                await self.store.relocate(list(found.items()))
            moved += len(found)
            gone += [uid for uid, folder in batch if uid not in found and folder not in absent.unreadable]
        return gone, moved

    async def _find_moved(self, rows: Sequence[StoredSeries], unreadable: dict[str, str]) -> dict[str, str]:
        """The new folders of series that are intact elsewhere, in the version that the store has."""
        moved = await self.finder.find_moved([(row.series, PurePosixPath(row.folder)) for row in rows])
        unreadable.update(moved.unreadable)
        found: dict[str, str] = {}
        for row in rows:
            uid = row.series.series_instance_uid
            if uid in moved.found and not moved.found[uid][1].series.version.differs_from(row.series.version):
                folder = moved.found[uid][0]
                await self.finder.make_durable(folder)
                found[uid] = str(folder)
        return found


async def holds_any(store: FolderIndex, look: Callable[[Sequence[str]], Awaitable[ReceiptLook]]) -> bool:
    """Whether the receipt of at least one complete series, of any manifest, is in the folder that the store has."""
    after: int | None = 0
    while after is not None:
        page = await store.places(after=after)
        folders = [folder for _, folder in page.places]
        found = await look(folders)
        if len(found.missing) + len(found.unreadable) < len(folders):
            return True
        after = page.next_after
    return False
