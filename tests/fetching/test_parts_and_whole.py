"""What a whole transfer says of itself: only what its evidence names is published, and no event loop waits for it."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

from downloader.archive.port import Md5Lists, SeriesTransfer
from downloader.completeness import Evidence
from downloader.errors import CutTransferError
from downloader.fetching.attempt import AttemptContext, FetchedSeries, fetch_series
from downloader.library.local.library import LocalLibrary
from downloader.model import Md5Mode, Portion, Series
from tests.archive.transfers import zip_of
from tests.fakes.clock import FakeClock
from tests.fakes.memory_archive import MemoryArchive, MemoryBody
from tests.library.series_streams import SERIES, dicom_file, md5_of

pytestmark = pytest.mark.anyio
UID = SERIES.series_instance_uid
IMAGES = {number: dicom_file(SERIES, number) for number in (1, 2, 3, 4)}
LISTED = replace(SERIES, file_size_bytes=3 * len(IMAGES[1]))


@dataclass(slots=True)
class HalfHashedArchive(MemoryArchive):
    """Has the MD5 of one image, and none of the series: parts prove less than a whole transfer with its list."""

    async def find_image_md5(self, sop_instance_uid: str) -> str:
        """That of the first image only."""
        return md5_of(IMAGES[1]) if sop_instance_uid == f"{UID}.1" else ""

    async def find_series_md5(self, series_instance_uid: str) -> str:
        """None."""
        return ""


@dataclass(slots=True)
class WatchedTransfer:
    """A transfer that notes which threads ask for its evidence."""

    transfer: SeriesTransfer
    threads: list[int]
    brings_digests: bool = True

    def portions(self) -> AsyncIterator[Portion]:
        """Those of the transfer."""
        return self.transfer.portions()

    def evidence(self) -> Evidence:
        """That of the transfer."""
        self.threads.append(threading.get_ident())
        return self.transfer.evidence()


@dataclass(slots=True)
class WatchedArchive(MemoryArchive):
    """Its transfers note which threads ask for their evidence."""

    threads: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def open_series(self, series: Series, md5: Md5Mode) -> AsyncIterator[SeriesTransfer]:
        """The next answer of the series."""
        async with MemoryArchive.open_series(self, series, md5) as transfer:
            yield WatchedTransfer(transfer, self.threads)


def whole_zip(*numbers: int) -> bytes:
    """The ZIP of these images with its MD5 list."""
    images = {f"1-{number}.dcm": IMAGES[number] for number in numbers}
    lines = "".join(f"{name},{md5_of(content)}\n" for name, content in images.items())
    return zip_of({**images, "md5hashes.csv": f"Filename,MD5Hash\n{lines}".encode()})


async def attempt(archive: MemoryArchive, root: Path, listed: Series = LISTED) -> FetchedSeries:
    """One attempt, as of a new process."""
    context = AttemptContext(
        archive=archive,
        library=LocalLibrary(root),
        clock=FakeClock(),
        threads=anyio.CapacityLimiter(1),
        md5=Md5Mode.AUTO,
        listener=lambda _received: None,
    )
    return await fetch_series(listed, context)


async def test_what_came_singly_and_not_in_the_transfer_behind_it_is_not_published(tmp_path: Path) -> None:
    """Also where no earlier attempt left an image: the list proves three images, and three are published."""
    archive = HalfHashedArchive(rows=[LISTED], lists=Md5Lists.SENT)
    archive.images[UID] = {f"{UID}.{number}": IMAGES[number] for number in (1, 2, 3)}
    cut = MemoryBody(pieces=[whole_zip(1, 2, 4)[:100], CutTransferError("the line broke")], md5_list_expected=True)
    archive.answers[UID] = [cut, cut, MemoryBody(pieces=[whole_zip(1, 2, 4)], md5_list_expected=True)]
    for _ in range(2):
        with pytest.raises(CutTransferError):
            await attempt(archive, tmp_path)
    receipt = (await attempt(archive, tmp_path)).receipt
    assert sorted(image.md5 for image in receipt.images) == sorted(md5_of(IMAGES[number]) for number in (1, 2, 4))


async def test_evidence_is_read_in_a_worker_thread(tmp_path: Path) -> None:
    """The MD5 list of the largest series takes half a second to parse, and all transfers share the event loop.

    Where the catalogue has to be asked first, as for this row, it is read once more.
    """
    archive = WatchedArchive(rows=[LISTED])
    outdated = replace(LISTED, file_size_bytes=1)
    archive.answers[UID] = [MemoryBody(pieces=[whole_zip(1, 2, 3)], md5_list_expected=True)]
    await attempt(archive, tmp_path, outdated)
    assert archive.threads
    assert threading.get_ident() not in archive.threads
