"""How a run ends: reported by itself, interrupted, failed, or with a report of nothing where it could not begin.

The command, the Python API and the service all end their runs here.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import anyio
from anyio import CancelScope

from downloader.errors import ExitCode, StoreError, TciadError
from downloader.results.run import Outcome, RunReport, empty_report


class ReportingRun(Protocol):
    """A run that can report how far it came, whatever ends it: `MirrorRun`."""

    async def run(self) -> RunReport:
        """Run, and report. Raises TciadError where it cannot go on."""
        ...

    async def report_ended(self, outcome: Outcome, exit_code: ExitCode, error: str = "") -> RunReport:
        """Report a run that did not come to its end, and keep the report with store and library."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run that is over. `error` is what ended it, where something did.

    `is_recorded`: store and library have the report. They do not have it where the run could not begin, or the store failed.
    """

    report: RunReport
    error: TciadError | None = None
    is_recorded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """How a run may be interrupted.

    Attributes:
        exit_code: that of an interrupted run.
        scope: cancelling it interrupts the run and nothing around it.
        report_to: gets the report where the caller itself is cancelled, so that nothing can be returned to it.
    """

    exit_code: ExitCode
    scope: CancelScope
    report_to: Callable[[RunReport], None] = lambda _report: None


async def run_to_end(manifest: str, opened: AbstractAsyncContextManager[ReportingRun], interruption: Interruption) -> EndedRun:
    """Open the run of a manifest, run it, and report how it ended. Cancellation of the caller is raised on, after the report."""
    try:
        async with opened as run:
            return await _end(run, interruption)
    except TciadError as error:
        report = empty_report(manifest, error.exit_code, str(error))
        return EndedRun(report=report, error=error, is_recorded=False)


async def _end(run: ReportingRun, interruption: Interruption) -> EndedRun:
    try:
        with interruption.scope:
            return EndedRun(report=await run.run())
    except anyio.get_cancelled_exc_class():
        with CancelScope(shield=True):
            interruption.report_to(await run.report_ended(Outcome.INTERRUPTED, interruption.exit_code))
        raise
    except StoreError:
        raise  # what cannot be read cannot be counted either
    except TciadError as error:
        return EndedRun(report=await run.report_ended(Outcome.FAILED, error.exit_code, str(error)), error=error)
    return EndedRun(report=await run.report_ended(Outcome.INTERRUPTED, interruption.exit_code))
