"""One attempt at one series, from the archive's stream to the library. It never tries again and knows no store."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Final

import anyio
from anyio import CancelScope

from downloader import __version__
from downloader.archive.port import Archive, SeriesBody
from downloader.completeness import match_catalogue, prove
from downloader.errors import (
    ArchiveError,
    CorruptZipError,
    CutTransferError,
    IncompleteSeriesError,
    NoSpaceError,
    SeriesWithdrawnError,
    StalledTransferError,
    TciadError,
    TransferError,
    TruncatedZipError,
    UnexpectedReplyError,
    UnsafeMemberError,
)
from downloader.fetching.context import Bench, Intake
from downloader.fetching.recheck import ask_again
from downloader.fetching.resume import ProvenSeries, fetch_singly, find_missing, is_weaker_than_whole, prove_salvaged
from downloader.fetching.small_series import StoredSeries, WholeSeries, limits_for, store_whole
from downloader.fetching.unchanged import differs_in_dates_alone, receipt_if_unchanged
from downloader.library.model import SeriesLocation
from downloader.library.port import Library
from downloader.library.sink import Salvage, Staging
from downloader.model import Receipt, Series, StagedSeries
from downloader.zipstream import ZipReader

__all__ = ["Bench", "FetchedSeries", "fetch_series"]

NOTHING_SALVAGED: Final = Salvage()

MORE_THAN_CAME: Final = 1.5
NO_PARTS: Final = "a ZIP cannot be continued and begins anew; if it breaks off each time, use output.format images"
WEAK_PARTS: Final = (
    "all images are here, and the archive has no MD5 of some but in the list that ends a whole ZIP; "
    "if it breaks off each time, md5: off takes them by count and size"
)
LOOK_IT_UP: Final = "look it up on the archive's site; it may have been withdrawn or renamed"
LINE_BROKE: Final = (CutTransferError, StalledTransferError, TruncatedZipError)
BROKEN_STREAM: Final = (*LINE_BROKE, CorruptZipError)
"""How a ZIP breaks off. What it brought before passed CRC-32 and size, and may be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSeries:
    """A series that is now in the library, in `place`.

    `downloaded` is False where it lay there already. `first_byte_seconds` is how long the archive took to begin its reply; 0
    where nothing was asked.
    """

    receipt: Receipt
    place: SeriesLocation
    downloaded: bool
    first_byte_seconds: float = 0.0


async def fetch_series(series: Series, bench: Bench, *, needed_bytes: int = 0) -> FetchedSeries:
    """Fetch, prove and store one series, or leave nothing but whole images in staging for the next attempt.

    A series that has grown since it was listed can look like a bomb: its limits are then those of its newest catalogue row.
    With `needed_bytes`, it is not begun before there is as much room.

    Raises:
        ArchiveError, TransferError: the archive did not give the series, or gave something else.
        LibraryError: the library cannot take it.
    """
    try:
        return await _fetch_listed(series, bench, needed_bytes)
    except UnsafeMemberError:
        newest = await _changed_since(series, bench.archive)
        if newest is None:
            raise
    return await _fetch_listed(newest, bench, needed_bytes)


async def _changed_since(series: Series, archive: Archive) -> Series | None:
    """The series' newest row, where it tells of another version; None where it does not, or cannot be had."""
    try:
        newest = await ask_again(series, archive)
    except (ArchiveError, TransferError):
        return None
    return newest if newest is not None and newest.version.differs_from(series.version) else None


