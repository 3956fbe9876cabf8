"""Writes the report of the measurements, with the machine and the versions."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.parts import Plan, Table
from benchmarks.peers import Peer

_INTRODUCTION = """# What tciad costs

Written by `make bench` on {date}; do not edit. tciad {tciad} at commit {commit}, Python {python}, {processor},
{processors} processors, Linux {kernel}.

Every contestant is a process of its own and fetches the same series from an archive on the same machine, which sends ready
replies with sendfile, in chunks of 8 KB. They take turns, {rounds} rounds; figures are medians, with the smallest and the
largest in brackets, ratios are taken round by round. Figures of another table, or of another day, cannot be compared with
these. After each run all images are counted.

What each of them proves: tciad CRC-32, the ZIP's directory, count, size, MD5 and DICOM identity; it syncs everything to the disk,
writes receipts and records its state. The shell pipeline proves CRC-32 and MD5. tcia_utils proves CRC-32. The floor receives and
throws away. `peak MiB` is the largest process of the run.
"""


def write_report(path: Path, plan: Plan, peers: Sequence[Peer], tables: Sequence[Table], notes: Sequence[str]) -> None:
    """Write the report, and the chart next to it."""
    text = _INTRODUCTION.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        tciad=version("tciad"),
        commit=_ask("git", "rev-parse", "--short", "HEAD"),
        python=platform.python_version(),
        processor=_processor(),
        processors=_ask("nproc"),
        kernel=platform.release(),
        rounds=plan.rounds,
    )
    lines = [text, *(f"- {peer.name}: {peer.version}" for peer in peers), *(f"- {note}" for note in notes)]
    if plan.scale != 1.0:
        lines.append(f"- scale {plan.scale:g}: too small to conclude anything from")
    raced = [table for table in tables if table.wall]
    if raced:
        chart = path.with_suffix(".svg")
        _draw(chart, raced)
        lines += ["", f"![Wall time of each contestant]({chart.name})"]
    for table in tables:
        lines += [
            "",
            f"## {table.title[0].upper()}{table.title[1:]}",
            "",
            *([table.text, ""] if table.text else []),
            *_as_markdown(table),
        ]
    path.write_text("\n".join(lines) + "\n")


def _as_markdown(table: Table) -> list[str]:
    return [
        f"| {' | '.join(table.header)} |",
        f"|{'---|' * len(table.header)}",
        *(f"| {' | '.join(row)} |" for row in table.rows),
    ]


def _draw(path: Path, tables: Sequence[Table]) -> None:
    """Bars of the wall time, with one axis per corpus."""
    import matplotlib as mpl  # noqa: PLC0415 - large, and nothing is measured any more

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tciad"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice above

    figure, axes = plt.subplots(1, len(tables), figsize=(3 * len(tables), 2.4), squeeze=False)
    for axis, table in zip(axes[0], tables, strict=True):
        names = list(table.wall)
        bars = axis.barh(names, list(table.wall.values()), color=["#1f6f8b", *["#b8c4cc"] * (len(names) - 1)])
        axis.bar_label(bars, fmt="%.1f", padding=2)
        axis.invert_yaxis()
        axis.margins(x=0.2)
        axis.set_title(table.title, fontsize=10)
        axis.set_xlabel("seconds")
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _ask(*command: str) -> str:
    """The output of a program; empty if it is missing or fails, such as git outside of a repository."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
