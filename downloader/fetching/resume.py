"""Continues an interrupted attempt: finds the missing images, fetches them singly, and proves the whole series."""

from dataclasses import dataclass, replace
from typing import Final

import structlog

from downloader.archive.port import DigestSource, Md5Lists
from downloader.completeness import prove_merged, series_digests
from downloader.errors import (
    REFUSED_DIGEST,
    AccessDeniedError,
    ArchiveError,
    ArchiveFaultError,
    CredentialsRejectedError,
    IncompleteSeriesError,
    SeriesWithdrawnError,
    TransferError,
    UnexpectedReplyError,
    UnsafeMemberError,
)
from downloader.fetching.context import Attempt, AttemptContext
from downloader.fetching.recheck import ask_again
from downloader.library.sink import Salvage, StagedSeries
from downloader.model import Digests, Md5Mode, Proof, Series, StagedImage

WORTH_SHARE: Final = 0.1
"""If a cut transfer brought a smaller share of a series, the transfer is repeated instead of requesting single images."""

INTERRUPTED_SHARE: Final = 0.5
"""The share of a series that must be staged to request its rest singly, if the connection did not break.

Single images are uncompressed and cost one request each; a ZIP of all of them is about half as large.
"""

LARGEST_IMAGE_BYTES: Final = 32 * 1024**3
"""Size limit of an image without a size in the catalogue: more than twenty times the largest image of the public collections."""

FAULTS_IN_A_ROW: Final = 3
"""After that many consecutive failed images, no more are requested."""

_REFUSALS: Final = (ArchiveFaultError, UnexpectedReplyError, AccessDeniedError, CredentialsRejectedError)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenSeries:
    """A series with all its images in staging: its catalogue row and its proof."""

    series: Series
    proof: Proof


async def find_missing(attempt: Attempt) -> tuple[str, ...] | None:
    """The images to request singly, empty if none is missing; None if a ZIP of the whole series is better.

    The archive's list is used only if it has as many images as the catalogue counts, including all staged ones: it may contain
    images that are never sent, or be empty (docs/archives.md#series-queries).

    Raises:
        ArchiveUnreachableError, ArchiveBusyError: the archive does not answer now.
    """
    series, salvage, context = attempt.series, attempt.staging.salvage, attempt.context
    if not prefers_single_images(series, salvage) or not context.archive.capabilities.single_images:
        return None
    asked_at = context.clock.monotonic()
    try:
        listed = await context.archive.find_sop_instance_uids(series.series_instance_uid)
    except _REFUSALS as refusal:
        _log.info("image list not available", series_instance_uid=series.series_instance_uid, message=str(refusal))
        return None
    attempt.first_byte_seconds = context.clock.monotonic() - asked_at
    here = {image.sop_instance_uid for image in salvage.images}
    if not listed or len(listed) != series.image_count or len(set(listed)) != len(listed) or not here.issubset(listed):
        return None
    if may_have_list(series, context) and not await _has_digests_of_images(series, listed[0], context):
        return None
    return tuple(sop_instance_uid for sop_instance_uid in listed if sop_instance_uid not in here)


def may_have_list(series: Series, context: AttemptContext) -> bool:
    """Whether a ZIP of the series probably has an MD5 list, so that single images need an equal proof."""
    lists = context.archive.md5_lists(series.series_instance_uid)
    return context.md5 is not Md5Mode.OFF and lists in {Md5Lists.UNKNOWN, Md5Lists.SENT}


def is_weaker_than_whole(proven: "ProvenSeries", context: AttemptContext) -> bool:
    """Whether a ZIP of the series would have a stronger proof than the single images."""
    return proven.proof.digests is not Digests.ALL and may_have_list(proven.series, context)


async def _has_digests_of_images(series: Series, sop_instance_uid: str, context: AttemptContext) -> bool:
    """Whether the archive has digests of single images; if not, single images are not used.

    Raises:
        ArchiveFaultError, ArchiveUnreachableError, ArchiveBusyError: the archive does not answer now.
    """
    try:
        return bool(
            await context.archive.find_series_md5(series.series_instance_uid)
            or await context.archive.find_image_md5(sop_instance_uid)
        )
    except REFUSED_DIGEST as refusal:
        _note_no_md5(series, refusal)
        return False


def prefers_single_images(series: Series, salvage: Salvage) -> bool:
    """Whether to request the missing images singly instead of a ZIP of the whole series.

    Staged images are never received again singly. So with single images, all bytes received for a series are at most its FileSize
    and the losses of cut transfers: those of small transfers, a tenth of the FileSize together, and the image in flight of one
    more.
    """
    if series.image_count is None:
        return False
    if len(salvage.images) >= series.image_count * INTERRUPTED_SHARE:
        return True
    if not salvage.broken_streams:
        return False
    staged_bytes = sum(image.size_bytes for image in salvage.images)
    came_bytes = max(salvage.received_bytes, staged_bytes)
    if series.file_size_bytes is not None and came_bytes >= series.file_size_bytes * WORTH_SHARE:
        return True
    return came_bytes > 0 and salvage.broken_streams > 1


