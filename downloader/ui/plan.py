"""The report of a plan as lines."""

from collections.abc import Iterator
from typing import Final

from downloader.results.amounts import count_text, size_text
from downloader.results.plan import PlanEntry, PlanReport
from downloader.ui.texts import printable

_SHOWN_VALUES: Final = 5


def render_plan(report: PlanReport) -> str:
    """Counts and sizes, then what each entry found, then warnings."""
    series, images = count_text(report.selected, "series", "series"), count_text(report.images, "image")
    lines = [
        f"{report.manifest}: {series}, {images}, {size_text(report.bytes_total)}",
        f"  complete {report.complete:,}, new {report.new:,}, changed {report.changed:,}, pending {report.pending:,}",
        f"  withdrawn {report.withdrawn:,}",
        f"  to fetch: {count_text(report.fetch_images, 'image')}, {size_text(report.fetch_bytes)}",
        f"  free: {size_text(report.free_bytes)}" + ("" if report.fits else "; not enough free space"),
    ]
    if report.unknown_sizes:
        lines.append(f"  the archive gives no size for {report.unknown_sizes:,} of them")
    lines += [f"  {line}" for entry in report.entries for line in _entry_lines(entry)]
    lines += [f"  warning: {printable(warning)}" for warning in report.warnings]
    return "\n".join(lines)


def _entry_lines(entry: PlanEntry) -> Iterator[str]:
    """What matched, and what did not."""
    figures = {
        "do not match": entry.listed - entry.matched - entry.excluded,
        "excluded": entry.excluded,
        "not listed": entry.unlisted,
    }
    others = ", ".join(f"{figure:,} {word}" for word, figure in figures.items() if figure)
    line = f"{printable(entry.entry)}: {count_text(entry.matched, 'series', 'series')} of {entry.archive}"
    yield f"{line} ({others})" if others else line
    for key, values in entry.unmatched.items():
        shown = " or ".join(printable(value) for value in values[:_SHOWN_VALUES])
        more = f" or {len(values) - _SHOWN_VALUES:,} more" if len(values) > _SHOWN_VALUES else ""
        yield f"  no matching series has {key} {shown}{more}"
