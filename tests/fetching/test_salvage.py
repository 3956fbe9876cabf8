"""Attempts that break off, against the sandbox on a real socket. Each attempt has a new library: a new process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from downloader.archive.port import Source
from downloader.archive.registry import open_archive
from downloader.clock import SystemClock
from downloader.errors import (
    ArchiveFaultError,
    CorruptZipError,
    CutTransferError,
    DigestMismatchError,
    IncompleteSeriesError,
    LeaseLostError,
    SeriesWithdrawnError,
    TciadError,
    TruncatedZipError,
)
from downloader.fetching.attempt import AttemptContext, FetchedSeries, fetch_series
from downloader.library.local.library import LocalLibrary
from downloader.model import BytesReceived, Md5Mode, Proof, Receipt, Series, SeriesQuery
from downloader.sandbox import Fault, FaultKind, Sandbox, SandboxSeries, catalogue_of, generated_series, serve_sandbox
from downloader.transport.client import TransportSettings, open_transport
from tests.fakes.clock import FakeClock
from tests.library.series_streams import md5_of

pytestmark = pytest.mark.anyio

SINGLES = ("getSingleImage",)
LISTS = ("getSOPInstanceUIDs",)
IMAGE_MD5 = ("getMD5HashForImage", "getM5HashForImage")
EVERY_MD5 = (*IMAGE_MD5, "getMD5Hierarchy")
IMAGES = 20


@dataclass
class Scene:
    """A sandbox with one series, what the catalogue says of it, and every byte that came."""

    sandbox: Sandbox
    archive: Source
    series: Series
    folder: Path
    clock: FakeClock
    md5: Md5Mode = Md5Mode.AUTO
    received: list[BytesReceived] = field(default_factory=list)
    expect_claim: Callable[[], None] = lambda: None

    @property
    def received_bytes(self) -> int:
        return sum(event.received_bytes for event in self.received)

    @property
    def staging(self) -> list[str]:
        return sorted(path.name for path in (self.folder / ".tciad" / "staging").iterdir())

    @property
    def uid(self) -> str:
        return self.series.series_instance_uid

    async def list_again(self) -> None:
        """What a resolve does: take the catalogue's row as it is now."""
        (self.series,) = [series async for series in self.archive.find_series(SeriesQuery())]

    async def attempt(self) -> FetchedSeries:
        context = AttemptContext(
            archive=self.archive,
            library=LocalLibrary(self.folder),
            clock=SystemClock(),
            threads=anyio.CapacityLimiter(2),
            md5=self.md5,
            listener=self.received.append,
            expect_claim=self.expect_claim,
        )
        return await fetch_series(self.series, context)

    async def fail(self, error: type[TciadError]) -> TciadError:
        with pytest.raises(error) as failed:
            await self.attempt()
        assert LocalLibrary(self.folder).find_receipt(self.series) is None
        return failed.value

    async def fetch(self, attempts: int) -> Receipt:
        """As the scheduler would: again and again, until it is there."""
        for _ in range(attempts - 1):
            try:
                return self.check((await self.attempt()).receipt)
            except TciadError:
                continue
        return self.check((await self.attempt()).receipt)

    def check(self, receipt: Receipt) -> Receipt:
        """What lies in the library is what the archive holds, and nothing is left in staging."""
        folder = self.folder / LocalLibrary(self.folder).folder_of(self.series)
        stored = {md5_of(path.read_bytes()) for path in folder.iterdir() if path.name != ".receipt.json"}
        assert stored == {self.sandbox.md5(image) for image in self.sandbox.images_of(self.uid)}
        assert {image.md5 for image in receipt.images} == stored
        assert self.staging == []
        return receipt

    def stage(self, *, received_share: float) -> None:
        """Let the line of the next download break after this share of the ZIP."""
        self.sandbox.faults.add(Fault(kind=FaultKind.CUT, times=1, at_bytes=int(self.zip_bytes * received_share)))

    @property
    def zip_bytes(self) -> int:
        """The size of the ZIP, as the sandbox's noise compresses."""
        return int(self.sandbox.file_size_bytes(self.uid) * 0.4)


