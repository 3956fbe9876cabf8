"""The queue empties: every series ends complete or failed, and every error has the effect that its class says."""

import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from downloader.archive.port import Source
from downloader.errors import (
    ArchiveBusyError,
    ArchiveFaultError,
    ArchiveUnreachableError,
    CredentialsRejectedError,
    CutTransferError,
    NoSpaceError,
    StalledTransferError,
    TciadError,
)
from downloader.fetching.attempt import AttemptContext
from downloader.library.local.library import LocalLibrary
from downloader.model import (
    AttemptStarted,
    Event,
    FetchOrder,
    Md5Mode,
    Series,
    SeriesCompleted,
    SeriesGivenBack,
    SeriesSetBack,
    SeriesState,
)
from downloader.pacing import Backoff
from downloader.scheduling.admission import ROOM_PAUSE_SECONDS
from downloader.scheduling.scheduler import Scheduler, SchedulerPolicy, always
from downloader.store.records import Session
from tests.fakes.clock import FakeClock, turning_clock
from tests.fakes.memory_archive import MemoryArchive, MemoryBody
from tests.fakes.memory_store import MemoryStore
from tests.library.series_streams import SERIES, dicom_file, members_of, receipts_of
from tests.library.series_streams import store as put_into_library

pytestmark = pytest.mark.anyio

Kind = TypeVar("Kind", bound=Event)
ME = Session(session_id="me", host="host", pid=1, tool_version="1.0")


def listed(number: int) -> Series:
    return replace(SERIES, series_instance_uid=f"{SERIES.series_instance_uid}.{number}", image_count=3)


def zip_of(series: Series) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members_of(series).items():
            archive.writestr(name, member)
    return content.getvalue()


