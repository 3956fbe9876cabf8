"""Reports of verify, repair, rebuild and adopt as lines."""

from collections import Counter

from downloader.model import Digests
from downloader.results.adoption import AdoptionReport
from downloader.results.amounts import count_text, duration_text, size_text
from downloader.results.findings import Finding
from downloader.results.rebuild import RebuildReport
from downloader.results.verification import RepairTally, VerificationReport, WeakSeries
from downloader.ui.texts import printable


def render_verification(report: VerificationReport) -> str:
    """The verdict and the counts; the findings were shown one by one."""
    tally = report.tally
    how = "read and hashed" if report.deep else "checked by name and size"
    if report.upstream:
        how += ", and compared with the archive,"
    lines = [
        f"{printable(report.library)}: {report.outcome}",
        (
            f"  {count_text(tally.series, 'series', 'series')}, {count_text(tally.images, 'image')}, "
            f"{size_text(tally.stored_bytes)} {how} in {duration_text(report.elapsed_seconds)}"
        ),
    ]
    if tally.series:
        lines.append(_strengths_line(tally.strengths))
    if tally.unread_series:
        lines.append(f"  {count_text(tally.unread_series, 'series', 'series')} with images that no reader can identify")
    lines += [f"  {kind}: {count:,}" for kind, count in sorted(tally.kinds.items())]
    lines += _repair_lines(report.repair) if report.repair is not None else []
    if report.repair is None and tally.kinds:
        lines.append("  repair them with `tciad verify --repair`")
    return "\n".join(lines)


def render_rebuild(report: RebuildReport) -> str:
    """The contents of the new store, then what was left out."""
    lines = [
        f"{printable(report.state)}: rebuilt from receipts",
        (
            f"  {count_text(report.tally.complete, 'series', 'series')}, {count_text(report.tally.images, 'image')}, "
            f"{size_text(report.tally.stored_bytes)}"
        ),
    ]
    if report.damaged:
        lines.append(f"  the previous store is kept as {printable(report.damaged)}")
    lines += [f"  {render_finding(finding)}" for finding in report.findings]
    if report.findings:
        lines.append("  series left out are fetched again by the next run, or repaired by `tciad verify --repair`")
    return "\n".join(lines)


def render_adoption(report: AdoptionReport) -> str:
    """The counts, then what was not adopted and why."""
    tally = report.tally
    lines = [
        f"{printable(report.source)}: {count_text(tally.adopted, 'series', 'series')} adopted into {printable(report.library)}",
        (
            f"  {count_text(tally.images, 'image')}, {size_text(tally.stored_bytes)} in {duration_text(report.elapsed_seconds)}; "
            f"{tally.already:,} were already complete; {count_text(tally.ignored_files, 'file')} of other kinds ignored"
        ),
    ]
    if tally.adopted:
        lines.append(_strengths_line(tally.strengths))
    if tally.left:
        lines.append(f"  not adopted: {count_text(len(tally.left), 'series', 'series')}")
    lines += [f"    {one.kind}  {printable(one.path)}: {printable(one.sentence)}" for one in tally.left]
    return "\n".join(lines)


def _strengths_line(strengths: Counter[Digests]) -> str:
    """How many series are proven by how many of the archive's MD5s."""
    return (
        f"  proof: the archive's MD5 matches every image of {count_text(strengths[Digests.ALL], 'series', 'series')}, "
        f"some images of {strengths[Digests.SOME]:,}, none of {strengths[Digests.NONE]:,}"
    )


def render_weak(weak: WeakSeries) -> str:
    """One line about a series that is proven by less than all digests."""
    return f"proof-by-{weak.digests}  {printable(weak.path)}: {weak.series_instance_uid}"


def render_finding(finding: Finding) -> str:
    """One line about one finding."""
    return f"{finding.kind}  {printable(finding.path)}: {printable(finding.sentence)}"


def _repair_lines(repair: RepairTally) -> list[str]:
    lines = [
        (
            f"  repair: {repair.fetched:,} fetched again, {repair.restored:,} corrected in the store, "
            f"{count_text(len(repair.quarantined), 'path')} in quarantine"
        )
    ]
    lines += [f"    {render_finding(finding)}" for finding in repair.left]
    lines += [f"    {failure.error}: {printable(failure.message)}" for failure in repair.failures]
    return lines
