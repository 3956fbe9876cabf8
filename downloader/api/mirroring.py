"""`plan` and `run`: query the archive and fill a library."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Unpack

import anyio.to_thread
from anyio import CancelScope

from downloader.api.blocking import wait_for
from downloader.api.keywords import ManifestLike, RunKeywords, manifest_from, prepare
from downloader.clock import SystemClock
from downloader.config.options import RunOptions
from downloader.engine.holding import open_records
from downloader.engine.mirror import decide_options, make_plan, open_mirror
from downloader.errors import ExitCode
from downloader.manifest import Manifest
from downloader.mirroring.ending import Interruption, run_to_end
from downloader.model import Series
from downloader.results.plan import PlanReport
from downloader.results.run import Outcome, RunReport
from downloader.store.records import Standing
from downloader.ui.library_series import LibrarySeries, flatten
from downloader.ui.notebook import open_python_progress
from downloader.ui.plan import render_plan
from downloader.ui.run import render_run


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSeries(Series):
    """One series that the manifest selects. `standing`: new, pending, complete or changed, compared with the library."""

    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would find. `report` has the counts, `series` a row for each series, which data frames accept as they are."""

    report: PlanReport
    series: tuple[PlannedSeries, ...]

    def __str__(self) -> str:
        return render_plan(self.report)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run did. `report.outcome` is `complete` if all series are; `series` has a row for each selected series."""

    library: Path
    report: RunReport
    series: tuple[LibrarySeries, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every selected series is in the library and proven."""
        return self.report.outcome is Outcome.COMPLETE

    def __str__(self) -> str:
        return render_run(self.report)


async def plan_async(manifest: ManifestLike, *, output: str | Path | None = None, **options: Unpack[RunKeywords]) -> Plan:
    """Report what a run of the manifest would find and fetch. Changes nothing.

    Args:
        manifest: path of a manifest or series list, or the content of a manifest as a mapping.
        output: folder of the library to compare with.
        options: the flags of `tciad run`, such as `concurrency=8`.

    Raises:
        UsageError: the manifest or an option is wrong.
        ArchiveError: the archive does not respond, or refuses the query.
        StoreError: the library's store cannot be read.
    """
    wanted, decided = await _prepare(manifest, output, options)
    series: list[PlannedSeries] = []
    report = await make_plan(wanted, decided, _collect_into(series))
    return Plan(report=report, series=tuple(series))


def plan(manifest: ManifestLike, *, output: str | Path | None = None, **options: Unpack[RunKeywords]) -> Plan:
    """The same as `plan_async`, for synchronous code."""
    return wait_for(partial(plan_async, manifest, output=output, **options))


async def run_async(
    manifest: ManifestLike, *, output: str | Path | None = None, progress: bool = True, **options: Unpack[RunKeywords]
) -> RunResult:
    """Resolve, fetch and prove everything that the manifest selects.

    Failed series are in the result, and raise nothing. A cancelled run sets back the series in flight, and the next run
    continues.

    Args:
        manifest: path of a manifest or series list, or the content of a manifest as a mapping.
        output: folder of the library.
        progress: whether to show progress, in a notebook as a bar below the cell, elsewhere on stderr.
        options: the flags of `tciad run`, such as `concurrency=8` or `bandwidth="40MB/s"`.

    Raises:
        UsageError: the manifest or an option is wrong.
        ArchiveError: the archive is out of reach, or refuses the credentials.
        LibraryError, StoreError: library or store cannot be used, or another run holds them.
    """
    wanted, decided = await _prepare(manifest, output, options)
    with open_python_progress(SystemClock(), silent=not progress) as view:
        interruption = Interruption(exit_code=ExitCode.INTERRUPTED, scope=CancelScope())
        ended = await run_to_end(wanted.name, open_mirror(wanted, decided, view), interruption)
    if ended.error is not None:
        raise ended.error
    async with open_records(decided.output, decided.state) as store:
        series = tuple([flatten(row) async for row in store.find(wanted.name)])
    return RunResult(library=decided.output, report=ended.report, series=series)


def run(
    manifest: ManifestLike, *, output: str | Path | None = None, progress: bool = True, **options: Unpack[RunKeywords]
) -> RunResult:
    """The same as `run_async`, for synchronous code. An interruption sets back the series in flight."""
    return wait_for(partial(run_async, manifest, output=output, progress=progress, **options))


async def _prepare(manifest: ManifestLike, output: str | Path | None, options: RunKeywords) -> tuple[Manifest, RunOptions]:
    flags, settings = prepare({**options, "output": output})
    wanted = await anyio.to_thread.run_sync(manifest_from, manifest)
    return wanted, decide_options(flags, settings, wanted)


def _collect_into(rows: list[PlannedSeries]) -> Callable[[Series, Standing], None]:
    def note(series: Series, standing: Standing) -> None:
        values = {name: getattr(series, name) for name in Series.__dataclass_fields__}
        rows.append(PlannedSeries(**values, standing=standing))

    return note