async def _fetch_listed(series: Series, bench: Bench, needed_bytes: int) -> FetchedSeries:
    """One attempt at the series as this row lists it."""
    # each hop to a thread costs more than most of what small series need done there: few do all (docs/decisions/0010)
    begun = await bench.in_thread(_find_or_begin, series, bench.library, needed_bytes)
    if isinstance(begun, Receipt):
        same = await receipt_if_unchanged(series, begun, bench.archive, bench.md5)
        if same is not None:
            return await bench.in_thread(_rewrite, same, bench.library)
        begun = await bench.in_thread(_begin, series, bench.library, needed_bytes)
    if isinstance(begun, FetchedSeries):
        return begun
    try:
        return await _attempt(series, begun, bench)
    except _OutdatedRowError as outdated:
        newest = outdated.newest
    # what came may be of two versions: it comes once more, to be compared with the row of today
    try:
        return await _attempt(newest, await bench.in_thread(bench.library.begin, newest), bench)
    except _OutdatedRowError as outdated:
        raise IncompleteSeriesError(
            "the catalogue changed the series twice, and no MD5 list tells of which version the images are that came",
            series_instance_uid=series.series_instance_uid,
            next_step="it is tried again",
        ) from outdated


async def fetch_with_list(series: Series, bench: Bench) -> FetchedSeries:
    """Fetch a series that lies complete in the library once more, with the archive's MD5 list, and put it in the place of that.

    Whatever goes wrong, what lies there stays, and nothing is left in staging.

    Raises:
        ArchiveError, TransferError: the archive did not give the series with a list, or gave something else.
        LibraryError: the library cannot take it.
    """
    staging = await bench.in_thread(bench.library.begin, series)
    try:
        return await _stream(series, staging, Intake(series.series_instance_uid, bench), bench, needs_list=True)
    finally:
        with CancelScope(shield=True):
            await bench.in_thread(staging.discard)


class _OutdatedRowError(Exception):
    """Images that no digest vouches for fit a row of the catalogue, and the catalogue has another by now. Never leaves here."""

    def __init__(self, newest: Series) -> None:
        super().__init__(newest.series_instance_uid)
        self.newest = newest


async def _attempt(series: Series, begun: Staging, bench: Bench) -> FetchedSeries:
    intake = Intake(series.series_instance_uid, bench)
    async with _kept_if_good(series, begun, intake, bench) as staging:
        return await _bring(series, staging, intake, bench)


def _find_or_begin(series: Series, library: Library, needed_bytes: int) -> FetchedSeries | Receipt | Staging:
    """The series as it already lies in the library, if its receipt is of what the catalogue lists now; else its staging.

    Only its receipt, where that differs in dates alone: the archive's digest may show that the images are the same.
    A run that was killed between the rename and the store's word leaves such a series behind: it needs no download. What else it
    left of the series in staging is removed.
    """
    receipt = library.find_receipt(series)
    if receipt is None:
        return _begin(series, library, needed_bytes)
    if differs_in_dates_alone(receipt.series, series):
        return receipt
    if receipt.series.version.differs_from(series.version):
        return _begin(series, library, needed_bytes)
    return _as_it_lies(receipt, series, library)


def _begin(series: Series, library: Library, needed_bytes: int) -> Staging:
    if needed_bytes:
        library.require_room(series, needed_bytes)
    return library.begin(series)


def _rewrite(receipt: Receipt, library: Library) -> FetchedSeries:
    """Note the row of today with a series that lies in the library, whose images it means as the one before did."""
    library.rewrite_receipt(library.folder_of(receipt.series), receipt)
    return _as_it_lies(receipt, receipt.series, library)


def _as_it_lies(receipt: Receipt, series: Series, library: Library) -> FetchedSeries:
    library.drop_staged(series)
    folder = library.folder_of(series)
    library.make_durable(folder)
    place = SeriesLocation(folder=folder, stepped_aside=folder != library.best_folder(series))
    return FetchedSeries(receipt=receipt, place=place, downloaded=False)


def _store(proven: ProvenSeries, staging: Staging, intake: Intake, bench: Bench) -> FetchedSeries:
    """Put what is proven into the library, with its receipt."""
    receipt = Receipt(
        series=proven.series,
        archive=bench.archive.name,
        generation=bench.archive.generation,
        completed_at=bench.clock.now().astimezone(UTC),
        tool_version=__version__,
        images=staging.named_images(),
        proof=proven.proof,
        received_bytes=staging.salvage.received_bytes + intake.received_bytes,
        zip=staging.stored_zip(),
    )
    return _fetched(StoredSeries(receipt=receipt, place=staging.commit(receipt)), intake)