@asynccontextmanager
async def serve(folder: Path, *, api: str = "v4", series: SandboxSeries | None = None, seed: int = 0) -> AsyncIterator[Scene]:
    clock = SystemClock()
    async with (
        serve_sandbox(
            catalogue_of([series or generated_series(seed=1, images=IMAGES, rows=64, columns=64)]), seed=seed
        ) as sandbox,
        open_transport(TransportSettings(), clock) as transport,
    ):
        told = FakeClock()
        archive = open_archive("sandbox", sandbox.base_url, api=api, transport=transport, clock=told)
        (listed,) = [row async for row in archive.find_series(SeriesQuery())]
        yield Scene(sandbox=sandbox, archive=archive, series=listed, folder=folder, clock=told)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with serve(tmp_path) as scene:
        yield scene


async def test_an_unbroken_series_asks_for_nothing_more(scene: Scene) -> None:
    """The usual way costs what it did."""
    receipt = await scene.fetch(1)
    assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=False, md5_list=True)
    assert [request.endpoint for request in scene.sandbox.requests] == ["getSeries", "getImage"]


@pytest.mark.parametrize("api", ["v4", "v1"])
async def test_a_series_whose_every_stream_is_cut_completes_by_single_images(tmp_path: Path, api: str) -> None:
    """Having received no more than its FileSize, and an image in flight at the cut."""
    async with serve(tmp_path, api=api) as scene:
        scene.sandbox.faults.add(Fault(kind=FaultKind.CUT, at_bytes=int(scene.zip_bytes * 0.3)))
        receipt = await scene.fetch(2)
        assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=True, md5_list=False)
        size_bytes = scene.sandbox.file_size_bytes(scene.uid)
        assert scene.received_bytes <= 1.0 * size_bytes
        assert receipt.received_bytes == scene.received_bytes
        downloads = scene.sandbox.count("getImage") + scene.sandbox.count("getImageWithMD5Hash")
        assert downloads == 1
        assert IMAGES / 2 < scene.sandbox.count("getSingleImage") < IMAGES


@pytest.mark.parametrize("share", [0.02, 0.05, 0.3, 0.6])
@pytest.mark.parametrize("images", [1, 3, IMAGES])
async def test_wherever_every_stream_is_cut_the_bound_holds(tmp_path: Path, share: float, images: int) -> None:
    """1.3 times the FileSize at most, be it one image or many."""
    async with serve(tmp_path, series=generated_series(seed=5, images=images, rows=256, columns=256)) as scene:
        scene.sandbox.faults.add(Fault(kind=FaultKind.CUT, at_bytes=int(scene.zip_bytes * share)))
        await scene.fetch(7)
        assert scene.received_bytes <= 1.3 * scene.sandbox.file_size_bytes(scene.uid)


async def test_the_images_have_the_names_of_an_unbroken_download(scene: Scene, tmp_path: Path) -> None:
    """The library does not show that it came in parts."""
    whole = await scene.fetch(1)
    async with serve(tmp_path / "parts") as parts:
        parts.stage(received_share=0.5)
        merged = await parts.fetch(2)
    assert merged.proof.merged
    assert merged.images == whole.images


async def test_single_images_are_not_asked_for_while_little_is_lost(scene: Scene) -> None:
    """The line may have had a moment's weakness: one more ZIP is cheaper than twenty requests."""
    scene.stage(received_share=0.08)
    await scene.fail(CutTransferError)
    receipt = await scene.fetch(1)
    assert not receipt.proof.merged
    assert scene.sandbox.count("getSingleImage") == 0


@pytest.mark.parametrize(("share", "merged"), [(0.3, False), (0.95, True)])
async def test_an_interrupted_run_goes_on_singly_when_most_is_there(tmp_path: Path, share: float, merged: bool) -> None:
    """The line did nothing wrong, so a ZIP is the better way as long as half of the series is missing."""
    async with serve(tmp_path, series=generated_series(seed=1, images=IMAGES, rows=1024, columns=1024)) as scene:
        scene.sandbox.faults.add(Fault(kind=FaultKind.STALL, times=1, at_bytes=int(scene.zip_bytes * share)))
        async with anyio.create_task_group() as group:
            group.start_soon(scene.attempt)
            await scene.sandbox.wait_for_stall()
            # bytes are taken a MiB at a time, or what of two more lies unread
            while scene.received_bytes < scene.zip_bytes * share - 1024 * 1024:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert scene.staging
        receipt = await scene.fetch(1)
        assert receipt.proof.merged == merged


@pytest.mark.parametrize("endpoints", [SINGLES, LISTS])
async def test_without_single_images_streams_are_merged(tmp_path: Path, endpoints: tuple[str, ...]) -> None:
    """Members come in another order each time (v1), so each broken stream brings some that are missing."""
    async with serve(tmp_path, api="v1") as scene:
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, endpoints=endpoints, status=500))
        for share in (0.5, 0.4, 0.6, 0.7, 0.3, 0.8, 0.6, 0.7):
            scene.stage(received_share=share)
        receipt = await scene.fetch(8)
        assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=True, md5_list=False)


