"""The completeness of a library, by manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from downloader.model import SeriesTally
from downloader.results.tallies import tally_json


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCycle:
    """The end of the last run or cycle of a manifest, and of the last one that was complete."""

    ended_at: datetime
    outcome: str
    error: str
    succeeded_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The state of one library. `paused`: the service claims no series of it."""

    library: str
    paused: bool
    total: SeriesTally
    tallies: Mapping[str, SeriesTally]
    cycles: Mapping[str, LastCycle] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The document of `status --json`."""
        manifests = [
            {"manifest": name, **tally_json(tally), "last_cycle": _cycle_json(self.cycles.get(name))}
            for name, tally in self.tallies.items()
        ]
        return {"library": self.library, "paused": self.paused, **tally_json(self.total), "manifests": manifests}


def _cycle_json(cycle: LastCycle | None) -> dict[str, Any] | None:
    if cycle is None:
        return None
    return {
        "ended_at": cycle.ended_at.isoformat(),
        "outcome": cycle.outcome,
        "error": cycle.error,
        "succeeded_at": cycle.succeeded_at.isoformat() if cycle.succeeded_at else None,
    }
