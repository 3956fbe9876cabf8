"""How complete a library is, as a table."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from downloader.results.amounts import size_text
from downloader.results.status import LastCycle, StatusReport
from downloader.ui.texts import printable


def render_status(report: StatusReport) -> Group:
    """A table, and above and below it lines that may be longer than the table is wide."""
    # texts of the archive or a manifest are not markup
    title = Text(f"{printable(report.library)}{' (paused)' if report.paused else ''}")
    return Group(title, _table_of(report), *(Text(_cycle_text(name, cycle)) for name, cycle in report.cycles.items()))


def _table_of(report: StatusReport) -> Table:
    table = Table()
    for heading in ("manifest", "complete", "of", "pending", "failed", "withdrawn", "images", "stored"):
        # a truncated number would be another number
        table.add_column(heading, justify="left" if heading == "manifest" else "right", overflow="fold")
    for name, tally in [*report.tallies.items(), ("all", report.total)]:
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


def _cycle_text(name: str, cycle: LastCycle) -> str:
    # without an argument, astimezone means the machine's own zone
    error = f": {printable(cycle.error)}" if cycle.error else ""
    return f"{printable(name)}: last run {cycle.outcome}, {cycle.ended_at.astimezone():%Y-%m-%d %H:%M}{error}"
