"""One attempt at one series, from the source's transfer to the library. It never retries and does not use the store.

An attempt begins a staging, stages a transfer, proves the images and publishes them with their receipt.
"""

from dataclasses import dataclass
from datetime import UTC
from typing import Final

import anyio
from anyio import CancelScope

from downloader import __version__
from downloader.archive.port import Catalogue, SeriesTransfer
from downloader.completeness import Evidence, match_catalogue, prove
from downloader.errors import (
    BROKEN_LINE,
    BROKEN_TRANSFER,
    ArchiveError,
    IncompleteSeriesError,
    NoSpaceError,
    SeriesWithdrawnError,
    TciadError,
    TransferError,
    UnexpectedReplyError,
    UnsafeMemberError,
)
from downloader.fetching.context import Attempt, AttemptContext
from downloader.fetching.recheck import ask_again, receipt_if_unchanged
from downloader.fetching.resume import ProvenSeries, fetch_singly, find_missing, is_weaker_than_whole, prove_salvaged
from downloader.library.model import SeriesLocation
from downloader.library.sink import SeriesSink, StagedSeries, Staging
from downloader.model import Portion, Receipt, Series, StagedImage

__all__ = ["AttemptContext", "FetchedSeries", "fetch_series", "fetch_with_list", "make_receipt"]

MORE_THAN_CAME: Final = 1.5
NO_PARTS: Final = (
    "a ZIP cannot be resumed and is fetched again from the start; if each attempt breaks off, use output.format: images"
)
WEAK_PARTS: Final = (
    "all images have arrived, but the MD5s of some are only in the list at the end of a whole ZIP; "
    "if each attempt breaks off, md5: off accepts them by count and size"
)
LOOK_IT_UP: Final = "look it up on the archive's site; it may have been withdrawn or renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSeries:
    """A series that is now in the library, in `place`.

    `downloaded` is False if it was there before. `first_byte_seconds` is the time until the archive began its response; 0 without
    a request.
    """

    receipt: Receipt
    place: SeriesLocation
    downloaded: bool
    first_byte_seconds: float = 0.0


async def fetch_series(series: Series, context: AttemptContext, *, needed_bytes: int = 0) -> FetchedSeries:
    """Fetch, prove and store one series; after a failure, only intact images stay in staging for the next attempt.

    A series that has grown since it was listed can exceed its limits: then the limits of its newest catalogue row apply. With
    `needed_bytes`, it starts only if that much space is free.

    Raises:
        ArchiveError, TransferError: the archive did not send the series, or sent something else.
        LibraryError: the library cannot store it.
    """
    try:
        return await _fetch_listed(series, context, needed_bytes)
    except UnsafeMemberError:
        newest = await _changed_since(series, context.archive)
        if newest is None:
            raise
    return await _fetch_listed(newest, context, needed_bytes)


async def _changed_since(series: Series, archive: Catalogue) -> Series | None:
    """The newest row of the series if it has another version; None if not, or if it cannot be read."""
    try:
        newest = await ask_again(series, archive)
    except (ArchiveError, TransferError):
        return None
    return newest if newest is not None and newest.version.differs_from(series.version) else None


async def _fetch_listed(series: Series, context: AttemptContext, needed_bytes: int) -> FetchedSeries:
    """One attempt at the series with this row."""
    # a hop to a thread costs more than most steps of a small series, so few hops do everything (docs/decisions/0010)
    begun = await context.in_thread(_find_or_begin, series, context, needed_bytes)
    if isinstance(begun, Receipt):
        same = await receipt_if_unchanged(series, begun, context.archive, context.md5)
        if same is not None:
            return await context.in_thread(_rewrite, same, context.library)
        begun = await context.in_thread(_begin, series, context, needed_bytes)
    if isinstance(begun, FetchedSeries):
        return begun
    try:
        return await _run(Attempt(series=series, staging=begun, context=context))
    except _OutdatedRowError as outdated:
        newest = outdated.newest
    # the images may be of two versions: fetch once more, and compare them with the current row
    try:
        begun = await context.in_thread(_begin, newest, context, 0)
        return await _run(Attempt(series=newest, staging=begun, context=context))
    except _OutdatedRowError as outdated:
        raise IncompleteSeriesError(
            "the catalogue changed the series twice, and no MD5 list shows which version the received images are",
            series_instance_uid=series.series_instance_uid,
            next_step="it is retried",
        ) from outdated


async def fetch_with_list(series: Series, context: AttemptContext) -> FetchedSeries:
    """Fetch a complete series once more, with the archive's MD5 list, and replace the stored one.

    After any error the stored series stays, and staging is empty.

    Raises:
        ArchiveError, TransferError: the archive did not send the series with a list, or sent something else.
        LibraryError: the library cannot store it.
    """
    staging = await context.in_thread(_begin, series, context, 0)
    try:
        return await _fetch_whole(Attempt(series=series, staging=staging, context=context), needs_list=True)
    finally:
        with CancelScope(shield=True):
            await context.in_thread(staging.discard)


