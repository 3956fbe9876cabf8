"""How complete a library is, manifest by manifest: as a document for programs and as a table for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from downloader.model import SeriesTally
from downloader.ui.tallies import tally_json
from downloader.ui.texts import printable, size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCycle:
    """How the last run or cycle of a manifest ended, and when one last ended with everything complete."""

    ended_at: datetime
    outcome: str
    error: str
    succeeded_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """One library at one moment. `paused`: the service claims nothing for it."""

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

    def as_page(self) -> Group:
        """The same for people: a table, and above and below it lines that may be longer than it is wide."""
        # what the archive or a manifest says is text, and no markup
        title = Text(f"{printable(self.library)}{' (paused)' if self.paused else ''}")
        return Group(title, self._table(), *(Text(_cycle_text(name, cycle)) for name, cycle in self.cycles.items()))

    def _table(self) -> Table:
        table = Table()
        for heading in ("manifest", "complete", "of", "pending", "failed", "withdrawn", "images", "stored"):
            # half a figure would be another figure
            table.add_column(heading, justify="left" if heading == "manifest" else "right", overflow="fold")
        for name, tally in [*self.tallies.items(), ("all", self.total)]:
            table.add_row(
                printable(name),
                f"{tally.complete:,}",
                f"{tally.selected:,}",
                f"{tally.pending + tally.claimed:,}",
                f"{tally.failed:,}",
                f"{tally.withdrawn:,}",
                f"{tally.images:,}",
                size_text(tally.stored_bytes),
            )
        return table


def _cycle_json(cycle: LastCycle | None) -> dict[str, Any] | None:
    if cycle is None:
        return None
    return {
        "ended_at": cycle.ended_at.isoformat(),
        "outcome": cycle.outcome,
        "error": cycle.error,
        "succeeded_at": cycle.succeeded_at.isoformat() if cycle.succeeded_at else None,
    }


def _cycle_text(name: str, cycle: LastCycle) -> str:
    # without an argument, astimezone means the machine's own zone
    error = f": {printable(cycle.error)}" if cycle.error else ""
    return f"{printable(name)}: last run {cycle.outcome}, {cycle.ended_at.astimezone():%Y-%m-%d %H:%M}{error}"
