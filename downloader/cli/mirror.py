"""What `run` and `get` share: mirror manifests one after another, and print their reports."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import typer
from anyio import CancelScope

from downloader.archive.nbia.deployments import Deployments
from downloader.cli.command import print_reports, run_async
from downloader.cli.interruption import Interrupted
from downloader.clock import Clock, SystemClock
from downloader.config.options import OptionValues, RunOptions
from downloader.config.settings import Settings
from downloader.engine.mirror import decide_options, open_mirror
from downloader.errors import ExitCode
from downloader.manifest import Manifest
from downloader.mirroring.ending import Interruption, run_to_end
from downloader.results.run import RunReport
from downloader.ui.progress import open_progress
from downloader.ui.run import render_run

MOST_SERIOUS_FIRST: Final = (
    ExitCode.FAULT,
    ExitCode.STORE,
    ExitCode.LIBRARY,
    ExitCode.ARCHIVE,
    ExitCode.USAGE,
    ExitCode.INCOMPLETE,
)
"""When several manifests end differently, the process ends with the first of these codes that one of them has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """The runs of one command, in order, and the reports of those that ended. They share a clock and a deadline."""

    runs: Sequence[tuple[Manifest, RunOptions]]
    clock: Clock
    silent: bool
    reports: list[RunReport] = field(default_factory=list)

    async def work(self) -> None:
        """Run the manifests one after another."""
        began, deployments = self.clock.monotonic(), Deployments()
        with open_progress(self.clock, silent=self.silent) as progress:
            for manifest, options in self.runs:
                remaining = _with_remaining_time(options, self.clock.monotonic() - began)
                opened = open_mirror(manifest, remaining, progress, deployments=deployments)
                interruption = Interruption(exit_code=ExitCode.INTERRUPTED, scope=CancelScope(), report_to=self.reports.append)
                self.reports.append((await run_to_end(manifest.name, opened, interruption)).report)


def mirror(manifests: Sequence[Manifest], flags: OptionValues, settings: Settings, *, as_json: bool, quiet: bool) -> int:
    """Run the manifests one after another, print their reports, and return the most serious exit code."""
    options = [decide_options(flags, settings, manifest) for manifest in manifests]
    runs = _Runs(runs=list(zip(manifests, options, strict=True)), clock=SystemClock(), silent=quiet or as_json)
    libraries = [one.output for one in options]
    try:
        run_async(runs.work)
    except Interrupted as interrupted:
        if runs.reports:
            runs.reports[-1] = replace(runs.reports[-1], exit_code=interrupted.exit_code)
        _print(runs.reports, libraries, as_json=as_json)
        return interrupted.exit_code
    _print(runs.reports, libraries, as_json=as_json)
    codes = {report.exit_code for report in runs.reports}
    return next((code for code in MOST_SERIOUS_FIRST if code in codes), ExitCode.SUCCESS)


def _with_remaining_time(options: RunOptions, elapsed_seconds: float) -> RunOptions:
    """The options of a run that begins this late."""
    if options.deadline_seconds is None:
        return options
    return replace(options, deadline_seconds=max(0.0, options.deadline_seconds - elapsed_seconds))


def _print(reports: Sequence[RunReport], libraries: Sequence[Path], *, as_json: bool) -> None:
    """Print the reports; `libraries` are those of all manifests, in the same order, also of those that did not begin."""
    if as_json:
        print_reports([report.as_json() for report in reports])
        return
    for report, library in zip(reports, libraries, strict=False):
        typer.echo(render_run(report, str(library)))