@asynccontextmanager
async def _kept_if_good(series: Series, staging: Staging, intake: Intake, bench: Bench) -> AsyncIterator[Staging]:
    """Staging that outlives a failed attempt only where its images can be believed."""
    try:
        yield staging
    except BaseException as error:
        if isinstance(error, TciadError):
            error.series_instance_uid = error.series_instance_uid or series.series_instance_uid
            if isinstance(error, LINE_BROKE) and not staging.keeps_parts:
                error.next_step = error.next_step or NO_PARTS
            if isinstance(error, NoSpaceError):
                error.received_bytes = intake.received_bytes
                error.needed_bytes = estimate_bytes(series, staging, intake.received_bytes)
        with CancelScope(shield=True):
            if leaves_images(error):
                line_broke = isinstance(error, LINE_BROKE)
                await bench.in_thread(staging.keep, received_bytes=intake.received_bytes, line_broke=line_broke)
            else:
                await bench.in_thread(staging.discard)
        raise


def estimate_bytes(series: Series, staging: Staging, received_bytes: int) -> int:
    """How much room a series needs that found none: what the catalogue says, or else what the images that came let expect.

    Where not even their number is known, half as much again as came; each download in vain makes that more.
    """
    if series.file_size_bytes is not None:
        return series.file_size_bytes
    images = staging.images()
    staged_bytes = sum(image.size_bytes for image in images)
    expected_bytes = staged_bytes / len(images) * series.image_count if images and series.image_count else 0.0
    return int(max(expected_bytes, staged_bytes * MORE_THAN_CAME, received_bytes * MORE_THAN_CAME))


def leaves_images(error: BaseException) -> bool:
    """Whether what an attempt staged is still good after it ended with this.

    It is when the line broke, the archive failed, or the run was interrupted. It is not when what came was wrong: then nothing
    of it is believed, and the next attempt begins anew.
    """
    if isinstance(error, ArchiveError):
        return not isinstance(error, SeriesWithdrawnError)
    return isinstance(error, (*BROKEN_STREAM, anyio.get_cancelled_exc_class()))


async def _bring(series: Series, staging: Staging, intake: Intake, bench: Bench) -> FetchedSeries:
    """Have all images proven and stored: those that were there and the missing ones singly, or all in one ZIP."""
    missing = await find_missing(series, staging, intake, bench)
    if missing is None or not await fetch_singly(series, missing, staging, intake, bench):
        try:
            return await _stream(series, staging, intake, bench)
        except BROKEN_STREAM as broken:
            images = await bench.in_thread(staging.images)
            if not staging.salvage.images or len(images) != series.image_count:
                raise
            # this ZIP broke off, but not before it brought what earlier ones had not
            proven = await prove_salvaged(series, staging, bench)
            if is_weaker_than_whole(proven, bench):
                broken.next_step = broken.next_step or WEAK_PARTS
                raise
    else:
        proven = await prove_salvaged(series, staging, bench)
        if is_weaker_than_whole(proven, bench):
            return await _stream(series, staging, intake, bench)
    return await bench.in_thread(_store, proven, staging, intake, bench)


async def _stream(series: Series, staging: Staging, intake: Intake, bench: Bench, *, needs_list: bool = False) -> FetchedSeries:
    """All images in one ZIP, which proves itself: what was in staging before and did not come with it is dropped."""
    asked_at = bench.clock.monotonic()
    async with bench.archive.open_series(series, bench.md5) as body:
        intake.first_byte_seconds = bench.clock.monotonic() - asked_at
        if needs_list and not body.md5_list_expected:
            raise UnexpectedReplyError("no MD5 list comes with the images", series_instance_uid=series.series_instance_uid)
        stored = await _receive(series, body, staging, intake, bench)
    if stored is not None:
        return stored
    staged = staging.contents()
    proven = await _prove(series, staged, body, bench)
    if staging.salvage.images:
        await bench.in_thread(staging.narrow_to, staged.images)
    return await bench.in_thread(_store, proven, staging, intake, bench)


