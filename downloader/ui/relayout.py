"""The report of a move to another layout as lines."""

from collections.abc import Iterable
from typing import Final

from downloader.results.amounts import count_text
from downloader.results.relayout import RelayoutReport
from downloader.ui.texts import printable

_SHOWN: Final = 20


def render_relayout(report: RelayoutReport) -> str:
    """What was moved, shares a name or was left, some of each."""
    tally = report.tally
    moved = count_text(tally.moved, "series", "series")
    done = f"{moved} would be moved" if report.dry_run else f"{moved} moved"
    lines = [f"{printable(report.library)}: {done} to {printable(report.layout)}, {tally.in_place:,} already in place"]
    lines += _first(f"{printable(move.folder)} -> {printable(move.target)}" for move in tally.moves)
    if tally.shared:
        lines.append(
            f"  {count_text(len(tally.shared), 'series', 'series')} with a longer name, since another series has the shorter one:"
        )
        lines += _first(printable(shared.folder) for shared in tally.shared)
    if tally.left:
        lines.append(f"  not moved: {count_text(len(tally.left), 'folder')}")
        lines += _first(f"{printable(left.folder)}: {printable(left.reason)}" for left in tally.left)
    return "\n".join(lines)


def _first(lines: Iterable[str]) -> list[str]:
    """The first lines, and how many more there are."""
    listed = list(lines)
    shown = [f"    {line}" for line in listed[:_SHOWN]]
    return [*shown, f"    … and {len(listed) - _SHOWN:,} more: see --json"] if len(listed) > _SHOWN else shown
