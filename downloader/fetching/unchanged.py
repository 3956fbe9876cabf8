"""A stored series whose catalogue row tells other dates: the archive's digest can show that its images are the same."""

from dataclasses import replace

import structlog

from downloader.archive.port import Archive
from downloader.completeness import series_digests
from downloader.errors import REFUSED_DIGEST, ArchiveFaultError, TransferError
from downloader.model import Md5Mode, Receipt, Series

_UNTOLD = (*REFUSED_DIGEST, ArchiveFaultError, TransferError)
_log = structlog.get_logger(__name__)


def differs_in_dates_alone(stored: Series, listed: Series) -> bool:
    """Whether the rows tell another date of release or submission, and neither another count nor another size."""
    return stored.version.differs_in_dates_from(listed.version) and not stored.version.differs_in_images_from(listed.version)


async def receipt_if_unchanged(series: Series, receipt: Receipt, archive: Archive, md5: Md5Mode) -> Receipt | None:
    """The receipt with the row of today, where the archive's digest of the series is that of the receipt's MD5s; else None.

    The digest is over the MD5s of all images of the series, so that it fits no other set of them. One request takes the place of
    a download; where the archive has no digest, or it does not fit, nothing is known (docs/archives.md#md5s).

    Raises:
        ArchiveUnreachableError, ArchiveBusyError: the archive cannot be asked now.
    """
    if md5 is Md5Mode.OFF:
        return None
    try:
        digest = await archive.find_series_md5(series.series_instance_uid)
    except _UNTOLD as refusal:
        _log.info("no digest of the series", series_instance_uid=series.series_instance_uid, message=str(refusal))
        return None
    if not digest or digest not in series_digests(image.md5 for image in receipt.images):
        return None
    _log.info("other dates, same images", series_instance_uid=series.series_instance_uid)
    return replace(receipt, series=series, proof=replace(receipt.proof, md5_images=len(receipt.images), md5_blank=0))
