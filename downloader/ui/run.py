"""The report of a run as lines."""

from typing import Final

from downloader.results.amounts import count_text, duration_text, size_text
from downloader.results.run import RunReport
from downloader.results.strength import StrengthSummary
from downloader.ui.texts import printable

_SHOWN_FAILURES: Final = 20
_SHOWN_SERIES: Final = 3


def render_run(report: RunReport, library: str = "") -> str:
    """The verdict first, then what is missing and why. `library` is the folder of the images."""
    tally = report.tally
    lines = [
        f"{report.manifest}: {report.outcome}",
        (
            f"  {count_text(tally.complete, 'series', 'series')} of {tally.selected:,} complete and proven: "
            f"{count_text(tally.images, 'image')}, {size_text(tally.stored_bytes)}"
        ),
        (
            f"  this run: {report.completed:,} completed, {report.already_complete:,} were already complete, "
            f"{size_text(report.received_bytes)} received in {duration_text(report.elapsed_seconds)}"
        ),
    ]
    if library:
        lines.append(f"  library: {printable(library)}")
    if tally.withdrawn:
        lines.append(f"  {count_text(tally.withdrawn, 'series', 'series')} withdrawn by the archive")
    lines += _strength_lines(report.proof)
    lines += [f"  warning: {printable(warning)}" for warning in report.warnings]
    if report.error:
        lines.append(f"  error: {printable(report.error)}")
    if report.failures:
        lines.append(f"  failed: {count_text(len(report.failures), 'series', 'series')}")
    lines += [
        f"    {failure.error} after {count_text(failure.attempts, 'attempt')}: {printable(failure.message)}"
        for failure in report.failures[:_SHOWN_FAILURES]
    ]
    if len(report.failures) > _SHOWN_FAILURES:
        lines.append(f"    … and {len(report.failures) - _SHOWN_FAILURES:,} more: see `tciad failures`")
    return "\n".join(lines)


def _strength_lines(proof: StrengthSummary) -> list[str]:
    """Empty if the archive's MD5 matches every image."""
    lines = []
    if proof.weak:
        named = ", ".join(proof.weak_series[:_SHOWN_SERIES]) + (", …" if proof.weak > _SHOWN_SERIES else "")
        by_all = count_text(proof.proven_by_all, "series", "series")
        lines.append(
            f"  proof: the archive's MD5 matches every image of {by_all}, some images of {proof.proven_by_some:,}, "
            f"none of {proof.proven_by_none:,} ({named}); `tciad verify --weak` lists them"
        )
    if proof.unknown:
        lines.append(f"  proof: not known yet for {count_text(proof.unknown, 'series', 'series')} that an older tciad stored")
    if proof.proven_again:
        lines.append(f"  proof: {count_text(proof.proven_again, 'series', 'series')} proven again, now by the archive's MD5s")
    return lines
