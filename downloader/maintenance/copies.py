"""Chooses which of several intact copies of a series is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from downloader.library.port import LibraryMaintenance
from downloader.model import Receipt, Series


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCopy:
    """An intact copy of a series. `is_known`: the store has this folder."""

    folder: PurePosixPath
    receipt: Receipt
    is_known: bool

    @property
    def images(self) -> frozenset[tuple[str, str]]:
        """SOP Instance UID and MD5 of each image."""
        return frozenset((image.sop_instance_uid, image.md5) for image in self.receipt.images)


def choose_copy(copies: Sequence[SeriesCopy], listed: Series | None, maintenance: LibraryMaintenance) -> SeriesCopy:
    """The copy of the version that the catalogue lists, otherwise the newest; of equal copies, that in the layout's folder.

    `listed` is the store's row of the series, or None. An older version is never preferred because of its folder.
    """
    fitting = [copy for copy in copies if listed is not None and not copy.receipt.series.version.differs_from(listed.version)]
    candidates = fitting or copies
    newest = max(candidates, key=lambda copy: copy.receipt.completed_at)
    same = [copy for copy in candidates if copy.images == newest.images]
    best = maintenance.best_folder(newest.receipt.series)
    return min(same, key=lambda copy: (copy.folder != best, not copy.is_known, str(copy.folder)))
