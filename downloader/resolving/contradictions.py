"""Series with contradictory rows in one resolve: from two collections, two entries, or two archives.

If the last row were used, such a series would be fetched in every run. So one row is chosen per resolve, and the user is warned.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from downloader.archive.port import Catalogue
from downloader.errors import ArchiveError, TransferError
from downloader.library.port import SeriesFinder
from downloader.model import Series
from downloader.store.port import FolderIndex
from downloader.store.records import StoredSeries

_log = structlog.get_logger(__name__)

AskOwnRows = Callable[[str, Sequence[Series]], Awaitable[Sequence[Series]]]
"""Returns the rows that the archive of that name gives for single series; raises ArchiveError or TransferError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSeries:
    """The row that was chosen for a series with contradictory rows, and the warning about it.

    `is_taken`: the store has this row already. `is_kept`: the images in the library were proven against it. `is_proven`: the
    archive confirmed it. `sentence` is empty if only a rejected list differs.
    """

    archive: str
    chosen: Series
    sentence: str
    is_taken: bool
    is_kept: bool
    is_proven: bool


@dataclass(frozen=True, slots=True)
class _Row:
    archive: str
    series: Series
    is_repeated: bool


@dataclass(slots=True)
class Contradictions:
    """The rows of one resolve that the store did not accept, by series, each with its archive."""

    _rows: dict[str, list[_Row]] = field(default_factory=lambda: defaultdict(list))
    # rows of the current response; a repeated response to the same query replaces them
    _pending: list[_Row] = field(default_factory=list)
    _is_repeated: bool = False

    def begin_answer(self, *, is_repeated: bool) -> None:
        """Start a new response; if `is_repeated`, it replaces the previous one."""
        if not is_repeated:
            self._keep()
        self._pending.clear()
        self._is_repeated = is_repeated

    def add(self, archive: str, rows: Iterable[Series]) -> None:
        """Add rows that contradict the rows in the store."""
        self._pending += [_Row(archive, row, self._is_repeated) for row in rows]

    def _keep(self) -> None:
        for row in self._pending:
            self._rows[row.series.series_instance_uid].append(row)

    async def settle(
        self, store: FolderIndex, finder: SeriesFinder, archives: Mapping[str, Catalogue], ask_own_rows: AskOwnRows
    ) -> list[SettledSeries]:
        """Choose one row for each of the series.

        Rows of other archives than the one that the series is fetched from are only reported. Of the others, the row that the
        archive gives for the single series decides. If it matches several, the receipt in the library decides, then the count of
        getSeriesSize, then the first row is used. If the archive gives no such row, the choice is unproven unless getSeriesSize
        confirms it.
        """
        self.begin_answer(is_repeated=False)
        found = list(await store.find_named(list(self._rows)))
        own = await self._find_own_rows(found, ask_own_rows)
        settled = [
            await self._settle_one(stored, own.get(stored.series.series_instance_uid), finder, archives.get(stored.archive))
            for stored in found
        ]
        self._rows.clear()
        return settled

    async def _find_own_rows(self, found: Sequence[StoredSeries], ask_own_rows: AskOwnRows) -> dict[str, Series]:
        asked: dict[str, list[Series]] = defaultdict(list)
        for stored in found:
            if any(row.archive == stored.archive for row in self._rows[stored.series.series_instance_uid]):
                asked[stored.archive].append(stored.series)
        own: dict[str, Series] = {}
        for archive, series in asked.items():
            try:
                own |= {row.series_instance_uid: row for row in await ask_own_rows(archive, series)}
            except (ArchiveError, TransferError) as error:
                _log.warning("rows of single series not available", archive=archive, series=len(series), message=str(error))
        return own

    async def _settle_one(
        self, stored: StoredSeries, own: Series | None, finder: SeriesFinder, archive: Catalogue | None
    ) -> SettledSeries:
        name = stored.series.series_instance_uid
        rows = self._rows[name]
        candidates = [stored.series, *(row.series for row in rows if row.archive == stored.archive)]
        receipt = await finder.find_receipt(stored.series) if stored.folder else None
        held = receipt.series if receipt is not None else None
        if len(candidates) > 1:
            chosen, is_proven = await _choose(candidates, own, held, archive)
        else:
            chosen, is_proven = stored.series, True
        told = [f"{stored.archive}: {_figures(stored.series)}", *(f"{row.archive}: {_figures(row.series)}" for row in rows)]
        sentence = f"{name} has contradictory catalogue rows ({'; '.join(dict.fromkeys(told))}); {_figures(chosen)} is used"
        if not is_proven:
            sentence += ", which a query for the single series does not confirm; run again later"
        is_superseded = all(row.is_repeated for row in rows) and not rows[-1].series.version.differs_from(chosen.version)
        return SettledSeries(
            archive=stored.archive,
            chosen=chosen,
            sentence="" if is_superseded and is_proven else sentence,
            is_taken=not chosen.version.differs_from(stored.series.version),
            is_kept=held is not None and not held.version.differs_from(chosen.version),
            is_proven=is_proven,
        )


async def _choose(
    candidates: Sequence[Series], own: Series | None, held: Series | None, archive: Catalogue | None
) -> tuple[Series, bool]:
    """The chosen row, and whether the archive confirmed it."""
    fitting = [one for one in candidates if own is None or not own.version.differs_from(one.version)]
    if own is not None and not fitting:
        return own.with_gaps_filled(candidates[0]), True
    different = {one.version for one in fitting}
    if own is not None and len(different) == 1:
        return fitting[0], True
    kept = next((one for one in fitting if held is not None and not held.version.differs_from(one.version)), None)
    if own is not None and kept is not None:
        return kept, True
    confirmed = await _confirm_by_size(fitting, archive)
    if confirmed is not None:
        return confirmed, True
    return kept or fitting[0], own is not None


async def _confirm_by_size(candidates: Sequence[Series], archive: Catalogue | None) -> Series | None:
    """The only row whose image count equals that of getSeriesSize, or None."""
    if archive is None:
        return None
    try:
        size = await archive.find_series_size(candidates[0].series_instance_uid)
    except (ArchiveError, TransferError):
        return None
    confirmed = [one for one in candidates if one.image_count == size.image_count]
    return confirmed[0] if len({one.version for one in confirmed}) == 1 else None


def _figures(series: Series) -> str:
    told = [f"{series.image_count} images" if series.image_count is not None else "image count unknown"]
    told += [f"{series.file_size_bytes:,} bytes"] if series.file_size_bytes is not None else []
    told += [f"released {series.date_released}"] if series.date_released is not None else []
    told += [f"in {series.collection}"] if series.collection else []
    return ", ".join(told)
