"""Series that one resolve meets with different figures: in two collections, in two entries, or on two archives.

Taking the last row would fetch such a series in every run. One row is the truth of a resolve, and the user is told.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio.to_thread

from downloader.archive.port import Archive
from downloader.errors import ArchiveError, TransferError
from downloader.library.port import Library
from downloader.model import Series
from downloader.store.port import Store, StoredSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSeries:
    """A series whose rows contradict each other, and what to tell of it."""

    series_instance_uid: str
    sentence: str


@dataclass(slots=True)
class Contradictions:
    """The rows of one resolve that were not taken, by series, each with its archive."""

    _rows: dict[str, list[tuple[str, Series]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, archive: str, rows: Iterable[Series]) -> None:
        """These contradict what the store has taken."""
        for row in rows:
            self._rows[row.series_instance_uid].append((archive, row))

    async def settle(self, store: Store, library: Library, archives: Mapping[str, Archive]) -> list[SettledSeries]:
        """Choose one row for each of the series, and have the store take it.

        Rows of another archive than the one that the series is fetched from are only told. Of the others, the one stands that
        the images in the library were proven against; else the series' own row, if there is exactly one; else the one whose count
        getSeriesSize confirms; else the first.
        """
        settled: list[SettledSeries] = []
        for stored in await store.find_named(list(self._rows)):
            name = stored.series.series_instance_uid
            rows = self._rows[name]
            candidates = [stored.series, *(row for archive, row in rows if archive == stored.archive)]
            chosen = (
                await _choose(stored, candidates, library, archives.get(stored.archive)) if len(candidates) > 1 else stored.series
            )
            if chosen.version.differs_from(stored.series.version):
                await store.update_series(chosen)
            told = [f"{stored.archive}: {_figures(stored.series)}", *(f"{archive}: {_figures(row)}" for archive, row in rows)]
            sentence = f"{name} is listed in different ways ({'; '.join(dict.fromkeys(told))}); {_figures(chosen)} is taken"
            settled.append(SettledSeries(series_instance_uid=name, sentence=sentence))
        self._rows.clear()
        return settled


async def _choose(stored: StoredSeries, candidates: Sequence[Series], library: Library, archive: Archive | None) -> Series:
    for candidate in candidates if stored.folder else ():
        receipt = await anyio.to_thread.run_sync(library.find_receipt, candidate)
        if receipt is not None and not receipt.series.version.differs_from(candidate.version):
            return candidate
    if archive is None:
        return candidates[0]
    try:
        own = list(await archive.find_own_rows([stored.series]))
        if len(own) == 1:
            return own[0].with_gaps_filled(stored.series)
        size = await archive.find_series_size(stored.series.series_instance_uid)
    except (ArchiveError, TransferError):
        return candidates[0]
    return next((one for one in candidates if one.image_count == size.image_count), candidates[0])


def _figures(series: Series) -> str:
    told = [f"{series.image_count} images" if series.image_count is not None else "images not counted"]
    told += [f"{series.file_size_bytes:,} bytes"] if series.file_size_bytes is not None else []
    told += [f"released {series.date_released}"] if series.date_released is not None else []
    told += [f"in {series.collection}"] if series.collection else []
    return ", ".join(told)