class _OutdatedRowError(Exception):
    """Internal: images without matching digests match their catalogue row, but the catalogue has another row now."""

    def __init__(self, newest: Series) -> None:
        super().__init__(newest.series_instance_uid)
        self.newest = newest


def _find_or_begin(series: Series, context: AttemptContext, needed_bytes: int) -> FetchedSeries | Receipt | Staging:
    """The series in the library, if its receipt has the version that the catalogue lists now; otherwise a new staging.

    Returns only the receipt if just its dates differ: the archive's digest may show that the images are the same. A run that was
    killed between the rename and the update of the store leaves such a series, which needs no download. Its other remains in
    staging are removed.
    """
    library: SeriesSink = context.library
    receipt = library.find_receipt(series)
    if receipt is None:
        return _begin(series, context, needed_bytes)
    if receipt.series.version.differs_in_dates_alone_from(series.version):
        return receipt
    if receipt.series.version.differs_from(series.version):
        return _begin(series, context, needed_bytes)
    return _already_stored(receipt, series, library)


def _begin(series: Series, context: AttemptContext, needed_bytes: int) -> Staging:
    if needed_bytes:
        context.library.require_room(series, needed_bytes)
    return context.library.begin(series, context.claim_id, has_original=context.archive.capabilities.original_bytes)


def _rewrite(receipt: Receipt, library: SeriesSink) -> FetchedSeries:
    """Rewrite the receipt of a stored series with the current row, which describes the same images."""
    library.rewrite_receipt(library.folder_of(receipt.series), receipt)
    return _already_stored(receipt, receipt.series, library)


def _already_stored(receipt: Receipt, series: Series, library: SeriesSink) -> FetchedSeries:
    library.drop_staged(series)
    folder = library.folder_of(series)
    library.make_durable(folder)
    place = SeriesLocation(folder=folder, stepped_aside=folder != library.best_folder(series))
    return FetchedSeries(receipt=receipt, place=place, downloaded=False)


async def _run(attempt: Attempt) -> FetchedSeries:
    """Fetch, prove and publish; after an error, keep the staged images only if they can be trusted."""
    staging = attempt.staging
    try:
        return await _fetch(attempt)
    except BaseException as error:
        if isinstance(error, TciadError):
            _complete_error(error, attempt)
        with CancelScope(shield=True):
            if leaves_images(error):
                line_broke = isinstance(error, BROKEN_LINE)
                await attempt.context.in_thread(staging.keep, received_bytes=attempt.received_bytes, line_broke=line_broke)
            else:
                await attempt.context.in_thread(staging.discard)
        raise


def _complete_error(error: TciadError, attempt: Attempt) -> None:
    """Add the series, the next step, and the needed space to the error."""
    error.series_instance_uid = error.series_instance_uid or attempt.series.series_instance_uid
    if isinstance(error, BROKEN_LINE) and not attempt.staging.keeps_parts:
        error.next_step = error.next_step or NO_PARTS
    if isinstance(error, NoSpaceError):
        error.received_bytes = attempt.received_bytes
        error.needed_bytes = estimate_bytes(attempt.series, attempt.staging, attempt.received_bytes)


async def _fetch(attempt: Attempt) -> FetchedSeries:
    """Fetch missing images singly if that is better, otherwise all images in one transfer."""
    series, staging, context = attempt.series, attempt.staging, attempt.context
    missing = await find_missing(attempt)
    if missing is None or not await fetch_singly(attempt, missing):
        try:
            return await _fetch_whole(attempt)
        except BROKEN_TRANSFER as broken:
            images = await context.in_thread(staging.images)
            if not staging.salvage.images or len(images) != series.image_count:
                raise
            # this transfer was cut, but only after it had sent the missing images
            proven = await prove_salvaged(series, staging, context)
            if is_weaker_than_whole(proven, context):
                broken.next_step = broken.next_step or WEAK_PARTS
                raise
    else:
        proven = await prove_salvaged(series, staging, context)
        if is_weaker_than_whole(proven, context):
            return await _fetch_whole(attempt)
    return await context.in_thread(_publish, proven, attempt)


async def _fetch_whole(attempt: Attempt, *, needs_list: bool = False) -> FetchedSeries:
    """Fetch all images in one transfer, which is proven by itself: previously staged images that are not in it are dropped."""
    series, context = attempt.series, attempt.context
    asked_at = context.clock.monotonic()
    async with context.archive.open_series(series, context.md5) as transfer:
        attempt.first_byte_seconds = context.clock.monotonic() - asked_at
        if needs_list and not transfer.brings_digests:
            raise UnexpectedReplyError("the images have no MD5 list", series_instance_uid=series.series_instance_uid)
        fetched: FetchedSeries | None = None
        async for portion in transfer.portions():
            await attempt.note_received(portion)
            fetched = await context.in_thread(_stage, portion, transfer, attempt)
        if fetched is not None:
            return fetched
        # digests of a large series take the processor for a while
        evidence = await context.in_thread(transfer.evidence)
    proven = await _prove(attempt, evidence)
    return await context.in_thread(_publish_whole, proven, attempt)


