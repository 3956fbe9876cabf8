"""`tciad status`: how complete a library is, by manifest."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from downloader.cli.command import library_options, print_json, run_async, start
from downloader.cli.flags import Json, Output, State
from downloader.cli.interruption import Interrupted
from downloader.clock import SystemClock
from downloader.engine.holding import open_records
from downloader.engine.library_state import library_state
from downloader.errors import SettingsError
from downloader.results.status import LastCycle, StatusReport
from downloader.store.port import Inventory
from downloader.ui.status import render_status

WATCH_INTERVAL_SECONDS: Final = 2.0
WIDTH_WITHOUT_TERMINAL: Final = 100_000

Watch = Annotated[bool, typer.Option("--watch", help="Update the table every two seconds, until Ctrl-C.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("status")(_status)


def _status(output: Output = None, state: State = None, watch: Watch = False, as_json: Json = False) -> int:
    """Report how complete a library is, by manifest."""
    options = library_options(output, state, start())
    if watch and as_json:
        raise SettingsError("--watch updates a table, and --json prints one document", next_step="leave one out")

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
            await clock.sleep(WATCH_INTERVAL_SECONDS)


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
    # a file or a pipe has no width: nothing is cut or wrapped there
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)
