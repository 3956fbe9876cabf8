"""Faults that rarely pass: no single answer ends a series, and a lasting one ends it soon, with what is wrong."""

import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from downloader.errors import (
    AccessDeniedError,
    ArchiveError,
    AttemptsExhaustedError,
    CutTransferError,
    NotDicomError,
    SeriesWithdrawnError,
    TciadError,
    TransferError,
    UnexpectedReplyError,
    UnsafeMemberError,
    Verdict,
    WrongSeriesError,
)
from downloader.library.local.library import LocalLibrary
from downloader.model import Series, SeriesFailed, SeriesSetBack, SeriesState
from tests.fakes.clock import turning_clock
from tests.fakes.memory_archive import MemoryBody
from tests.library.series_streams import dicom_file, receipts_of
from tests.scheduling.test_scheduler import Scene, listed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with turning_clock() as clock:
        yield Scene(clock=clock, library=LocalLibrary(tmp_path))


def zip_of_images(images: Sequence[bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, image in enumerate(images, start=1):
            archive.writestr(f"1-{number:02d}.dcm", image)
    return content.getvalue()


def large_image(series: Series, number: int) -> bytes:
    """An image of more bytes than the margin of the limits, that are soon packed."""
    small = dicom_file(series, number)
    # PixelData is the last element: its length stands before it (PS3.5 §7.1.2)
    pixels_at = len(small) - 512
    pixel_bytes = 70 * 1024 * 1024
    return small[: pixels_at - 4] + pixel_bytes.to_bytes(4, "little") + bytes(pixel_bytes)


def subclasses_of(*roots: type[TciadError]) -> list[type[TciadError]]:
    """These errors and all below them."""
    below = [found for root in roots for found in root.__subclasses__()]
    return [*roots, *(subclasses_of(*below) if below else [])]


RARELY_PASSING = [
    UnexpectedReplyError("not NBIA"),
    AccessDeniedError("private"),
    SeriesWithdrawnError("not listed"),
    UnsafeMemberError("a bomb"),
]


@pytest.mark.parametrize("error", RARELY_PASSING)
async def test_what_rarely_passes_is_given_up_early(scene: Scene, error: TciadError) -> None:
    """After three attempts, whatever the policy allows for other faults."""
    scene.attempts = 6
    scene.refuse(listed(1), error)
    await scene.drain()
    (failed,) = scene.seen(SeriesFailed)
    assert isinstance(failed, SeriesFailed)
    assert failed.failure.attempts == 3


@pytest.mark.parametrize(
    "error", [*RARELY_PASSING, CutTransferError("cut"), WrongSeriesError("another's"), NotDicomError("text")]
)
async def test_no_single_answer_ends_a_series(scene: Scene, error: TciadError) -> None:
    """Whatever the archive says once, the series is asked for again."""
    scene.offer(listed(1), error)
    await scene.drain()
    assert await scene.states() == {"1": SeriesState.COMPLETE}
    assert [event.attempt for event in scene.seen(SeriesSetBack)] == [1]


@pytest.mark.parametrize("error", subclasses_of(ArchiveError, TransferError), ids=lambda error: error.__name__)
def test_no_error_of_an_archive_is_final_at_once(error: type[TciadError]) -> None:
    """Of those that an attempt meets; that no attempt is left is no answer of the archive."""
    assert (error.verdict is Verdict.GIVE_UP) == (error is AttemptsExhaustedError)


async def test_a_series_that_grew_beyond_its_limits_completes_in_the_same_run(scene: Scene) -> None:
    """It was listed small, and sends far more than the margin allows: the catalogue is asked again before it is called a bomb."""
    images = [large_image(listed(1), number) for number in (1, 2)]
    grown = replace(listed(1), image_count=2, file_size_bytes=sum(map(len, images)))
    scene.archive.answers[grown.series_instance_uid] = [MemoryBody(pieces=[zip_of_images(images)])]
    scene.archive.rows = [replace(grown, image_count=1, file_size_bytes=len(images[0]))]
    resolve = await scene.store.begin_resolve("m", scene.clock.now())
    await scene.store.enqueue("m", resolve, "memory", scene.archive.rows)
    scene.archive.rows = [grown]
    await scene.scheduler().drain("m")
    (receipt,) = [receipt for _, receipt in await receipts_of(scene.library)]
    assert (len(receipt.images), receipt.series.version) == (2, grown.version)
    assert scene.seen(SeriesSetBack) == []


async def test_a_bomb_that_the_catalogue_does_not_vouch_for_ends_as_one(scene: Scene) -> None:
    """The newest row is the one that is known: three attempts, and the reason."""
    images = [large_image(listed(1), number) for number in (1, 2)]
    scene.archive.rows = [replace(listed(1), image_count=1, file_size_bytes=1_000)]
    scene.archive.answers[listed(1).series_instance_uid] = [MemoryBody(pieces=[zip_of_images(images)])]
    await scene.drain()
    (failure,) = await scene.store.failures("m")
    assert (failure.error, failure.attempts) == ("UnsafeMemberError", 3)
