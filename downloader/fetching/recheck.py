"""The archive's current information about one series: its row, and the digest of its images."""

from contextlib import aclosing
from dataclasses import replace

import structlog

from downloader.archive.port import Catalogue, DigestSource
from downloader.completeness import series_digests
from downloader.errors import REFUSED_DIGEST, ArchiveFaultError, TransferError
from downloader.model import Md5Mode, Receipt, Series

_NO_DIGEST = (*REFUSED_DIGEST, ArchiveFaultError, TransferError)
_log = structlog.get_logger(__name__)


async def ask_again(series: Series, archive: Catalogue) -> Series | None:
    """The current row of the series, with the count of getSeriesSize if the row has none; None if it is not listed.

    Attributes that the row lacks and another query returned before, such as StudyID (docs/archives.md#series-queries), are kept,
    as in the store.

    Raises:
        ArchiveError: the catalogue cannot be read.
    """
    async with aclosing(archive.find_listed_series([series.series_instance_uid])) as rows:
        async for newest in rows:
            return await _with_count(newest.with_gaps_filled(series), archive)
    return None


async def _with_count(series: Series, archive: Catalogue) -> Series:
    if series.image_count is not None:
        return series
    size = await archive.find_series_size(series.series_instance_uid)
    return replace(series, image_count=size.image_count, file_size_bytes=size.file_size_bytes)


async def receipt_if_unchanged(series: Series, receipt: Receipt, archive: DigestSource, md5: Md5Mode) -> Receipt | None:
    """The receipt with the current row, if the archive's digest of the series matches the receipt's MD5s; otherwise None.

    The digest is over the MD5s of all images of the series, so it matches no other set. One request replaces a download; if the
    archive has no digest, or it does not match, nothing is known (docs/archives.md#md5s).

    Raises:
        ArchiveUnreachableError, ArchiveBusyError: the archive does not answer now.
    """
    if md5 is Md5Mode.OFF:
        return None
    try:
        digest = await archive.find_series_md5(series.series_instance_uid)
    except _NO_DIGEST as refusal:
        _log.info("series digest not available", series_instance_uid=series.series_instance_uid, message=str(refusal))
        return None
    if not digest or digest not in series_digests(image.md5 for image in receipt.images):
        return None
    _log.info("catalogue dates changed, images unchanged", series_instance_uid=series.series_instance_uid)
    return replace(receipt, series=series, proof=replace(receipt.proof, md5_images=len(receipt.images), md5_blank=0))