async def test_a_stream_that_comes_through_after_broken_ones_proves_itself(tmp_path: Path) -> None:
    """By its own MD5 list and its own names, whatever they were called before."""
    async with serve(tmp_path, api="v1") as scene:
        scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, endpoints=SINGLES, status=500))
        scene.stage(received_share=0.5)
        await scene.fail(CutTransferError)
        receipt = await scene.fetch(1)
        assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=False, md5_list=True)


async def test_a_line_that_always_breaks_in_one_place_fails(scene: Scene) -> None:
    """No progress, no end: without single images the same 30 % come each time, and the attempts run out."""
    scene.sandbox.faults.add(
        Fault(kind=FaultKind.STATUS, endpoints=SINGLES, status=500),
        Fault(kind=FaultKind.CUT, at_bytes=int(scene.zip_bytes * 0.3)),
    )
    for _ in range(6):
        await scene.fail(CutTransferError)
    assert scene.sandbox.count("getImage") == 6


async def test_single_images_that_fail_now_and_then_do_not_stop_the_others(scene: Scene) -> None:
    """What came is kept, and the next attempt asks for the rest."""
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, endpoints=SINGLES, status=500, times=2, after=1))
    error = await scene.fail(ArchiveFaultError)
    assert "2 of" in error.what
    receipt = await scene.fetch(1)
    assert receipt.proof.merged
    assert scene.sandbox.count("getImage") == 1


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.HTML, FaultKind.EMPTY, FaultKind.JSON_TEXT])
async def test_single_images_that_are_none_leave_the_stream(scene: Scene, kind: FaultKind) -> None:
    """Whatever comes in their place, what was kept stays good."""
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    scene.sandbox.faults.add(Fault(kind=kind, endpoints=SINGLES))
    receipt = await scene.fetch(1)
    assert not receipt.proof.merged
    assert 1 <= scene.sandbox.count("getSingleImage") <= 3


async def test_a_list_that_hides_images_is_not_taken(scene: Scene) -> None:
    """It names more than the catalogue counts (docs/faults.md, trap 22)."""
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    scene.sandbox.faults.add(Fault(kind=FaultKind.HIDDEN_IMAGES))
    await scene.fetch(1)
    assert scene.sandbox.count("getSingleImage") == 0


@pytest.mark.parametrize("kind", [FaultKind.CLEAN_CUT, FaultKind.FLIPPED_BYTE])
async def test_other_ways_to_break_off_leave_whole_images_too(scene: Scene, kind: FaultKind) -> None:
    """A proxy that ends the reply in order, and a byte that changed on its way."""
    scene.sandbox.faults.add(Fault(kind=kind, times=1, at_bytes=int(scene.zip_bytes * 0.7)))
    await scene.fail(TruncatedZipError if kind is FaultKind.CLEAN_CUT else CorruptZipError)
    receipt = await scene.fetch(1)
    assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=True, md5_list=False)


async def test_a_stream_that_broke_behind_its_last_image_needs_no_other(scene: Scene) -> None:
    """All images are there, and the archive's hash of the series vouches for them."""
    whole = len(await _zip_of(scene))
    scene.sandbox.faults.add(Fault(kind=FaultKind.CUT, at_bytes=whole - 100))
    await scene.fail(CutTransferError)
    receipt = await scene.fetch(1)
    assert receipt.proof.merged
    assert scene.received_bytes == whole - 100


async def _zip_of(scene: Scene) -> bytes:
    async with scene.archive.open_series(scene.series, Md5Mode.AUTO) as transfer:
        return b"".join([chunk async for portion in transfer.portions() for chunk in portion.original])


@pytest.mark.parametrize(
    "kind",
    [FaultKind.WRONG_HASH, FaultKind.DUPLICATE_IMAGE, FaultKind.NOT_DICOM, FaultKind.SHORT_ZIP, FaultKind.NO_MD5_LIST],
)
async def test_nothing_is_kept_of_a_zip_that_is_wrong(scene: Scene, kind: FaultKind) -> None:
    """One that broke off is believed as far as it came; one that came and is wrong is not, nor what was there before."""
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, endpoints=LISTS, status=500, times=1), Fault(kind=kind, times=1))
    await scene.fail(TciadError)
    assert scene.staging == []


