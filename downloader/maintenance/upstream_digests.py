"""Compares the images of a series with the archive's digests, without downloading images. Source: docs/archives.md#md5s."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol

from downloader.archive.port import Source
from downloader.completeness import series_digests
from downloader.model import Series
from downloader.transport.retrying import RetryPolicy


class UpstreamStanding(StrEnum):
    """Whether the archive has the same images, other images, or no information."""

    SAME = "same"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamComparison:
    """The result: `sentence` gives the reason unless it is SAME, `matched` how many images match the archive's own MD5."""

    standing: UpstreamStanding
    sentence: str = ""
    matched: int = 0


class HashedImage(Protocol):
    """An image with its MD5."""

    @property
    def sop_instance_uid(self) -> str: ...  # noqa: D102  the DICOM attribute

    @property
    def md5(self) -> str: ...  # noqa: D102  32 lower-case hex digits


async def compare_upstream(
    series_instance_uid: str, images: Sequence[HashedImage], size_bytes: int, archive: Source, retry_policy: RetryPolicy
) -> UpstreamComparison:
    """Compare the digest of the series; without a match, compare the catalogue's count and size, then image by image.

    Raises:
        ArchiveError: the archive does not answer.
    """
    digest = await retry_policy.ask("getMD5Hierarchy", partial(archive.find_series_md5, series_instance_uid))
    if digest and digest in series_digests(image.md5 for image in images):
        return UpstreamComparison(standing=UpstreamStanding.SAME, matched=len(images))
    listed = await retry_policy.ask("getSeries", partial(_find_listed, archive, series_instance_uid))
    if listed is None:
        return UpstreamComparison(standing=UpstreamStanding.UNKNOWN, sentence="the archive does not list the series")
    if listed.image_count is not None and listed.image_count != len(images):
        return _differs(f"the archive lists {listed.image_count} images, the library has {len(images)}")
    if listed.file_size_bytes is not None and listed.file_size_bytes != size_bytes:
        return _differs(f"the archive lists {listed.file_size_bytes} bytes, the library has {size_bytes}")
    return await _compare_images(images, archive, retry_policy)


async def _compare_images(images: Sequence[HashedImage], archive: Source, retry_policy: RetryPolicy) -> UpstreamComparison:
    """The archive's digest of a series includes images without a hash and hidden images: only the single images decide then."""
    matched = 0
    for image in images:
        if not image.sop_instance_uid:
            continue  # no identifiers were read; only the digest of the series could prove it
        md5 = await retry_policy.ask("getMD5HashForImage", partial(archive.find_image_md5, image.sop_instance_uid))
        if not md5:
            continue
        if md5 != image.md5:
            return _differs(f"image {image.sop_instance_uid} has MD5 {image.md5}, the archive has {md5}")
        matched += 1
    if not matched:
        return UpstreamComparison(
            standing=UpstreamStanding.UNKNOWN, sentence="the archive has no MD5 of the series or of its images"
        )
    return UpstreamComparison(standing=UpstreamStanding.SAME, matched=matched)


async def _find_listed(archive: Source, series_instance_uid: str) -> Series | None:
    async with aclosing(archive.find_listed_series([series_instance_uid])) as rows:
        async for row in rows:
            return row
    return None


def _differs(sentence: str) -> UpstreamComparison:
    return UpstreamComparison(standing=UpstreamStanding.DIFFERS, sentence=sentence)
