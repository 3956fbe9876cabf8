"""One attempt at one series, from the source's transfer to the library. It never tries again and knows no store.

An attempt begins a staging, takes a transfer into it, has the images proven and publishes them with their receipt.
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

    `downloaded` is False where it lay there already. `first_byte_seconds` is how long the archive took to begin its reply; 0
    where nothing was asked.
    """

    receipt: Receipt
    place: SeriesLocation
    downloaded: bool
    first_byte_seconds: float = 0.0


async def fetch_series(series: Series, context: AttemptContext, *, needed_bytes: int = 0) -> FetchedSeries:
    """Fetch, prove and store one series, or leave nothing but whole images in staging for the next attempt.

    A series that has grown since it was listed can look like a bomb: its limits are then those of its newest catalogue row.
    With `needed_bytes`, it is not begun before there is as much room.

    Raises:
        ArchiveError, TransferError: the archive did not give the series, or gave something else.
        LibraryError: the library cannot take it.
    """
    try:
        return await _fetch_listed(series, context, needed_bytes)
    except UnsafeMemberError:
        newest = await _changed_since(series, context.archive)
        if newest is None:
            raise
    return await _fetch_listed(newest, context, needed_bytes)


async def _changed_since(series: Series, archive: Catalogue) -> Series | None:
    """The series' newest row, if it is another version; None if it is not, or is not available."""
    try:
        newest = await ask_again(series, archive)
    except (ArchiveError, TransferError):
        return None
    return newest if newest is not None and newest.version.differs_from(series.version) else None


async def _fetch_listed(series: Series, context: AttemptContext, needed_bytes: int) -> FetchedSeries:
    """One attempt at the series as this row lists it."""
    # each hop to a thread costs more than most of what small series need done there: few do all (docs/decisions/0010)
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
    # what came may be of two versions: it comes once more, to be compared with the row of today
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
    """Fetch a series that lies complete in the library once more, with the archive's MD5 list, and put it in the place of that.

    Whatever goes wrong, what lies there stays, and nothing is left in staging.

    Raises:
        ArchiveError, TransferError: the archive did not give the series with a list, or gave something else.
        LibraryError: the library cannot take it.
    """
    staging = await context.in_thread(_begin, series, context, 0)
    try:
        return await _fetch_whole(Attempt(series=series, staging=staging, context=context), needs_list=True)
    finally:
        with CancelScope(shield=True):
            await context.in_thread(staging.discard)


class _OutdatedRowError(Exception):
    """Images that no digest vouches for fit a row of the catalogue, and the catalogue has another by now. Never leaves here."""

    def __init__(self, newest: Series) -> None:
        super().__init__(newest.series_instance_uid)
        self.newest = newest


def _find_or_begin(series: Series, context: AttemptContext, needed_bytes: int) -> FetchedSeries | Receipt | Staging:
    """The series as it already is in the library, if its receipt is of what the catalogue lists now; else its staging.

    Only its receipt, where that differs in dates alone: the archive's digest may show that the images are the same.
    A run that was killed between the rename and the store's word leaves such a series behind: it needs no download. What else it
    left of the series in staging is removed.
    """
    library: SeriesSink = context.library
    receipt = library.find_receipt(series)
    if receipt is None:
        return _begin(series, context, needed_bytes)
    if receipt.series.version.differs_in_dates_alone_from(series.version):
        return receipt
    if receipt.series.version.differs_from(series.version):
        return _begin(series, context, needed_bytes)
    return _as_it_lies(receipt, series, library)


def _begin(series: Series, context: AttemptContext, needed_bytes: int) -> Staging:
    if needed_bytes:
        context.library.require_room(series, needed_bytes)
    return context.library.begin(series, context.claim_id, has_original=context.archive.capabilities.original_bytes)


def _rewrite(receipt: Receipt, library: SeriesSink) -> FetchedSeries:
    """Note the current row with a series in the library, whose images it means as the one before did."""
    library.rewrite_receipt(library.folder_of(receipt.series), receipt)
    return _as_it_lies(receipt, receipt.series, library)


def _as_it_lies(receipt: Receipt, series: Series, library: SeriesSink) -> FetchedSeries:
    library.drop_staged(series)
    folder = library.folder_of(series)
    library.make_durable(folder)
    place = SeriesLocation(folder=folder, stepped_aside=folder != library.best_folder(series))
    return FetchedSeries(receipt=receipt, place=place, downloaded=False)