@dataclass
class Scene:
    """A scheduler with an archive and a store in memory, and a library in a folder."""

    clock: FakeClock
    library: LocalLibrary
    archive: MemoryArchive = field(default_factory=MemoryArchive)
    store: MemoryStore = field(init=False)
    events: list[Event] = field(default_factory=list)
    attempts: int = 4
    waits_for_room: bool = False
    concurrency: int = 2
    outage_seconds: float = 86_400.0
    order: FetchOrder = FetchOrder.ARCHIVE
    admit: Callable[[], Awaitable[None]] = always
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(2))

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)

    def offer(self, series: Series, *errors: TciadError) -> None:
        """The archive lists the series, fails so often, then gives it."""
        self.archive.rows.append(series)
        self.archive.answers[series.series_instance_uid] = [*errors, MemoryBody(pieces=[zip_of(series)])]

    def refuse(self, series: Series, error: TciadError) -> None:
        """The archive lists the series and never gives it."""
        self.archive.rows.append(series)
        self.archive.answers[series.series_instance_uid] = [error]

    def context(self, archive: Source) -> AttemptContext:
        return AttemptContext(
            archive=archive,
            library=self.library,
            clock=self.clock,
            threads=self.threads,
            md5=Md5Mode.AUTO,
            listener=lambda _event: None,
        )

    def scheduler(self, contexts: Mapping[str, AttemptContext] | None = None) -> Scheduler:
        policy = SchedulerPolicy(
            concurrency=self.concurrency,
            attempts=self.attempts,
            order=self.order,
            retry=Backoff(),
            outage_seconds=self.outage_seconds,
            waits_for_room=self.waits_for_room,
        )
        return Scheduler(
            store=self.store,
            session=ME,
            contexts=contexts or {"memory": self.context(self.archive)},
            policy=policy,
            clock=self.clock,
            draw=lambda: 0.0,
            listener=self.events.append,
            admit=self.admit,
        )

    async def drain(self) -> None:
        resolve = await self.store.begin_resolve("m", self.clock.now())
        await self.store.enqueue("m", resolve, "memory", self.archive.rows)
        await self.scheduler().drain("m")

    async def states(self) -> dict[str, SeriesState]:
        return {row.series.series_instance_uid.rpartition(".")[2]: row.state async for row in self.store.find("m")}

    def seen(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with turning_clock() as clock:
        yield Scene(clock=clock, library=LocalLibrary(tmp_path))


async def test_everything_that_the_archive_gives_becomes_complete(scene: Scene) -> None:
    """In the library and in the store."""
    for number in range(5):
        scene.offer(listed(number))
    await scene.drain()
    assert set((await scene.states()).values()) == {SeriesState.COMPLETE}
    assert len(await receipts_of(scene.library)) == 5
    assert len(scene.seen(SeriesCompleted)) == 5


def offer_images(scene: Scene, count: int) -> None:
    """The archive lists a series with this many images, which is also its number."""
    images = {f"1-{number:02d}.dcm": dicom_file(listed(count), number) for number in range(1, count + 1)}
    series = replace(listed(count), image_count=count, file_size_bytes=sum(map(len, images.values())))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in images.items():
            archive.writestr(name, member)
    scene.archive.rows.append(series)
    scene.archive.answers[series.series_instance_uid] = [MemoryBody(pieces=[content.getvalue()])]


@pytest.mark.parametrize(
    ("order", "first", "last"),
    [
        (FetchOrder.LARGEST_FIRST, {9, 8, 7, 6}, {1}),
        (FetchOrder.SMALLEST_FIRST, {1, 2, 3, 4}, {9}),
        (FetchOrder.BALANCED, {1, 9, 8, 7}, {2, 3, 4, 5}),
    ],
)
async def test_the_order_says_from_which_end_of_the_queue(
    scene: Scene, order: FetchOrder, first: set[int], last: set[int]
) -> None:
    """Balanced: a quarter of the series at once are small ones, and what comes last is neither the largest nor the smallest."""
    scene.concurrency, scene.order = 4, order
    for count in (5, 3, 9, 1, 7, 4, 8, 2, 6):
        offer_images(scene, count)
    await scene.drain()
    # claims are made one after the other; which of four is asked for first is up to the threads
    begun = [int(event.series.series_instance_uid.rpartition(".")[2]) for event in scene.seen(AttemptStarted)]
    assert set(begun[:4]) == first
    assert begun[-1] in last


async def test_one_series_at_once_is_the_largest(scene: Scene) -> None:
    """There is nothing to balance."""
    scene.concurrency, scene.order = 1, FetchOrder.BALANCED
    for count in (2, 3, 1):
        offer_images(scene, count)
    await scene.drain()
    asked = [int(series_instance_uid.rpartition(".")[2]) for series_instance_uid, _ in scene.archive.opened]
    assert asked == [3, 2, 1]


async def test_a_fault_that_passes_costs_an_attempt_and_a_pause(scene: Scene) -> None:
    """The series is set back with its reason, and comes again."""
    scene.offer(listed(1), CutTransferError("cut"), ArchiveFaultError("500"))
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    set_back = scene.seen(SeriesSetBack)
    assert [(event.attempt, event.error) for event in set_back] == [
        (1, "CutTransferError"),
        (2, "ArchiveFaultError"),
    ]


async def test_a_fault_that_stays_fails_its_series_and_no_other(scene: Scene) -> None:
    """After as many attempts as the policy says."""
    scene.offer(listed(1))
    scene.refuse(listed(2), CutTransferError("cut"))
    scene.offer(listed(3))
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE, "2": SeriesState.FAILED, "3": SeriesState.COMPLETE}
    (failure,) = await scene.store.failures("m")
    assert (failure.error, failure.attempts) == ("CutTransferError", 4)
    assert failure.message.startswith(f"series {listed(2).series_instance_uid}")


@pytest.mark.parametrize("error", [CredentialsRejectedError("401"), NoSpaceError("full")])
async def test_what_concerns_every_series_stops_the_run_and_costs_no_attempt(scene: Scene, error: TciadError) -> None:
    """Credentials, disk: nothing is gained by trying the next series."""
    scene.refuse(listed(1), error)
    scene.offer(listed(2))
    with pytest.raises(type(error)):
        await scene.drain()
    rows = {row.series.series_instance_uid: row async for row in scene.store.find("m")}
    assert {row.attempts for row in rows.values() if row.state is SeriesState.PENDING} == {0}
    assert rows[listed(1).series_instance_uid].state is SeriesState.PENDING