async def fetch_singly(attempt: Attempt, missing: tuple[str, ...]) -> bool:
    """Request each missing image in turn; True if all were received, False if none was.

    An image that fails does not prevent requests for the others.

    Raises:
        ArchiveFaultError: some were received and others failed; the next attempt needs only the latter.
        ArchiveUnreachableError, ArchiveBusyError: the archive does not answer now.
    """
    failed: Exception | None = None
    came = faults_in_a_row = 0
    for sop_instance_uid in missing:
        try:
            await _fetch_image(attempt, sop_instance_uid)
        except (*_REFUSALS, TransferError) as fault:
            failed = fault
            faults_in_a_row += 1
            if faults_in_a_row == FAULTS_IN_A_ROW:
                break
        else:
            came += 1
            faults_in_a_row = 0
    if failed is None:
        return True
    if not came:
        _log.info("single images not available", series_instance_uid=attempt.series.series_instance_uid, message=str(failed))
        return False
    raise ArchiveFaultError(
        f"{len(missing) - came} of {len(missing)} images requested one by one were not received; the last error: {failed}",
        next_step="received images are kept, and the rest is retried",
    ) from failed


async def _fetch_image(attempt: Attempt, sop_instance_uid: str) -> None:
    series, context = attempt.series, attempt.context
    limit_bytes = series.file_size_bytes or LARGEST_IMAGE_BYTES
    image_bytes = 0
    asked_at = context.clock.monotonic()
    async with context.archive.open_image(series.series_instance_uid, sop_instance_uid) as transfer:
        attempt.first_byte_seconds = context.clock.monotonic() - asked_at
        async for portion in transfer.portions():
            image_bytes += portion.received_bytes
            await attempt.note_received(portion)
            if image_bytes > limit_bytes:
                raise UnsafeMemberError(f"image {sop_instance_uid} is larger than the whole series can be")
            await context.in_thread(attempt.staging.take, portion)


async def prove_salvaged(series: Series, staging: StagedSeries, context: AttemptContext) -> ProvenSeries:
    """Prove a series whose images arrived at different times, after checking that the catalogue has the same version.

    Raises:
        ArchiveError: catalogue or digests cannot be read.
        SeriesWithdrawnError: the catalogue no longer lists the series.
        TransferError: the images are not the series; none of them may be kept.
    """
    newest = await ask_again(series, context.archive)
    if newest is None:
        raise SeriesWithdrawnError(
            "the archive no longer lists the series",
            series_instance_uid=series.series_instance_uid,
            next_step="look it up on the archive's site; it may have been withdrawn or renamed",
        )
    if series.version.differs_from(newest.version):
        raise IncompleteSeriesError(
            "the archive changed the series while its images were fetched in parts",
            series_instance_uid=series.series_instance_uid,
            next_step="it is fetched again",
        )
    series = _with_figures(series, newest)
    images = await context.in_thread(staging.images)
    series_md5, image_md5s = await _find_md5s(series, images, context)
    proof = prove_merged(series, images, md5=context.md5, series_md5=series_md5, image_md5s=image_md5s)
    return ProvenSeries(series=series, proof=proof)


def _with_figures(series: Series, newest: Series) -> Series:
    return replace(
        series,
        image_count=newest.image_count if series.image_count is None else series.image_count,
        file_size_bytes=newest.file_size_bytes if series.file_size_bytes is None else series.file_size_bytes,
    )


async def _find_md5s(series: Series, images: tuple[StagedImage, ...], context: AttemptContext) -> tuple[str, dict[str, str]]:
    """The archive's MD5 of the series, and if it does not match, those of its images."""
    if context.md5 is Md5Mode.OFF:
        return "", {}
    try:
        series_md5 = await context.archive.find_series_md5(series.series_instance_uid)
    except REFUSED_DIGEST as refusal:
        _note_no_md5(series, refusal)
        series_md5 = ""
    if series_md5 in series_digests(image.md5 for image in images):
        return series_md5, {}
    return series_md5, await _find_image_md5s(series, images, context.archive)


async def _find_image_md5s(series: Series, images: tuple[StagedImage, ...], archive: DigestSource) -> dict[str, str]:
    image_md5s: dict[str, str] = {}
    try:
        for image in images:
            image_md5s[image.sop_instance_uid] = await archive.find_image_md5(image.sop_instance_uid)
    except REFUSED_DIGEST as refusal:
        _note_no_md5(series, refusal)
    return image_md5s


def _note_no_md5(series: Series, refusal: ArchiveError) -> None:
    """Log that the archive lacks or protects the endpoint: this counts like blank MD5s."""
    _log.info("image MD5s not available", series_instance_uid=series.series_instance_uid, message=str(refusal))