def poison(scene: Scene) -> str:
    """Change a byte of the first staged image as if it had come so; its MD5 now."""
    staging = scene.folder / ".tciad" / "staging"
    part = staging / scene.uid / "00000001.part"
    if not part.exists():  # without a licence the first image has the first place
        part = staging / scene.uid / "00000000.part"
    content = part.read_bytes()
    poisoned = content[:-1] + bytes([content[-1] ^ 1])
    part.write_bytes(poisoned)
    journal = staging / f"{scene.uid}.jsonl"
    text = journal.read_text()
    assert md5_of(content) in text
    journal.write_text(text.replace(md5_of(content), md5_of(poisoned)))
    return md5_of(poisoned)


async def test_a_poisoned_image_does_not_survive(scene: Scene) -> None:
    """It has a sound CRC and passes as DICOM; the proof of the whole finds it, and the next attempt begins anew."""
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    poisoned = poison(scene)
    error = await scene.fail(DigestMismatchError)
    assert poisoned in error.what
    assert scene.staging == []
    assert not (await scene.fetch(1)).proof.merged


async def test_a_tampered_image_is_fetched_again(scene: Scene) -> None:
    """Its hash no longer is what was noted when it came."""
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    part = scene.folder / ".tciad" / "staging" / scene.uid / "00000001.part"
    part.write_bytes(b"\0" * part.stat().st_size)
    assert (await scene.fetch(1)).proof.merged


async def test_a_series_that_was_curated_anew_is_not_pieced_together(scene: Scene) -> None:
    """The catalogue's row of the second attempt is another: nothing of the first version is kept."""
    scene.stage(received_share=0.7)
    await scene.fail(CutTransferError)
    scene.sandbox.replace_catalogue(catalogue_of([generated_series(seed=1, images=IMAGES + 1, rows=64, columns=64)]))
    await scene.list_again()
    receipt = await scene.fetch(1)
    assert not receipt.proof.merged
    assert len(receipt.images) == IMAGES + 1


async def test_a_change_that_nobody_listed_is_seen_before_parts_are_merged(scene: Scene) -> None:
    """The run still holds the old row: the catalogue is asked again, and the next attempt begins anew."""
    scene.stage(received_share=0.7)
    await scene.fail(CutTransferError)
    newer = generated_series(seed=1, images=IMAGES, rows=64, columns=64, submitted_at=datetime(2026, 1, 2, tzinfo=UTC))
    scene.sandbox.replace_catalogue(catalogue_of([newer]))
    error = await scene.fail(IncompleteSeriesError)
    assert "changed" in error.what
    assert scene.staging == []
    assert not (await scene.fetch(1)).proof.merged


async def test_a_series_that_was_withdrawn_meanwhile_is_not_completed(scene: Scene) -> None:
    """Although its images could still be had."""
    scene.stage(received_share=0.7)
    await scene.fail(CutTransferError)
    scene.sandbox.faults.add(Fault(kind=FaultKind.WITHDRAWN, endpoints=("getSeriesMetadata",)))
    await scene.fail(SeriesWithdrawnError)
    assert scene.staging == []


NO_HASHES = [
    pytest.param(Fault(kind=FaultKind.EMPTY, endpoints=EVERY_MD5), id="blank"),
    pytest.param(Fault(kind=FaultKind.STATUS, endpoints=EVERY_MD5, status=404), id="not offered"),
    *(pytest.param(Fault(kind=FaultKind.STATUS, endpoints=EVERY_MD5, status=status), id=str(status)) for status in (401, 403)),
]


@pytest.mark.parametrize("api", ["v4", "v1"])
@pytest.mark.parametrize("fault", NO_HASHES)
async def test_parts_without_hashes_are_not_believed_where_a_list_may_come(tmp_path: Path, api: str, fault: Fault) -> None:
    """A wrong image of a stream that was cut passes by count, size and identity: the whole comes again with its list."""
    async with serve(tmp_path, api=api) as scene:
        scene.sandbox.faults.add(fault)
        scene.stage(received_share=0.5)
        await scene.fail(CutTransferError)
        poison(scene)
        receipt = await scene.fetch(1)
        assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=False, md5_list=True)
        assert scene.sandbox.count("getSingleImage") == 0


