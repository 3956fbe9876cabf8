"""What one run or cycle found changed: the change report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from downloader.model import CatalogueResolved, Failure
from downloader.results.run import RunReport

MOST_LISTED = 10_000
"""Series that are named under each heading; beyond that they are only counted, so that memory does not grow with an archive."""


@dataclass(slots=True)
class Heading:
    """How many series, and which, up to `MOST_LISTED`."""

    count: int = 0
    listed: list[Any] = field(default_factory=list)

    def add(self, series: Sequence[Any]) -> None:
        """Count these, and name them while there is room."""
        self.count += len(series)
        self.listed += series[: MOST_LISTED - len(self.listed)]

    def discard(self, series_instance_uid: str) -> None:
        """Take one back that is named."""
        if series_instance_uid in self.listed:
            self.listed.remove(series_instance_uid)
            self.count -= 1


@dataclass(slots=True)
class ChangeLog:
    """Collects the changes of one run.

    `new` were never listed before, `changed` were complete and are listed otherwise now, `returned` were withdrawn and are listed
    again, `withdrawn` are no longer listed, `removed` were withdrawn long enough to be moved aside or deleted. `doubted`: so much
    was gone that the catalogue was not believed.
    """

    new: Heading = field(default_factory=Heading)
    changed: Heading = field(default_factory=Heading)
    returned: Heading = field(default_factory=Heading)
    withdrawn: Heading = field(default_factory=Heading)
    removed: Heading = field(default_factory=Heading)
    doubted: bool = False

    def as_event(self) -> CatalogueResolved:
        """What the catalogue told."""
        return CatalogueResolved(
            new=self.new.count,
            changed=self.changed.count,
            returned=self.returned.count,
            withdrawn=self.withdrawn.count,
        )

    def as_json(self, report: RunReport, failures: Iterable[Failure], began_at: datetime, ended_at: datetime) -> dict[str, Any]:
        """The change report of a run that ended so; `failures` are the series that failed in it."""
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
