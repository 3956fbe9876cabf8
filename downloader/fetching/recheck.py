"""What the catalogue says now of one series that was listed before."""

from contextlib import aclosing
from dataclasses import replace

from downloader.archive.port import Archive
from downloader.model import Series


async def ask_again(series: Series, archive: Archive) -> Series | None:
    """The series' row as it is now, with the count that getSeriesSize gives where the row has none; None when it is not listed.

    What the row leaves out and another way of asking told before, such as StudyID (docs/archives.md#series-queries), stays, as
    it does in the store.

    Raises:
        ArchiveError: the catalogue cannot be asked.
    """
    async with aclosing(archive.find_listed_series([series.series_instance_uid])) as rows:
        async for newest in rows:
            return await _with_count(newest.with_gaps_filled(series), archive)
    return None


async def _with_count(series: Series, archive: Archive) -> Series:
    if series.image_count is not None:
        return series
    size = await archive.find_series_size(series.series_instance_uid)
    return replace(series, image_count=size.image_count, file_size_bytes=size.file_size_bytes)
