"""`relayout`: how a library is laid out."""

from typing import Annotated

import typer

from downloader.cli.flags import Json, Output, Quiet, State, print_json, run_async, start
from downloader.clock import SystemClock
from downloader.config.settings import parse_flags, resolve_options
from downloader.engine.maintenance import relayout_library
from downloader.ui.counting import open_count
from downloader.ui.relayout import render_relayout


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("relayout")(_relayout)


def _relayout(
    layout: Annotated[str, typer.Argument(metavar="LAYOUT", help="classic, descriptive, idc, flat, or a template.")],
    output: Output = None,
    state: State = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be moved, and move nothing.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Move a library to another layout. Nothing is downloaded; a move that was interrupted goes on."""
    settings = start(quiet=quiet)
    chosen = parse_flags({"layout": layout}, named="LAYOUT")
    options = resolve_options({**parse_flags({"output": output, "state": state}), **chosen}, settings, {})
    clock = SystemClock()

    async def work() -> int:
        with open_count(clock, silent=quiet or as_json) as count:
            report = await relayout_library(options, count, dry_run=dry_run)
        if as_json:
            print_json(report.as_json())
        else:
            typer.echo(render_relayout(report))
        return report.exit_code

    return run_async(work)
