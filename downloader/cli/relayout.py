"""`tciad relayout`: move a library to another layout."""

from typing import Annotated

import typer

from downloader.cli.command import print_json, run_async, start
from downloader.cli.flags import Json, Output, Quiet, State
from downloader.clock import SystemClock
from downloader.config.settings import parse_flags, resolve_options
from downloader.engine.maintenance import relayout_library
from downloader.ui.counting import open_count
from downloader.ui.relayout import render_relayout

LayoutName = Annotated[str, typer.Argument(metavar="LAYOUT", help="classic, descriptive, idc, flat, or a template.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Report what would be moved, and move nothing.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("relayout")(_relayout)


def _relayout(
    layout: LayoutName,
    output: Output = None,
    state: State = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Move a library to another layout. Downloads nothing; a move that was interrupted continues."""
    settings = start(quiet=quiet)
    chosen = parse_flags({"layout": layout}, named="LAYOUT")
    options = resolve_options({**parse_flags({"output": output, "state": state}), **chosen}, settings, {})

    async def work() -> int:
        with open_count(SystemClock(), silent=quiet or as_json) as count:
            report = await relayout_library(options, count, dry_run=dry_run)
        if as_json:
            print_json(report.as_json())
        else:
            typer.echo(render_relayout(report))
        return report.exit_code

    return run_async(work)
