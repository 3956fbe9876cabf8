"""A quick check by names and sizes: enough for nearly all series of an undamaged library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from downloader.library.model import FoundSeries
from downloader.library.port import FolderWalk
from downloader.model import Receipt, SeriesState
from downloader.store.records import StoredPlace

SERIES_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickCheck:
    """A folder with a receipt; `agrees`: its files have exactly the names and sizes of the receipt."""

    found: FoundSeries
    agrees: bool

    @property
    def series_instance_uid(self) -> str:
        """Empty if the receipt is invalid."""
        receipt = self.found.receipt
        return receipt.series.series_instance_uid if isinstance(receipt, Receipt) else ""

    def fits(self, place: StoredPlace | None) -> bool:
        """Whether folder, receipt and store agree."""
        receipt = self.found.receipt
        return (
            self.agrees
            and isinstance(receipt, Receipt)
            and place is not None
            and place.state is SeriesState.COMPLETE
            and place.folder == str(self.found.folder)
            and place.stored_bytes == receipt.stored_bytes
        )


async def quick_check_folders(walk: FolderWalk, most: int) -> Sequence[QuickCheck]:
    """Read and check the next folders of the walk.

    Raises:
        LibraryError: a folder or a receipt cannot be read.
    """
    return [QuickCheck(found=found, agrees=_agrees(found)) for found in await walk.take(most)]


def _agrees(found: FoundSeries) -> bool:
    return isinstance(found.receipt, Receipt) and found.contents == found.receipt.file_sizes


class SeriesKeys:
    """A set of the store's series numbers, as one bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, key: int) -> None:
        """Add the number."""
        place, bit = divmod(key, 8)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << bit

    def __contains__(self, key: int) -> bool:
        place, bit = divmod(key, 8)
        return place < len(self._bits) and bool(self._bits[place] >> bit & 1)
