"""State of the archives that manifests name: when each last responded, and when and how it last failed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from downloader.errors import ArchiveError, ArchiveUnreachableError, CredentialsRejectedError
from downloader.manifest import ArchiveAddress


class ArchiveFailure(StrEnum):
    """How an archive failed as a whole."""

    UNREACHABLE = "unreachable"
    REFUSED = "credentials refused"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveStatus:
    """What is known of one archive since the service started: when it last answered, and when and how it last failed as a whole.

    `reachable`: it answered the last request, and accepted the credentials; false for one that was not asked yet.
    `failing_since_at` is when it failed first since it last answered; None while it answers, and for one that was not asked.
    """

    name: str
    base_url: str
    reached_at: datetime | None = None
    failed_at: datetime | None = None
    problem: str = ""
    reachable: bool = False
    failing_since_at: datetime | None = None
    failure: ArchiveFailure | None = None


class ArchiveWatch:
    """Remembers one status for each address."""

    def __init__(self) -> None:
        self._statuses: dict[str, ArchiveStatus] = {}

    def know(self, addresses: Iterable[ArchiveAddress]) -> None:
        """Set the current archives; others are forgotten."""
        self._statuses = {
            address.base_url: self._statuses.get(address.base_url) or ArchiveStatus(name=address.name, base_url=address.base_url)
            for address in addresses
        }

    def reached(self, addresses: Iterable[ArchiveAddress], at: datetime) -> None:
        """They answered."""
        for status in self._of(addresses):
            self._statuses[status.base_url] = replace(status, reached_at=at, reachable=True, failing_since_at=None, failure=None)

    def failed(
        self, addresses: Iterable[ArchiveAddress], at: datetime, error: ArchiveError, *, since_at: datetime | None = None
    ) -> None:
        """They did not answer, or refused the credentials; `since_at` where that is known better than by the first call."""
        for status in self._of(addresses):
            self._statuses[status.base_url] = replace(
                status,
                failed_at=at,
                reachable=False,
                problem=str(error),
                failing_since_at=status.failing_since_at or since_at or at,
                failure=_failure_of(error),
            )

    def statuses(self) -> tuple[ArchiveStatus, ...]:
        """All of them, by address."""
        return tuple(self._statuses[base_url] for base_url in sorted(self._statuses))

    def _of(self, addresses: Iterable[ArchiveAddress]) -> list[ArchiveStatus]:
        # a manifest that was removed meanwhile may end its cycle after its archive was forgotten
        return [self._statuses[address.base_url] for address in addresses if address.base_url in self._statuses]


def _failure_of(error: ArchiveError) -> ArchiveFailure:
    if isinstance(error, CredentialsRejectedError):
        return ArchiveFailure.REFUSED
    return ArchiveFailure.UNREACHABLE if isinstance(error, ArchiveUnreachableError) else ArchiveFailure.OTHER
