"""What is known of the archives that manifests name: when each last answered, and when and how it last failed."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from downloader.errors import ArchiveError
from downloader.manifest import ArchiveAddress
from downloader.service.port import ArchiveStatus


class ArchiveWatch:
    """Remembers one status for each address."""

    def __init__(self) -> None:
        self._statuses: dict[str, ArchiveStatus] = {}

    def know(self, addresses: Iterable[ArchiveAddress]) -> None:
        """These are the archives that matter now; others are forgotten."""
        self._statuses = {
            address.base_url: self._statuses.get(address.base_url) or ArchiveStatus(name=address.name, base_url=address.base_url)
            for address in addresses
        }

    def reached(self, addresses: Iterable[ArchiveAddress], at: datetime) -> None:
        """They answered."""
        for status in self._of(addresses):
            self._statuses[status.base_url] = replace(status, reached_at=at, reachable=True)

    def failed(self, addresses: Iterable[ArchiveAddress], at: datetime, error: ArchiveError) -> None:
        """They did not answer, or refused the credentials."""
        for status in self._of(addresses):
            self._statuses[status.base_url] = replace(status, failed_at=at, reachable=False, problem=str(error))

    def statuses(self) -> tuple[ArchiveStatus, ...]:
        """All of them, by address."""
        return tuple(self._statuses[base_url] for base_url in sorted(self._statuses))

    def _of(self, addresses: Iterable[ArchiveAddress]) -> list[ArchiveStatus]:
        # a manifest that was removed meanwhile may end its cycle after its archive was forgotten
        return [self._statuses[address.base_url] for address in addresses if address.base_url in self._statuses]