async def _prove(series: Series, staged: StagedSeries, body: SeriesBody, bench: Bench) -> ProvenSeries:
    if body.md5_list_expected and staged.md5_list is not None and staged.images:
        body.note_md5_list()
    confirmed = await _confirm_catalogue(series, staged, bench.archive)
    proof = prove(
        confirmed,
        staged,
        md5=bench.md5,
        md5_list_expected=body.md5_list_expected,
        announced_images=body.announced_images,
    )
    if not proof.came_with_list and confirmed is series:
        confirmed = await _confirm_version(series, bench.archive)
    return ProvenSeries(series=confirmed, proof=proof)


async def _confirm_version(series: Series, archive: Archive) -> Series:
    """The series, whose images came without a list and fit its row, once the catalogue has shown that the row still holds.

    The row may be hours old. A series that grew by an image since and was sent short by one fits it.

    Raises:
        ArchiveError: the catalogue cannot be asked.
        SeriesWithdrawnError: it no longer lists the series.
        _OutdatedRowError: it lists another version.
    """
    newest = await ask_again(series, archive)
    if newest is None:
        raise SeriesWithdrawnError(
            "the archive no longer lists the series", series_instance_uid=series.series_instance_uid, next_step=LOOK_IT_UP
        )
    if series.version.differs_from(newest.version):
        raise _OutdatedRowError(newest)
    return series


async def _receive(series: Series, body: SeriesBody, staging: Staging, intake: Intake, bench: Bench) -> FetchedSeries | None:
    """Stream the body through the ZIP reader into staging; rules 1 and 2 hold when this returns.

    A small series that came whole and proves itself at once, by its MD5 list, is stored at once, and returned.
    """
    reader = ZipReader(limits_for(series))
    async for batch in body.batches():
        is_first = not intake.received_bytes
        await intake.count(batch, staging.images_written)
        if is_first and body.has_ended and body.md5_list_expected and staging.salvage == NOTHING_SALVAGED:
            stored = await bench.in_thread(store_whole, _whole(series, batch, body, bench), bench.library)
            if stored is not None:
                if stored.receipt.proof.came_with_list:
                    body.note_md5_list()
                return _fetched(stored, intake)
        await bench.in_thread(_take_batch, reader, staging, batch)
    reader.finish()
    return None


def _whole(series: Series, batch: Sequence[bytes], body: SeriesBody, bench: Bench) -> WholeSeries:
    return WholeSeries(
        series=series,
        chunks=batch,
        md5=bench.md5,
        md5_list_expected=body.md5_list_expected,
        announced_images=body.announced_images,
        archive=bench.archive.name,
        generation=bench.archive.generation,
        completed_at=bench.clock.now().astimezone(UTC),
    )


def _fetched(stored: StoredSeries, intake: Intake) -> FetchedSeries:
    return FetchedSeries(
        receipt=stored.receipt, place=stored.place, downloaded=True, first_byte_seconds=intake.first_byte_seconds
    )


def _take_batch(reader: ZipReader, staging: Staging, batch: Sequence[bytes]) -> None:
    for chunk in batch:
        staging.receive(chunk)
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
        newest = await ask_again(series, archive)
    except (ArchiveError, TransferError) as unanswered:
        # the mismatch is what went wrong; that the catalogue could not be asked either is only its circumstance
        raise mismatch from unanswered
    if newest is not None:
        return newest
    if series.image_count is None:
        raise mismatch
    raise SeriesWithdrawnError(
        f"{mismatch.what}, and the archive no longer lists the series",
        series_instance_uid=series.series_instance_uid,
        next_step=LOOK_IT_UP,
    ) from mismatch