async def test_retry_after_is_obeyed(scene: Scene) -> None:
    """The archive asked for two minutes."""
    scene.offer(listed(1), ArchiveBusyError("429", retry_after_seconds=120))
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    assert scene.clock.elapsed_seconds >= 120


async def test_an_outage_leaves_no_series_under_way(scene: Scene) -> None:
    """The end of each attempt is reported, also of one that is given back since it had no chance."""
    under_way: set[str] = set()
    most = 0
    for number in range(5):
        scene.offer(listed(number), ArchiveUnreachableError("refused"))
    scene.archive.failures = list[TciadError]([ArchiveUnreachableError("refused")] * 30)
    await scene.drain()
    for event in scene.events:
        if isinstance(event, AttemptStarted):
            under_way.add(event.series.series_instance_uid)
        elif isinstance(event, SeriesGivenBack | SeriesSetBack):
            under_way.discard(event.series_instance_uid)
        elif isinstance(event, SeriesCompleted):
            under_way.discard(event.receipt.series.series_instance_uid)
        most = max(most, len(under_way))
    # threads decide which of the two it is for the attempt that was under way when the outage was noticed
    assert any(isinstance(event, SeriesGivenBack | SeriesSetBack) for event in scene.events)
    assert (under_way, most) == (set(), scene.concurrency)


async def test_an_outage_of_the_archive_pauses_the_queue_and_burns_no_attempts(scene: Scene) -> None:
    """Everything is refused for hours; then everything comes, within the same attempts."""
    outage = [ArchiveUnreachableError("refused")] * 30
    for number in range(20):
        scene.offer(listed(number), ArchiveUnreachableError("refused"))
    scene.archive.failures = list[TciadError](outage)
    await scene.drain()
    assert set((await scene.states()).values()) == {SeriesState.COMPLETE}
    assert scene.clock.elapsed_seconds > 3_600
    assert scene.archive.failures == []


async def test_a_probe_that_breaks_off_is_an_answer_like_any_other_in_an_outage(scene: Scene) -> None:
    """An archive on its way back may send the half of a reply."""
    for number in range(20):
        scene.offer(listed(number), ArchiveUnreachableError("refused"))
    scene.archive.failures = [CutTransferError("the connection ended"), StalledTransferError("nothing more came")]
    await scene.drain()
    assert set((await scene.states()).values()) == {SeriesState.COMPLETE}
    assert scene.archive.failures == []


async def test_images_that_are_too_few_are_not_kept_because_the_catalogue_could_not_be_asked_again(scene: Scene) -> None:
    """What came was wrong: that the line broke afterwards, in the question to the catalogue, is only its circumstance."""
    scene.attempts = 1
    series = listed(1)
    scene.offer(series)
    scene.archive.rows = [replace(series, image_count=4)]
    scene.archive.failures = [CutTransferError("the connection ended")]
    await scene.drain()
    (failure,) = await scene.store.failures("m")
    assert failure.error == "IncompleteSeriesError"
    assert await scene.library.leftovers.staged_series() == []


async def test_an_outage_that_does_not_end_ends_the_run(scene: Scene) -> None:
    """After the time that the policy bears, with the archive's own error."""
    for number in range(4):
        scene.refuse(listed(number), ArchiveUnreachableError("refused"))
    scene.archive.failures = [ArchiveUnreachableError("refused")] * 1_000
    with pytest.raises(ArchiveUnreachableError):
        await scene.drain()
    assert SeriesState.FAILED not in (await scene.states()).values()


