"""Whole ZIPs, and a library that keeps them."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import PurePosixPath

from downloader.archive.nbia.transfers import ZipImages
from downloader.library.port import Library
from downloader.library.sink import Staging
from downloader.model import Portion, Series
from downloader.zipstream import ZipLimits
from tests.library.series_streams import members_of, receipt_of


def zip_of(members: Mapping[str, bytes]) -> bytes:
    """A ZIP with these members, in their order; the same bytes each time."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def take_zip(staging: Staging, content: bytes, *, chunk_bytes: int = 700) -> None:
    """Let `staging` take a ZIP as an attempt does."""
    images = ZipImages(ZipLimits())
    for start in range(0, len(content), chunk_bytes):
        chunk = content[start : start + chunk_bytes]
        staging.take(Portion(events=images.read([chunk]), received_bytes=len(chunk), original=[chunk]))
    images.evidence()


def store_zip(library: Library, series: Series, members: Mapping[str, bytes] | None = None) -> PurePosixPath:
    """Take a whole series into a library that keeps ZIPs; returns its folder."""
    staging = library.begin(series)
    take_zip(staging, zip_of(members_of(series) if members is None else members))
    return staging.commit(replace(receipt_of(series, staging.named_images()), zip=staging.stored_zip())).folder
