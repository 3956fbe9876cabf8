"""`status` and `failures`: what a library says of itself."""

import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from downloader.cli.flags import Json, Output, State, print_json, run_async, start
from downloader.cli.interruption import Interrupted
from downloader.clock import SystemClock
from downloader.config.options import RunOptions
from downloader.config.settings import parse_flags, resolve_options
from downloader.engine.holding import open_records
from downloader.engine.library_state import library_state
from downloader.errors import SettingsError
from downloader.results.amounts import count_text
from downloader.results.status import LastCycle, StatusReport
from downloader.store.port import Inventory
from downloader.ui.status import render_status
from downloader.ui.texts import printable

WATCH_SECONDS = 2.0
WIDTH_OF_A_FILE = 100_000

ManifestName = Annotated[str | None, typer.Option("--manifest", metavar="NAME", help="Only what this manifest wants.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("status")(_status)
    app.command("failures")(_failures)


def _status(
    output: Output = None,
    state: State = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until interrupted.")] = False,
    as_json: Json = False,
) -> int:
    """How complete a library is, manifest by manifest."""
    options = _library_options(output, state)
    if watch and as_json:
        raise SettingsError("--watch shows a table again and again, and --json prints one document", next_step="leave one out")

    async def work() -> int:
        async with open_records(options.output, options.state) as store:
            if watch:
                await _watch(options.output, store)
            report = await _report_of(options.output, store)
        if as_json:
            print_json(report.as_json())
        else:
            _console().print(render_status(report))
        return 0

    try:
        return run_async(work)
    except Interrupted:
        if watch:
            return 0
        raise


async def _watch(library: Path, store: Inventory) -> None:
    """On a terminal one table that changes, elsewhere one table after another. Never returns."""
    clock, console = SystemClock(), _console()
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
        while True:
            page = render_status(await _report_of(library, store))
            if live is None:
                console.print(page)
            else:
                live.update(page, refresh=True)
            await clock.sleep(WATCH_SECONDS)


async def _report_of(library: Path, store: Inventory) -> StatusReport:
    return StatusReport(
        library=str(library),
        paused=await library_state(library).is_paused(),
        total=await store.tally(),
        tallies={name: await store.tally(name) for name in await store.manifests()},
        cycles={
            name: LastCycle(ended_at=note.ended_at, outcome=note.outcome, error=note.error, succeeded_at=note.succeeded_at)
            for name, note in (await store.cycles()).items()
        },
    )


def _console() -> Console:
    # off a terminal nothing is cut or folded: whoever reads it has no width
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)


def _failures(output: Output = None, state: State = None, manifest: ManifestName = None, as_json: Json = False) -> int:
    """Which series failed, and why."""
    options = _library_options(output, state)

    async def work() -> int:
        async with open_records(options.output, options.state) as store:
            known = await store.manifests()
            if manifest is not None and manifest not in known:
                raise SettingsError(f"--manifest: the library knows no {manifest!r}; there are {', '.join(known) or 'none'}")
            failures = await store.failures(manifest)
        if as_json:
            print_json([asdict(failure) for failure in failures])
            return 0
        for failure in failures:
            attempts = count_text(failure.attempts, "attempt")
            typer.echo(f"{failure.series_instance_uid}  {failure.error} after {attempts}")
            typer.echo(f"    {printable(failure.message)}")
        typer.echo(f"{count_text(len(failures), 'series', 'series')} failed" if failures else "nothing failed")
        return 0

    return run_async(work)


def _library_options(output: Path | None, state: Path | None) -> RunOptions:
    settings = start()
    return resolve_options(parse_flags({"output": output, "state": state}), settings, {})