async def test_each_series_is_asked_of_its_own_archive(scene: Scene) -> None:
    """A manifest may want series of several; one that is out is probed, and none of its attempts is burnt."""
    other = MemoryArchive(name="other")
    near, far = listed(1), listed(2)
    scene.offer(near)
    other.rows.append(far)
    other.answers[far.series_instance_uid] = [*[ArchiveUnreachableError("refused")] * 3, MemoryBody(pieces=[zip_of(far)])]
    contexts = {"memory": scene.context(scene.archive), "other": scene.context(other)}
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "memory", [near])
    await scene.store.enqueue("m", resolve, "other", [far])
    await scene.scheduler(contexts).drain("m")
    assert set((await scene.states()).values()) == {SeriesState.COMPLETE}
    assert {receipt.archive for _, receipt in await receipts_of(scene.library)} == {"memory", "other"}
    assert [name for name, _ in scene.archive.opened] == [near.series_instance_uid]


async def test_what_is_left_of_an_archive_that_is_no_longer_named_is_asked_of_the_first(scene: Scene) -> None:
    """Wishes of an earlier manifest stay while the catalogue shrank too much to be believed."""
    series = listed(1)
    scene.offer(series)
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "former", [series])
    await scene.scheduler().drain("m")
    assert await scene.states() == {"1": SeriesState.COMPLETE}


async def test_a_series_that_lies_in_the_library_is_completed_without_a_download(scene: Scene) -> None:
    """A run was killed after the rename and before the store heard of it."""
    series = listed(1)
    put_into_library(scene.library, series)
    scene.offer(series)
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    assert scene.archive.opened == []


async def test_a_series_that_changed_upstream_is_fetched_although_it_lies_there(scene: Scene) -> None:
    """The receipt is of another content than the catalogue lists."""
    series = listed(1)
    put_into_library(scene.library, replace(series, image_count=2))
    scene.offer(series)
    await scene.drain()
    assert len(scene.archive.opened) == 1


async def test_a_series_that_killed_the_process_in_every_attempt_is_given_up(scene: Scene) -> None:
    """The attempt counts from its claim: no series can stop a mirror for ever."""
    scene.offer(listed(1))
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "memory", scene.archive.rows)
    for _ in range(scene.attempts):
        assert await scene.store.claim("m", session_id="dead", lease_seconds=0)
    await scene.scheduler().drain("m")
    (failure,) = await scene.store.failures("m")
    assert failure.error == "AttemptsExhaustedError"


async def test_an_interrupted_run_gives_its_claims_back(scene: Scene) -> None:
    """The attempt had no chance, so it does not count."""
    stalled = anyio.Event()

    class Stalling(MemoryArchive):
        async def find_collections(self) -> list[str]:
            return ["LIDC-IDRI"]

    archive = Stalling()
    series = listed(1)
    archive.rows.append(series)

    class Endless(MemoryBody):
        async def batches(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            yield [zip_of(series)[:100]]
            stalled.set()
            await anyio.sleep_forever()

    archive.answers[series.series_instance_uid] = [Endless(pieces=[])]
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "memory", archive.rows)
    async with anyio.create_task_group() as group:
        group.start_soon(scene.scheduler({"memory": scene.context(archive)}).drain, "m")
        await stalled.wait()
        group.cancel_scope.cancel()
    (row,) = [row async for row in scene.store.find("m")]
    assert (row.state, row.attempts) == (SeriesState.PENDING, 0)
    assert await receipts_of(scene.library) == []


async def test_a_full_disk_makes_claiming_wait_where_that_is_wanted(scene: Scene) -> None:
    """No attempt counts, the other series get their turn, and all is complete once there is room."""
    scene.waits_for_room = True
    scene.offer(listed(1), *[NoSpaceError("full")] * 10)
    scene.offer(listed(2), NoSpaceError("full"))
    scene.offer(listed(3))
    await scene.drain()
    assert set((await scene.states()).values()) == {SeriesState.COMPLETE}
    assert [event.attempt for event in scene.events if isinstance(event, SeriesCompleted)] == [1, 1, 1]
    assert scene.clock.elapsed_seconds >= 10 * ROOM_PAUSE_SECONDS


