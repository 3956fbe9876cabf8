"""Goes on where an attempt at a series broke off: which images are missing, how they come singly, what proves the whole."""

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
"""Less of a series than this, lost on a broken line, is not worth asking for every image: the line is tried once more."""

INTERRUPTED_SHARE: Final = 0.5
"""How much of a series must be here before its rest is asked for singly, where the line did nothing wrong.

Single images come uncompressed and cost a request each; a ZIP of all of them is about half as large.
"""

LARGEST_IMAGE_BYTES: Final = 32 * 1024**3
"""Twenty times the largest public image and more: without a size in the catalogue, a larger one is refused."""

FAULTS_IN_A_ROW: Final = 3
"""After this number of consecutive failed requests for single images the rest is not requested."""

_REFUSALS: Final = (ArchiveFaultError, UnexpectedReplyError, AccessDeniedError, CredentialsRejectedError)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenSeries:
    """A series whose images are all in staging: what the catalogue says of it, and what proves it."""

    series: Series
    proof: Proof


async def find_missing(attempt: Attempt) -> tuple[str, ...] | None:
    """The images to ask for singly, none where all are here; None where a ZIP of the whole series is the better way.

    The archive's list is taken only where it names as many images as the catalogue counts, all that are here among them: it can
    name images that are never sent, or none at all (docs/archives.md#series-queries).

    Raises:
        ArchiveUnreachableError, ArchiveBusyError: the archive cannot be asked now.
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
    if may_have_list(series, context) and not await _vouches_for_parts(series, listed[0], context):
        return None
    return tuple(sop_instance_uid for sop_instance_uid in listed if sop_instance_uid not in here)


def may_have_list(series: Series, context: AttemptContext) -> bool:
    """Whether a ZIP of the series can be expected to bring an MD5 list, so that parts must not be believed with less."""
    lists = context.archive.md5_lists(series.series_instance_uid)
    return context.md5 is not Md5Mode.OFF and lists in {Md5Lists.UNKNOWN, Md5Lists.SENT}


def is_weaker_than_whole(proven: "ProvenSeries", context: AttemptContext) -> bool:
    """Whether a ZIP of the series would have been proven by more than these parts are."""
    return proven.proof.digests is not Digests.ALL and may_have_list(proven.series, context)


async def _vouches_for_parts(series: Series, sop_instance_uid: str, context: AttemptContext) -> bool:
    """Whether the archive has digests for images that do not come in a ZIP; where it has none, single images are no use.

    Raises:
        ArchiveFaultError, ArchiveUnreachableError, ArchiveBusyError: the archive cannot be asked now.
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
    """Whether what is missing should come image by image, rather than a ZIP of everything once more.

    What is here never comes again singly. So where single images can be had, all bytes received for a series are at most its
    FileSize and what broken streams lost: little streams, a tenth of it together, and the image in flight of one more.
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
    """Ask for each missing image, one after the other; whether all came. False when the archive gives none of them.

    An image that cannot be had does not keep the others from coming.

    Raises:
        ArchiveFaultError: some came, and others did not: what came makes the next attempt shorter.
        ArchiveUnreachableError, ArchiveBusyError: the archive cannot be asked now.
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
    """Prove a series whose images came in parts. The parts are of different times, so the catalogue is asked whether it changed.

    Raises:
        ArchiveError: catalogue or hashes cannot be asked.
        SeriesWithdrawnError: the catalogue no longer lists the series.
        TransferError: the parts are not the series, and nothing of them should be kept.
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
    """The archive's MD5 of the series, and where that does not decide, those of its images."""
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
    """A deployment without this endpoint, or one that guards it, has no MD5 to compare with: the same as a blank one."""
    _log.info("image MD5s not available", series_instance_uid=series.series_instance_uid, message=str(refusal))