def _stage(portion: Portion, transfer: SeriesTransfer, attempt: Attempt) -> FetchedSeries | None:
    """Stage a portion. After the last one, publish the series at once if no request is needed first.

    None is needed if the images match the catalogue row and have digests. Everything is done in one hop to a thread: for a small
    series a hop costs more than most steps (docs/decisions/0010).
    """
    attempt.staging.take(portion)
    if not portion.is_last:
        return None
    evidence, images = transfer.evidence(), attempt.staging.arrived
    try:
        match_catalogue(attempt.series, images)
    except IncompleteSeriesError:
        return None  # the series may have changed: the catalogue is read again
    proof = prove(attempt.series, images, evidence, md5=attempt.context.md5)
    if not proof.came_with_list:
        return None  # only the row proves the number of images: the catalogue is read again
    return _publish_whole(ProvenSeries(series=attempt.series, proof=proof), attempt)


def _publish_whole(proven: ProvenSeries, attempt: Attempt) -> FetchedSeries:
    """Publish the images of one transfer, without staged images of earlier attempts or single requests that are not in it."""
    staging = attempt.staging
    if len(staging.images()) > len(staging.arrived):
        staging.narrow_to(staging.arrived)
    return _publish(proven, attempt)


def _publish(proven: ProvenSeries, attempt: Attempt) -> FetchedSeries:
    """Move a proven series into the library, with its receipt."""
    staging = attempt.staging
    receipt = make_receipt(
        proven, staging, attempt.context, received_bytes=staging.salvage.received_bytes + attempt.received_bytes
    )
    attempt.context.expect_claim()
    place = staging.commit(receipt)
    return FetchedSeries(receipt=receipt, place=place, downloaded=True, first_byte_seconds=attempt.first_byte_seconds)


def make_receipt(proven: ProvenSeries, staged: StagedSeries, context: AttemptContext, *, received_bytes: int) -> Receipt:
    """The receipt of a proven series: the only function that creates receipts."""
    return Receipt(
        series=proven.series,
        archive=context.archive.name,
        generation=context.archive.generation,
        completed_at=context.clock.now().astimezone(UTC),
        tool_version=__version__,
        images=staged.named_images(),
        proof=proven.proof,
        received_bytes=received_bytes,
        zip=staged.stored_zip(),
    )


async def _prove(attempt: Attempt, evidence: Evidence) -> ProvenSeries:
    """Prove the images of a transfer, and read the catalogue again if the row alone cannot decide."""
    series, context, images = attempt.series, attempt.context, attempt.staging.arrived
    confirmed = await _confirm_catalogue(series, images, context.archive)
    proof = await context.in_thread(prove, confirmed, images, evidence, md5=context.md5)
    if not proof.came_with_list and confirmed is series:
        confirmed = await _confirm_version(series, context.archive)
    return ProvenSeries(series=confirmed, proof=proof)


def estimate_bytes(series: Series, staging: Staging, received_bytes: int) -> int:
    """The space that a series needs: the size in the catalogue, otherwise extrapolated from the images received.

    Without a known number of images, 1.5 times the bytes received; each further download in vain increases it.
    """
    if series.file_size_bytes is not None:
        return series.file_size_bytes
    images = staging.images()
    staged_bytes = sum(image.size_bytes for image in images)
    expected_bytes = staged_bytes / len(images) * series.image_count if images and series.image_count else 0.0
    return int(max(expected_bytes, staged_bytes * MORE_THAN_CAME, received_bytes * MORE_THAN_CAME))


def leaves_images(error: BaseException) -> bool:
    """Whether staged images can be trusted after the attempt ended with this error.

    They can after a cut transfer, a fault of the archive, or an interruption. They cannot if the content was wrong: then the next
    attempt starts from scratch.
    """
    if isinstance(error, ArchiveError):
        return not isinstance(error, SeriesWithdrawnError)
    return isinstance(error, (*BROKEN_TRANSFER, anyio.get_cancelled_exc_class()))


async def _confirm_version(series: Series, archive: Catalogue) -> Series:
    """Return the series, whose images have no list and match its row, if the catalogue still has the same row.

    The row may be hours old: a series that grew by one image, and was sent without one, would match it.

    Raises:
        ArchiveError: the catalogue cannot be read.
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


async def _confirm_catalogue(series: Series, images: tuple[StagedImage, ...], archive: Catalogue) -> Series:
    """The series' row; read again if the images do not match, because the series may have changed."""
    try:
        match_catalogue(series, images)
    except IncompleteSeriesError as mismatch:
        newest = await _ask_catalogue(series, archive, mismatch)
        match_catalogue(newest, images)
        return newest
    return series


async def _ask_catalogue(series: Series, archive: Catalogue, mismatch: IncompleteSeriesError) -> Series:
    try:
        newest = await ask_again(series, archive)
    except (ArchiveError, TransferError) as unanswered:
        # the mismatch is the error; the failed catalogue query is only its context
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
