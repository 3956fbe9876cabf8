"""Series that find no room: none is downloaded in vain again and again, and each comes once there is room."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from downloader.errors import NoSpaceError
from downloader.library.local.library import LocalLibrary
from downloader.model import Series, SeriesCompleted, SeriesState
from downloader.scheduling.outcomes import LONGEST_NO_ROOM_PAUSE_SECONDS, NO_ROOM_PAUSE_SECONDS
from tests.fakes.clock import turning_clock
from tests.fakes.memory_archive import MemoryBody
from tests.library.series_streams import receipts_of
from tests.scheduling.test_pressure import UnleasedClock
from tests.scheduling.test_scheduler import Scene, listed, zip_of

pytestmark = pytest.mark.anyio


class SmallLibrary(LocalLibrary):
    """A library on a disk whose free room the test says; `asked_bytes` are the needs that were looked up."""

    free_room_bytes = 0

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked_bytes: list[int] = []

    def require_room(self, series: Series, needed_bytes: int) -> None:
        self.asked_bytes.append(needed_bytes)
        if needed_bytes > self.free_room_bytes:
            raise NoSpaceError(f"{needed_bytes} bytes are needed", series_instance_uid=series.series_instance_uid)


@dataclass
class RoomScene(Scene):
    """The service's scheduler, and a series of unknown size."""

    waits_for_room: bool = True
    series: Series = field(default_factory=lambda: replace(listed(1), file_size_bytes=None))

    def fill_disk(self, times: int) -> None:
        """The disk is full in the middle of this many downloads of the series; the next one comes whole."""
        content = zip_of(self.series)
        broken = MemoryBody(pieces=[content[: len(content) // 2], NoSpaceError("the disk is full")])
        self.archive.rows.append(self.series)
        self.archive.answers[self.series.series_instance_uid] = [*[broken] * times, MemoryBody(pieces=[content])]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[RoomScene]:
    async with turning_clock(UnleasedClock()) as clock:
        scene = RoomScene(clock=clock, library=SmallLibrary(tmp_path))
        clock.threads = scene.threads
        yield scene


def library_of(scene: RoomScene) -> SmallLibrary:
    assert isinstance(scene.library, SmallLibrary)
    return scene.library


async def test_a_series_of_unknown_size_is_not_downloaded_again_before_there_is_room(scene: RoomScene) -> None:
    """Its need is looked up every ten minutes, and nothing is received; once there is room, it comes whole."""
    scene.fill_disk(times=1)

    async def make_room_at_last() -> None:
        if len(library_of(scene).asked_bytes) == 5:
            assert len(scene.archive.opened) == 1
            library_of(scene).free_room_bytes = 10**12

    scene.admit = make_room_at_last
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    assert len(scene.archive.opened) == 2
    assert scene.clock.elapsed_seconds >= 5 * NO_ROOM_PAUSE_SECONDS
    (completed,) = scene.seen(SeriesCompleted)
    assert completed.attempt == 1


async def test_the_room_that_a_series_needs_is_learned_from_what_came(scene: RoomScene) -> None:
    """From the images that came and their number: more than came, and about as much as the series has."""
    scene.fill_disk(times=1)
    library_of(scene).free_room_bytes = 10**12
    await scene.drain()
    (receipt,) = [receipt for _, receipt in await receipts_of(scene.library)]
    (needed_bytes,) = library_of(scene).asked_bytes
    assert receipt.stored_bytes / 3 < needed_bytes <= receipt.stored_bytes * 1.5


async def test_downloads_in_vain_become_rare(scene: RoomScene) -> None:
    """Where others take the room again and again: the pauses double, up to a day, and no attempt counts."""
    scene.fill_disk(times=9)
    library_of(scene).free_room_bytes = 10**12
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    least_seconds = sum(min(NO_ROOM_PAUSE_SECONDS * 2**downloads, LONGEST_NO_ROOM_PAUSE_SECONDS) for downloads in range(9))
    assert least_seconds <= scene.clock.elapsed_seconds < least_seconds + 9 * 120
    (completed,) = scene.seen(SeriesCompleted)
    assert completed.attempt == 1


async def test_a_run_that_ended_for_want_of_room_downloads_nothing_in_the_next(scene: RoomScene) -> None:
    """Without a wait, the store remembers how much room the series needs."""
    scene.waits_for_room = False
    scene.fill_disk(times=1)
    for _ in range(3):
        with pytest.raises(NoSpaceError):
            await scene.drain()
    assert len(scene.archive.opened) == 1
    (row,) = [row async for row in scene.store.find("m")]
    assert (row.state, row.attempts, row.needed_bytes > 0) == (SeriesState.PENDING, 0, True)