async def test_nothing_is_claimed_while_it_is_not_admitted(scene: Scene) -> None:
    """As while the service is paused; then it goes on."""
    resumed = anyio.Event()
    scene.admit = resumed.wait
    scene.offer(listed(1))
    async with anyio.create_task_group() as group:
        group.start_soon(scene.drain)
        await anyio.wait_all_tasks_blocked()
        assert await scene.states() == {"1": SeriesState.PENDING}
        resumed.set()
    assert await scene.states() == {"1": SeriesState.COMPLETE}


async def test_what_is_under_way_ends_when_claiming_stops(scene: Scene) -> None:
    """Nothing more is begun, and the drain is over."""
    arrived, go_on = anyio.Event(), anyio.Event()
    series = listed(1)

    class Held(MemoryBody):
        async def batches(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            arrived.set()
            await go_on.wait()
            yield [zip_of(series)]

    scene.archive.rows.append(series)
    scene.archive.answers[series.series_instance_uid] = [Held(pieces=[])]
    for number in range(2, 5):
        scene.refuse(listed(number), CutTransferError("cut"))
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "memory", scene.archive.rows)
    scheduler = scene.scheduler()
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.drain, "m")
        await arrived.wait()
        scheduler.stop_claiming()
        go_on.set()
    states = await scene.states()
    assert states["1"] is SeriesState.COMPLETE
    assert SeriesState.CLAIMED not in states.values()
    assert SeriesState.PENDING in states.values()


async def test_a_failed_series_rests_longer_each_time(scene: Scene) -> None:
    """An hour, two hours, … at most a week (half of that with this jitter)."""
    scene.attempts = 1
    scene.refuse(listed(1), CutTransferError("cut"))
    rests = []
    for _ in range(10):
        await scene.drain()
        (row,) = [row async for row in scene.store.find("m")]
        assert row.rests_until_at is not None
        rests.append((row.rests_until_at - scene.clock.now()).total_seconds())
    assert rests[:3] == [1800, 3600, 7200]
    assert rests[-1] == 7 * 86_400 / 2


async def test_what_was_stored_before_stays_where_its_former_name_leads_to_the_same_folder(scene: Scene, tmp_path: Path) -> None:
    """As on a file system that ignores the case of names, where the archive has changed that; or by way of a link."""
    before = replace(listed(1), collection="before", image_count=2)
    folder = put_into_library(scene.library, before)
    (tmp_path / "after").symlink_to("before")
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "memory", [before])
    (held,) = await scene.store.claim("m", session_id="w", lease_seconds=0)
    receipt = scene.library.find_receipt(before)
    assert receipt is not None
    await scene.store.complete(held, receipt, str(folder))
    scene.offer(replace(listed(1), collection="after"))
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    assert scene.library.find_receipt(replace(listed(1), collection="after")) is not None


async def test_what_was_stored_elsewhere_before_goes_when_the_series_is_complete(scene: Scene) -> None:
    """The archive moved it to another patient; a folder that is another series' stays."""
    before = replace(listed(1), patient_id="before", image_count=2)
    other = replace(listed(2), patient_id="other")
    for series in (before, other):
        folder = put_into_library(scene.library, series)
        resolve = await scene.store.begin_resolve("m", scene.clock.now())
        await scene.store.enqueue("m", resolve, "memory", [series])
        (held,) = await scene.store.claim("m", session_id="w", lease_seconds=0)
        receipt = scene.library.find_receipt(series)
        assert receipt is not None
        # the store's word on the second is wrong: it names the folder of the first
        await scene.store.complete(held, receipt, str(scene.library.folder_of(before)) if series is other else str(folder))
    scene.offer(replace(listed(2), patient_id="moved", image_count=3, file_size_bytes=1))
    scene.archive.rows[:] = [replace(listed(2), patient_id="moved", submitted_at=scene.clock.now())]
    await scene.drain()
    assert scene.library.find_receipt(before) is not None
    scene.offer(listed(1))
    await scene.drain()
    assert scene.library.find_receipt(before) is None
    assert scene.library.find_receipt(listed(1)) is not None
