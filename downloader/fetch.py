"""One attempt at one series, from the archive's stream to the library. It never tries again and knows no store."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial
from pathlib import PurePosixPath
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
from anyio import CancelScope, CapacityLimiter

from downloader import __version__
from downloader.archive.port import Archive, SeriesBody
from downloader.clock import Clock
from downloader.completeness import match_catalogue, prove
from downloader.errors import ArchiveError, IncompleteSeriesError, SeriesWithdrawnError, TciadError
from downloader.library.port import Library, Staging
from downloader.model import BytesReceived, Md5Mode, Receipt, Series, StagedSeries
from downloader.zipstream import ZipLimits, ZipReader

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every attempt works with.

    `threads` bounds how many attempts use the processor at once; `throttle` is told how many bytes came in and may take its time.
    """

    archive: Archive
    library: Library
    clock: Clock
    threads: CapacityLimiter
    md5: Md5Mode
    throttle: Callable[[int], float]
    listener: Callable[[BytesReceived], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSeries:
    """A series that is now in the library, in `folder` relative to it.

    `first_byte_seconds` is how long the archive took to begin its reply; 0 where nothing was asked.
    """

    receipt: Receipt
    folder: PurePosixPath
    first_byte_seconds: float = 0.0


async def find_stored(series: Series, bench: Bench) -> FetchedSeries | None:
    """The series as it already lies in the library, if its receipt is of what the catalogue lists now.

    A run that was killed between the rename and the store's word leaves such a series behind: it needs no download.
    """
    receipt = await _in_thread(bench, bench.library.find_receipt, series)
    if receipt is None or not describes_same_content(receipt.series, series):
        return None
    folder = await _in_thread(bench, bench.library.folder_of, series)
    return FetchedSeries(receipt=receipt, folder=folder)


def describes_same_content(stored: Series, listed: Series) -> bool:
    """Whether two catalogue rows of a series tell of the same images: every figure that both give is equal (ARCHIVE §3.3)."""
    pairs = (
        (stored.image_count, listed.image_count),
        (stored.file_size_bytes, listed.file_size_bytes),
        (stored.date_released, listed.date_released),
        (stored.submitted_at, listed.submitted_at),
    )
    return all(before is None or now is None or before == now for before, now in pairs)


async def fetch_series(series: Series, bench: Bench) -> FetchedSeries:
    """Fetch, prove and store one series, or leave no trace.

    Raises:
        ArchiveError, TransferError: the archive did not give the series, or gave something else.
        LibraryError: the library cannot take it.
    """
    staging = await _in_thread(bench, bench.library.begin, series)
    asked = bench.clock.monotonic()
    try:
        async with bench.archive.open_series(series, bench.md5) as body:
            first_byte_seconds = bench.clock.monotonic() - asked
            received_bytes = await _receive(series, body, staging, bench)
        staged = await _in_thread(bench, staging.contents)
        series = await _confirm_catalogue(series, staged, bench.archive)
        proof = prove(series, staged, md5=bench.md5, md5_list_expected=body.md5_list_expected)
        receipt = Receipt(
            series=series,
            archive=bench.archive.name,
            generation=bench.archive.generation,
            completed_at=bench.clock.now().astimezone(UTC),
            tool_version=__version__,
            images=await _in_thread(bench, staging.named_images),
            proof=proof,
            received_bytes=received_bytes,
        )
        folder = await _in_thread(bench, staging.commit, receipt)
    except TciadError as error:
        error.series_instance_uid = error.series_instance_uid or series.series_instance_uid
        raise
    finally:
        with CancelScope(shield=True):
            await _in_thread(bench, staging.discard)
    return FetchedSeries(receipt=receipt, folder=folder, first_byte_seconds=first_byte_seconds)


async def _receive(series: Series, body: SeriesBody, staging: Staging, bench: Bench) -> int:
    """Stream the body through the ZIP reader into staging; rules 1 and 2 hold when this returns. Gives the bytes received."""
    reader = ZipReader(limits_for(series))
    received_bytes = 0
    async for batch in body.batches():
        await _in_thread(bench, _take_batch, reader, staging, batch)
        batch_bytes = sum(map(len, batch))
        received_bytes += batch_bytes
        bench.listener(
            BytesReceived(
                series_instance_uid=series.series_instance_uid,
                received_bytes=batch_bytes,
                images=staging.images_written,
            )
        )
        pause_seconds = bench.throttle(batch_bytes)
        if pause_seconds > 0:
            await bench.clock.sleep(pause_seconds)
    await _in_thread(bench, reader.finish)
    return received_bytes


def _take_batch(reader: ZipReader, staging: Staging, batch: Sequence[bytes]) -> None:
    for chunk in batch:
        for event in reader.feed(chunk):
            staging.take(event)


async def _confirm_catalogue(series: Series, staged: StagedSeries, archive: Archive) -> Series:
    """The series as the catalogue has it: asked once more when the images differ from it, since it may have been re-curated."""
    try:
        match_catalogue(series, staged.images)
    except IncompleteSeriesError as mismatch:
        newest = await _ask_catalogue(series, archive, mismatch)
        match_catalogue(newest, staged.images)
        return newest
    return series


async def _ask_catalogue(series: Series, archive: Archive, mismatch: IncompleteSeriesError) -> Series:
    try:
        async with aclosing(archive.find_listed_series([series.series_instance_uid])) as rows:
            async for newest in rows:
                return await _with_count(newest, archive)
    except ArchiveError as unanswered:
        # the mismatch is what went wrong; that the catalogue could not be asked either is only its circumstance
        raise mismatch from unanswered
    if series.image_count is None:
        raise mismatch
    raise SeriesWithdrawnError(
        f"{mismatch.what}, and the archive no longer lists the series",
        series_instance_uid=series.series_instance_uid,
        next_step="look it up on the archive's site; it may have been withdrawn or renamed",
    ) from mismatch


async def _with_count(series: Series, archive: Archive) -> Series:
    """The series with the count that getSeriesSize gives, where its catalogue row has none."""
    if series.image_count is not None:
        return series
    size = await archive.find_series_size(series.series_instance_uid)
    return replace(series, image_count=size.image_count, file_size_bytes=size.file_size_bytes)


_MARGIN = 1.1
_MARGIN_BYTES = 64 * 1024 * 1024


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


async def _in_thread(
    bench: Bench,
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=bench.threads)