async def _run(attempt: Attempt) -> FetchedSeries:
    """Have all images proven and published; what is staged outlives a failure only where it can be believed."""
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
    """Say which series it was, what to do next, and how much room it needs."""
    error.series_instance_uid = error.series_instance_uid or attempt.series.series_instance_uid
    if isinstance(error, BROKEN_LINE) and not attempt.staging.keeps_parts:
        error.next_step = error.next_step or NO_PARTS
    if isinstance(error, NoSpaceError):
        error.received_bytes = attempt.received_bytes
        error.needed_bytes = estimate_bytes(attempt.series, attempt.staging, attempt.received_bytes)


async def _fetch(attempt: Attempt) -> FetchedSeries:
    """Get what is missing singly where that is the better way, else all images in one transfer."""
    series, staging, context = attempt.series, attempt.staging, attempt.context
    missing = await find_missing(attempt)
    if missing is None or not await fetch_singly(attempt, missing):
        try:
            return await _fetch_whole(attempt)
        except BROKEN_TRANSFER as broken:
            images = await context.in_thread(staging.images)
            if not staging.salvage.images or len(images) != series.image_count:
                raise
            # this transfer broke off, but not before it brought what earlier ones had not
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
    """All images in one transfer, which proves itself: what was in staging before and did not come with it is dropped."""
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
        evidence = transfer.evidence()
    proven = await _prove(attempt, evidence)
    return await context.in_thread(_publish_whole, proven, attempt)


def _stage(portion: Portion, transfer: SeriesTransfer, attempt: Attempt) -> FetchedSeries | None:
    """Stage a portion. Behind the last one, publish the series at once if nothing has to be asked first.

    That is so where the images fit the catalogue's row and came with digests. All of it takes one hop to a thread: for a small
    series a hop costs more than most of what is done there (docs/decisions/0010).
    """
    attempt.staging.take(portion)
    if not portion.is_last:
        return None
    evidence, images = transfer.evidence(), attempt.staging.arrived
    try:
        match_catalogue(attempt.series, images)
    except IncompleteSeriesError:
        return None  # the series may have been re-curated: the catalogue is asked again
    proof = prove(attempt.series, images, evidence, md5=attempt.context.md5)
    if not proof.came_with_list:
        return None  # nothing but the row says that these are all: the catalogue is asked whether it still holds
    return _publish_whole(ProvenSeries(series=attempt.series, proof=proof), attempt)


def _publish_whole(proven: ProvenSeries, attempt: Attempt) -> FetchedSeries:
    """Publish what one transfer brought, without what was there before and did not come with it."""
    if attempt.staging.salvage.images:
        attempt.staging.narrow_to(attempt.staging.arrived)
    return _publish(proven, attempt)


def _publish(proven: ProvenSeries, attempt: Attempt) -> FetchedSeries:
    """Put what is proven into the library, with its receipt."""
    staging = attempt.staging
    receipt = make_receipt(
        proven, staging, attempt.context, received_bytes=staging.salvage.received_bytes + attempt.received_bytes
    )
    attempt.context.expect_claim()
    place = staging.commit(receipt)
    return FetchedSeries(receipt=receipt, place=place, downloaded=True, first_byte_seconds=attempt.first_byte_seconds)


def make_receipt(proven: ProvenSeries, staged: StagedSeries, context: AttemptContext, *, received_bytes: int) -> Receipt:
    """The receipt of a series that is proven: the only place where one is made."""
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
    """Prove what a transfer brought, and ask the catalogue again where the row alone cannot decide."""
    series, context, images = attempt.series, attempt.context, attempt.staging.arrived
    confirmed = await _confirm_catalogue(series, images, context.archive)
    proof = prove(confirmed, images, evidence, md5=context.md5)
    if not proof.came_with_list and confirmed is series:
        confirmed = await _confirm_version(series, context.archive)
    return ProvenSeries(series=confirmed, proof=proof)


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
    return isinstance(error, (*BROKEN_TRANSFER, anyio.get_cancelled_exc_class()))


async def _confirm_version(series: Series, archive: Catalogue) -> Series:
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


async def _confirm_catalogue(series: Series, images: tuple[StagedImage, ...], archive: Catalogue) -> Series:
    """The series as the catalogue has it: asked once more when the images differ from it, since it may have been re-curated."""
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
