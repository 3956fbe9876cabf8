"""The change report: what changed in the catalogue, and which series failed, in one run or cycle."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from downloader.model import CatalogueResolved, Failure
from downloader.results.run import RunReport

MOST_LISTED = 10_000
"""Series listed under each heading. More are only counted, to bound the memory for large archives."""


@dataclass(slots=True)
class Heading:
    """The number of series, and the identifiers of up to `MOST_LISTED` of them."""

    count: int = 0
    listed: list[Any] = field(default_factory=list)

    def add(self, series: Sequence[Any]) -> None:
        """Count the series, and list them up to the limit."""
        self.count += len(series)
        self.listed += series[: MOST_LISTED - len(self.listed)]

    def discard(self, series_instance_uid: str) -> None:
        """Remove a listed series."""
        if series_instance_uid in self.listed:
            self.listed.remove(series_instance_uid)
            self.count -= 1


@dataclass(slots=True)
class ChangeLog:
    """The changes of one run.

    `new` series were never listed before; `changed` ones were complete and have another version now; `returned` ones were
    withdrawn and are listed again; `withdrawn` ones are no longer listed; `removed` ones were withdrawn long enough to be
    quarantined or deleted. `doubted`: too many series were missing, so the catalogue was not accepted.
    """

    new: Heading = field(default_factory=Heading)
    changed: Heading = field(default_factory=Heading)
    returned: Heading = field(default_factory=Heading)
    withdrawn: Heading = field(default_factory=Heading)
    removed: Heading = field(default_factory=Heading)
    doubted: bool = False

    def as_event(self) -> CatalogueResolved:
        """The counts as an event."""
        return CatalogueResolved(
            new=self.new.count,
            changed=self.changed.count,
            returned=self.returned.count,
            withdrawn=self.withdrawn.count,
        )

    def as_json(self, report: RunReport, failures: Iterable[Failure], began_at: datetime, ended_at: datetime) -> dict[str, Any]:
        """The change report of a finished run; `failures` are the series that failed in it."""
        failed = Heading()
        failed.add(
            [
                {"series_instance_uid": failure.series_instance_uid, "error": failure.error, "message": failure.message}
                for failure in failures
            ]
        )
        headings = {
            "new": self.new,
            "changed": self.changed,
            "returned": self.returned,
            "withdrawn": self.withdrawn,
            "removed": self.removed,
            "failed": failed,
        }
        return {
            "manifest": report.manifest,
            "began_at": began_at.isoformat(),
            "ended_at": ended_at.isoformat(),
            "outcome": report.outcome.value,
            "error": report.error,
            "doubted": self.doubted,
            "counts": {name: heading.count for name, heading in headings.items()},
            **{name: heading.listed for name, heading in headings.items()},
        }
