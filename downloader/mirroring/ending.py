"""The ways in which a run ends: reported, interrupted, failed, or with an empty report because it could not begin.

The command, the Python API and the service all end their runs with this module.
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
    """A run that can report its progress however it ended: `MirrorRun`."""

    async def run(self) -> RunReport:
        """Run, and report. Raises TciadError if the run cannot continue."""
        ...

    async def report_ended(self, outcome: Outcome, exit_code: ExitCode, error: str = "") -> RunReport:
        """Report a run that was interrupted or failed, and record the report in store and library."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """An ended run. `error` is the error that ended it, or None.

    `is_recorded`: store and library have the report. They lack it if the run could not begin, or if the store failed.
    """

    report: RunReport
    error: TciadError | None = None
    is_recorded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """How a run may be interrupted.

    Attributes:
        exit_code: the exit code of an interrupted run.
        scope: cancelling it interrupts only the run.
        report_to: receives the report if the caller itself is cancelled and nothing can be returned.
    """

    exit_code: ExitCode
    scope: CancelScope
    report_to: Callable[[RunReport], None] = lambda _report: None


async def run_to_end(manifest: str, opened: AbstractAsyncContextManager[ReportingRun], interruption: Interruption) -> EndedRun:
    """Open the run of a manifest, run it, and report its end. Cancellation of the caller is re-raised after the report."""
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
        raise  # a store that cannot be used cannot be counted for a report either
    except TciadError as error:
        return EndedRun(report=await run.report_ended(Outcome.FAILED, error.exit_code, str(error)), error=error)
    return EndedRun(report=await run.report_ended(Outcome.INTERRUPTED, interruption.exit_code))
