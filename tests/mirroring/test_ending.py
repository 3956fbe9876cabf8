"""Whatever ends a run, it is reported once, and recorded where store and library can still be used."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import anyio.lowlevel
import pytest
from anyio import CancelScope

from downloader.errors import ArchiveUnreachableError, ExitCode, StoreError, StoreLockedError, TciadError
from downloader.mirroring.ending import EndedRun, Interruption, run_to_end
from downloader.results.run import Outcome, RunReport, empty_report

pytestmark = pytest.mark.anyio
WHOLE = replace(empty_report("m", ExitCode.SUCCESS, ""), outcome=Outcome.COMPLETE)


@dataclass
class ScriptedRun:
    """Does its work, and notes the reports that it was asked to keep."""

    work: Callable[[], Awaitable[None]]
    kept: list[RunReport] = field(default_factory=list)

    async def run(self) -> RunReport:
        await self.work()
        return WHOLE

    async def report_ended(self, outcome: Outcome, exit_code: ExitCode, error: str = "") -> RunReport:
        await anyio.lowlevel.checkpoint()
        self.kept.append(replace(WHOLE, outcome=outcome, exit_code=exit_code, error=error))
        return self.kept[-1]


@asynccontextmanager
async def opened(run: ScriptedRun, refusal: TciadError | None = None) -> AsyncIterator[ScriptedRun]:
    if refusal is not None:
        raise refusal
    yield run


def interruption(scope: CancelScope | None = None, report_to: Callable[[RunReport], None] = print) -> Interruption:
    return Interruption(exit_code=ExitCode.TERMINATED, scope=scope or CancelScope(), report_to=report_to)


def raising(error: TciadError) -> ScriptedRun:
    async def work() -> None:
        raise error

    return ScriptedRun(work)


async def test_a_run_that_comes_to_its_end_reports_itself() -> None:
    run = ScriptedRun(anyio.lowlevel.checkpoint)
    assert await run_to_end("m", opened(run), interruption()) == EndedRun(report=WHOLE)
    assert run.kept == []


async def test_an_error_is_reported_and_recorded_with_its_exit_code() -> None:
    error = ArchiveUnreachableError("no route")
    run = raising(error)
    ended = await run_to_end("m", opened(run), interruption())
    assert (ended.error, ended.is_recorded, run.kept) == (error, True, [ended.report])
    assert (ended.report.outcome, ended.report.exit_code, ended.report.error) == (Outcome.FAILED, ExitCode.ARCHIVE, "no route")


async def test_without_its_store_a_run_is_reported_and_not_recorded() -> None:
    """What cannot be read cannot be counted either."""
    run = raising(StoreError("it cannot be read"))
    ended = await run_to_end("m", opened(run), interruption())
    assert (ended.is_recorded, run.kept) == (False, [])
    assert ended.report == empty_report("m", ExitCode.STORE, "it cannot be read")


async def test_a_run_that_cannot_begin_is_reported_and_not_recorded() -> None:
    error = StoreLockedError("another run holds it")
    ended = await run_to_end("m", opened(raising(error), refusal=error), interruption())
    assert ended == EndedRun(report=empty_report("m", ExitCode.STORE, str(error)), error=error, is_recorded=False)


async def test_its_own_scope_interrupts_a_run_and_nothing_around_it() -> None:
    scope = CancelScope()
    run = ScriptedRun(anyio.sleep_forever)
    scope.cancel()
    ended = await run_to_end("m", opened(run), interruption(scope))
    assert (ended.report.outcome, ended.report.exit_code) == (Outcome.INTERRUPTED, ExitCode.TERMINATED)
    assert (ended.error, ended.is_recorded, run.kept) == (None, True, [ended.report])


async def test_a_cancelled_caller_gets_the_report_before_the_cancellation_goes_on() -> None:
    reports: list[RunReport] = []
    run = ScriptedRun(anyio.sleep_forever)
    with CancelScope() as outer:
        outer.cancel()
        await run_to_end("m", opened(run), interruption(report_to=reports.append))
        pytest.fail("the cancellation was swallowed")
    assert outer.cancelled_caught
    assert [report.outcome for report in reports] == [Outcome.INTERRUPTED]
    assert run.kept == reports
