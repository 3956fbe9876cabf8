"""One cycle of one manifest: a run that is guarded, so that whatever ends it, the next one follows."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog
from anyio import CancelScope

from downloader.archive.nbia.deployments import Deployments
from downloader.clock import Clock
from downloader.config.options import RunOptions
from downloader.engine.holding import HeldLibrary
from downloader.engine.mirror import hold_library, open_run
from downloader.errors import ExitCode, TciadError
from downloader.manifest import Manifest
from downloader.mirroring.ending import EndedRun, Interruption, run_to_end
from downloader.mirroring.run import MirrorRun, RunPolicy
from downloader.results.listeners import RunListener
from downloader.results.run import RunReport, empty_report
from downloader.service.library_look import LibrarySight, look_at_library
from downloader.service.port import CycleSummary
from downloader.service.progress import CycleProgress
from downloader.service.setback import NO_SETBACK, Setback, doubt_of
from downloader.store.records import CycleNote

_log = structlog.get_logger(__name__)


class OpenRun(Protocol):
    """How a run is opened: `engine.open_run`, unless a test has another."""

    def __call__(  # noqa: D102  told above
        self,
        manifest: Manifest,
        options: RunOptions,
        held: HeldLibrary,
        progress: RunListener,
        *,
        clock: Clock,
        run_policy: RunPolicy,
        deployments: Deployments,
    ) -> AbstractAsyncContextManager[MirrorRun]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Openers:
    """How libraries and runs are opened and looked at; `deployments` is what all runs of a service know of the archives."""

    hold_library: Callable[[RunOptions, Clock], AbstractAsyncContextManager[HeldLibrary]] = hold_library
    open_run: OpenRun = open_run
    look_at_library: Callable[[Path, str], LibrarySight] = look_at_library
    deployments: Deployments = field(default_factory=Deployments)


@dataclass(slots=True, kw_only=True)
class ManifestJob:
    """One active manifest and its state. `run`, `progress` and `scope` are those of the cycle that runs now."""

    manifest: Manifest
    options: RunOptions
    due_at: datetime
    is_ordered: bool = False
    is_draining: bool = False
    last: CycleNote | None = None
    setback: Setback = NO_SETBACK
    progress: CycleProgress | None = None
    run: MirrorRun | None = None
    scope: CancelScope | None = None

    @property
    def name(self) -> str:
        """The manifest's."""
        return self.manifest.name

    @property
    def is_running(self) -> bool:
        """Whether one of its cycles is running."""
        return self.progress is not None

    def interrupt(self) -> None:
        """Interrupt the cycle: series in flight are set back."""
        if self.scope:
            self.scope.cancel()

    def drain(self) -> None:
        """Let the cycle end after the series in flight, also one that is about to begin."""
        self.is_draining = True
        if self.run:
            self.run.drain()


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleOutcome:
    """How a cycle ended.

    `error` is what ended it, where something did; `archives_out` names the archives that did not answer, where that is known.
    """

    report: RunReport
    note: CycleNote
    error: TciadError | None = None
    archives_out: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Cycle:
    """What one cycle of `job` needs."""

    job: ManifestJob
    held: HeldLibrary
    progress: CycleProgress
    clock: Clock
    run_policy: RunPolicy
    openers: Openers
    _archives_out: frozenset[str] = field(default=frozenset(), init=False)

    async def run(self) -> CycleOutcome:
        """Run, and report how it ended. Raises only the cancellation of the caller."""
        began_at = self.clock.now()
        scope = self.job.scope = CancelScope()
        try:
            with structlog.contextvars.bound_contextvars(run=began_at.isoformat()):
                ended = await self._guarded(scope)
        finally:
            self.job.run = self.job.scope = None
        before = self.job.last.succeeded_at if self.job.last else None
        report, ended_at = ended.report, self.clock.now()
        note = CycleNote(
            began_at=began_at,
            ended_at=ended_at,
            outcome=report.outcome.value,
            exit_code=report.exit_code.value,
            error=report.error or doubt_of(report),
            succeeded_at=ended_at if report.exit_code is ExitCode.SUCCESS else before,
        )
        return CycleOutcome(report=report, note=note, error=ended.error, archives_out=self._archives_out)

    async def _guarded(self, scope: CancelScope) -> EndedRun:
        name = self.job.name
        try:
            ended = await run_to_end(name, self._opened(), Interruption(exit_code=ExitCode.TERMINATED, scope=scope))
        except Exception:
            # an error of one manifest must not end the others
            _log.exception("cycle failed with an internal error", manifest=name, next_step="please report it with this log")
            report = empty_report(name, ExitCode.FAULT, "internal error; see the log")
            return EndedRun(report=report, is_recorded=False)
        if ended.error is not None and not ended.is_recorded:
            _log.error("cycle failed", manifest=name, error=type(ended.error).__name__, message=str(ended.error))
        return ended

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[MirrorRun]:
        """The run of the cycle, which is that of its manifest for as long as it is open."""
        async with self.openers.open_run(
            self.job.manifest,
            self.job.options,
            self.held,
            self.progress,
            clock=self.clock,
            run_policy=self.run_policy,
            deployments=self.openers.deployments,
        ) as run:
            self.job.run = run
            if self.job.is_draining:
                run.drain()
            try:
                yield run
            finally:
                self._archives_out = run.archives_out


def log_retry(job: ManifestJob) -> None:
    """Log that a cycle failed and will be retried."""
    if job.setback.failed_cycles:
        _log.warning(
            "cycle retry scheduled",
            manifest=job.name,
            failed_cycles=job.setback.failed_cycles,
            next_run_at=job.due_at.isoformat(),
            needs_attention=job.setback.needs,
        )


def summary_of(note: CycleNote) -> CycleSummary:
    """The note about a cycle."""
    return CycleSummary(
        began_at=note.began_at, ended_at=note.ended_at, outcome=note.outcome, exit_code=note.exit_code, error=note.error
    )
