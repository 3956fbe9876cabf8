"""A small series whose ZIP has come whole: taken, proven and stored in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from downloader import __version__
from downloader.completeness import prove
from downloader.errors import ArchiveError, TransferError
from downloader.library.model import SeriesLocation
from downloader.library.port import Library
from downloader.library.sink import HeldStaging
from downloader.model import Md5Mode, Receipt, Series
from downloader.zipstream import ZipLimits, ZipReader

_MARGIN = 1.1
_MARGIN_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSeries:
    """All that came of a series, and what its receipt is to say.

    `chunks` are the ZIP; `md5_list_expected` and `announced_images` are what the reply's headers and its request make one expect.
    """

    series: Series
    chunks: Sequence[bytes]
    md5: Md5Mode
    md5_list_expected: bool
    announced_images: int | None
    archive: str
    generation: str
    completed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """A series that is in the library now."""

    receipt: Receipt
    place: SeriesLocation


def store_whole(whole: WholeSeries, library: Library) -> StoredSeries | None:
    """Store the series if it proves itself; None, and nothing done, where it does not, or is too large to be held.

    What is wrong is for an ordinary attempt to find: that one keeps what can be kept, and asks the catalogue again.

    Raises:
        LibraryError: the library cannot take it.
    """
    held = library.hold(whole.series)
    if held is None:
        return None
    try:
        receipt = _proven(whole, held)
    except (TransferError, ArchiveError):
        return None
    return StoredSeries(receipt=receipt, place=held.commit(receipt))


def _proven(whole: WholeSeries, held: HeldStaging) -> Receipt:
    reader = ZipReader(held.limits)
    for chunk in whole.chunks:
        for event in reader.feed(chunk):
            held.take(event)
    reader.finish()
    proof = prove(
        whole.series,
        held.contents(),
        md5=whole.md5,
        md5_list_expected=whole.md5_list_expected,
        announced_images=whole.announced_images,
    )
    return Receipt(
        series=whole.series,
        archive=whole.archive,
        generation=whole.generation,
        completed_at=whole.completed_at,
        tool_version=__version__,
        images=held.named_images(),
        proof=proof,
        received_bytes=sum(map(len, whole.chunks)),
    )


def limits_for(series: Series) -> ZipLimits:
    """How much a ZIP of this series may hold: what the catalogue says with a margin for lists and a re-curation under way."""
    limits = ZipLimits()
    member_count = limits.member_count if series.image_count is None else int(series.image_count * _MARGIN) + 1_000
    total_bytes = limits.total_bytes if series.file_size_bytes is None else int(series.file_size_bytes * _MARGIN) + _MARGIN_BYTES
    return ZipLimits(
        member_count=min(member_count, limits.member_count),
        member_bytes=min(total_bytes, limits.member_bytes),
        total_bytes=min(total_bytes, limits.total_bytes),
    )