@pytest.mark.parametrize("fault", NO_HASHES)
async def test_a_line_that_is_always_cut_never_completes_on_less(tmp_path: Path, fault: Fault) -> None:
    """Between them the streams bring every image, and nothing vouches for those that came before the others."""
    async with serve(tmp_path, api="v1") as scene:
        scene.sandbox.faults.add(fault)
        for share in (0.5, 0.4, 0.6, 0.7, 0.3, 0.8, 0.6, 0.7):
            scene.stage(received_share=share)
        told = [str(await scene.fail(CutTransferError)) for _ in range(8)]
        assert "md5: off accepts them by count and size" in told[-1]


@pytest.mark.parametrize("fault", NO_HASHES)
async def test_parts_need_no_hashes_where_the_archive_has_no_list_either(tmp_path: Path, fault: Fault) -> None:
    """Count, sizes and identity prove them, as they prove a whole ZIP there."""
    async with serve(tmp_path, api="v1") as scene:
        scene.sandbox.faults.add(fault, Fault(kind=FaultKind.STATUS, endpoints=("getImageWithMD5Hash",), status=404))
        for _ in range(2):
            await scene.fail(ArchiveFaultError)
            scene.clock.elapsed_seconds += 2.0
        scene.stage(received_share=0.5)
        await scene.fail(CutTransferError)
        receipt = await scene.fetch(1)
        assert receipt.proof == Proof(size=True, md5_images=0, md5_blank=IMAGES, merged=True, md5_list=False)


async def test_where_the_hash_of_the_series_does_not_fit_those_of_its_images_decide(scene: Scene) -> None:
    """It counts images that the archive hides, and rows without a hash (docs/archives.md#md5s)."""
    scene.sandbox.faults.add(Fault(kind=FaultKind.EMPTY, endpoints=("getMD5Hierarchy",)))
    scene.stage(received_share=0.5)
    receipt = await scene.fetch(2)
    assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=True, md5_list=False)


async def test_parts_of_which_some_hashes_are_blank_are_not_believed(scene: Scene) -> None:
    """The list of a whole ZIP may have them; what it has decides."""
    scene.sandbox.faults.add(Fault(kind=FaultKind.EMPTY, endpoints=("getMD5Hierarchy",)))
    scene.sandbox.faults.add(Fault(kind=FaultKind.EMPTY, endpoints=IMAGE_MD5, times=3, after=1))
    scene.stage(received_share=0.5)
    receipt = await scene.fetch(2)
    assert receipt.proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=False, md5_list=True)


async def test_hashes_that_cannot_be_asked_for_now_cost_an_attempt_and_no_image(scene: Scene) -> None:
    """What came stays; only the proof is made again."""
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    scene.sandbox.faults.add(Fault(kind=FaultKind.STATUS, endpoints=EVERY_MD5, status=500, times=1, after=1))
    await scene.fail(ArchiveFaultError)
    before = scene.sandbox.count("getSingleImage")
    assert (await scene.fetch(1)).proof.md5_images == IMAGES
    assert scene.sandbox.count("getSingleImage") == before


async def test_require_takes_parts_only_with_every_hash(scene: Scene) -> None:
    """One that is blank is not proven; with all of them the parts are as good as a ZIP."""
    scene.md5 = Md5Mode.REQUIRE
    scene.stage(received_share=0.5)
    await scene.fail(CutTransferError)
    scene.sandbox.faults.add(
        Fault(kind=FaultKind.EMPTY, endpoints=("getMD5Hierarchy",), times=1, after=1),
        Fault(kind=FaultKind.EMPTY, endpoints=IMAGE_MD5, times=1),
    )
    await scene.fail(DigestMismatchError)
    assert scene.staging == []
    scene.stage(received_share=0.5)
    assert (await scene.fetch(2)).proof == Proof(size=True, md5_images=IMAGES, md5_blank=0, merged=True, md5_list=False)


async def test_off_asks_for_no_hash(scene: Scene) -> None:
    """Parts or not."""
    scene.md5 = Md5Mode.OFF
    scene.stage(received_share=0.5)
    assert (await scene.fetch(2)).proof == Proof(size=True, md5_images=0, md5_blank=IMAGES, merged=True, md5_list=False)
    assert not any(scene.sandbox.count(endpoint) for endpoint in EVERY_MD5)


async def test_a_series_of_a_lost_claim_is_not_published(scene: Scene) -> None:
    """It is proven, and another worker has it by now: nothing of it reaches the library, and nothing stays in staging."""

    def lose() -> None:
        raise LeaseLostError("attempt 1 no longer holds the lease")

    scene.expect_claim = lose
    await scene.fail(LeaseLostError)
    assert scene.staging == []
    scene.expect_claim = lambda: None
    scene.check((await scene.attempt()).receipt)
