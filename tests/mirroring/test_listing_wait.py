"""An archive that does not answer the listing is probed, less and less often, and the catalogue is listed again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
import pytest

from downloader.errors import ArchiveBusyError, ArchiveFaultError, ArchiveUnreachableError, CredentialsRejectedError, TciadError
from downloader.mirroring.listing_wait import ListingWait
from downloader.mirroring.run import never
from downloader.pacing import BreakerState
from tests.fakes.clock import START_AT, FakeClock, turning_clock
from tests.fakes.memory_archive import MemoryArchive

pytestmark = pytest.mark.anyio
OUT = ArchiveUnreachableError("refused")
HOUR_SECONDS = 3_600.0


@dataclass
class Listing:
    """Fails as scripted, one error each time, and then succeeds."""

    clock: FakeClock
    failures: list[TciadError] = field(default_factory=list)
    listed_at: list[float] = field(default_factory=list)

    async def __call__(self) -> str:
        """When it was asked is remembered."""
        self.listed_at.append(self.clock.monotonic())
        if self.failures:
            raise self.failures.pop(0)
        return "listed"


def wait_of(clock: FakeClock, *archives: MemoryArchive, gives_way: Callable[[frozenset[str]], bool] = never) -> ListingWait:
    """A wait of an hour for archives called a, b and so on."""
    return ListingWait(dict(zip("abc", archives, strict=False)), clock, HOUR_SECONDS, gives_way)


async def test_the_catalogue_is_listed_again_once_the_archive_answers() -> None:
    """After 15 and 30 seconds it does not, after another 60 it does."""
    async with turning_clock() as clock:
        listing = Listing(clock, [OUT])
        archive = MemoryArchive(failures=[OUT, OUT])
        assert await wait_of(clock, archive).until_listed(listing) == "listed"
        assert listing.listed_at == [0, 105]


async def test_the_wait_is_told_while_it_lasts_and_no_longer() -> None:
    """Since when, and for which archives; the first probe shows which of several."""
    clock = FakeClock()
    wait = wait_of(clock, MemoryArchive(), MemoryArchive(failures=[OUT]))
    async with anyio.create_task_group() as group:
        group.start_soon(wait.until_listed, Listing(clock, [OUT]))
        for elapsed_seconds, out in ((0, frozenset[str]()), (15, frozenset({"b"}))):
            await anyio.wait_all_tasks_blocked()
            assert clock.elapsed_seconds == elapsed_seconds
            told = wait.pressure
            assert told
            assert (told.archives_out, told.out_since_at, told.breaker) == (out, START_AT, BreakerState.OPEN)
            clock.advance()
    assert wait.pressure is None
    assert wait.archives_out == frozenset()


async def test_the_only_archive_of_a_manifest_is_named_before_any_probe() -> None:
    """It is the one that failed."""
    clock = FakeClock()
    wait = wait_of(clock, MemoryArchive())
    async with anyio.create_task_group() as group:
        group.start_soon(wait.until_listed, Listing(clock, [OUT]))
        await anyio.wait_all_tasks_blocked()
        assert wait.archives_out == {"a"}
        clock.advance()


async def test_the_wait_ends_with_the_error() -> None:
    """After more than an hour, probed every ten minutes at most."""
    async with turning_clock() as clock:
        listing = Listing(clock, [OUT])
        with pytest.raises(ArchiveUnreachableError):
            await wait_of(clock, MemoryArchive(failures=[OUT] * 1_000)).until_listed(listing)
        assert timedelta(hours=1) < timedelta(seconds=clock.elapsed_seconds) <= timedelta(hours=1, minutes=10)
        assert len(listing.listed_at) == 1


async def test_a_listing_that_fails_although_probes_pass_ends_too() -> None:
    """As when one endpoint is broken: the pauses grow, and the hour counts from the first failure."""
    async with turning_clock() as clock:
        listing = Listing(clock, [ArchiveFaultError("500") for _ in range(1_000)])
        with pytest.raises(ArchiveFaultError):
            await wait_of(clock, MemoryArchive()).until_listed(listing)
        assert len(listing.listed_at) == 12
        assert clock.elapsed_seconds > HOUR_SECONDS


@pytest.mark.parametrize("at_probe", [False, True])
async def test_what_no_wait_helps_against_ends_at_once(at_probe: bool) -> None:
    """Credentials that are refused, in the listing or in a probe."""
    refused = CredentialsRejectedError("no")
    async with turning_clock() as clock:
        listing = Listing(clock, [OUT if at_probe else refused])
        with pytest.raises(CredentialsRejectedError):
            await wait_of(clock, MemoryArchive(failures=[refused])).until_listed(listing)
        assert clock.elapsed_seconds == (15 if at_probe else 0)


async def test_retry_after_is_obeyed() -> None:
    """Where it is longer than the pause would be."""
    async with turning_clock() as clock:
        listing = Listing(clock, [ArchiveBusyError("503", retry_after_seconds=777)])
        await wait_of(clock, MemoryArchive()).until_listed(listing)
        assert listing.listed_at == [0, 777]


async def test_the_wait_gives_way_to_other_work() -> None:
    """Which is asked for again after each probe, with the archives that are out."""
    asked: list[frozenset[str]] = []

    def gives_way(archives_out: frozenset[str]) -> bool:
        asked.append(archives_out)
        return len(asked) == 3

    async with turning_clock() as clock:
        with pytest.raises(ArchiveUnreachableError):
            await wait_of(clock, MemoryArchive(failures=[OUT] * 9), gives_way=gives_way).until_listed(Listing(clock, [OUT]))
        assert clock.elapsed_seconds == 45
    assert asked == [{"a"}] * 3
