"""The report of `doctor` as lines."""

from typing import Final

from downloader.results.doctor import DoctorReport, Health
from downloader.ui.texts import printable

_MARKS: Final = {Health.OK: "ok     ", Health.WARNING: "warning", Health.FAILED: "FAILED "}


def render_doctor(report: DoctorReport) -> str:
    """A line for each check with its next step, then what to write into the manifest."""
    lines = []
    for check in report.checks:
        lines.append(f"{_MARKS[check.health]}  {check.name}: {printable(check.sentence)}")
        if check.next_step:
            lines.append(f"         → {printable(check.next_step)}")
    if report.manifest:
        lines += ["", "In the manifest:", *(f"  {printable(line)}" for line in report.manifest.splitlines())]
    return "\n".join(lines)
