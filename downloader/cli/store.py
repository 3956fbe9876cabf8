"""`tciad store backup` and `tciad store rebuild`: the state store of a library."""

from pathlib import Path
from typing import Annotated

import typer

from downloader.cli.command import library_options, print_json, run_async, start
from downloader.cli.flags import Json, Output, Quiet, State, path_of
from downloader.clock import SystemClock
from downloader.engine.maintenance import rebuild_store
from downloader.engine.state_store import refuse_link, state_path
from downloader.errors import StoreError
from downloader.results.amounts import size_text
from downloader.store.sqlite.backup import back_up_store
from downloader.store.sqlite.errors import translated_errors
from downloader.ui.counting import open_count
from downloader.ui.maintenance import render_rebuild

Target = Annotated[
    Path, typer.Argument(metavar="TO", parser=path_of, help="The file to write; an existing copy is replaced in one step.")
]


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    store_app = typer.Typer(name="store", help="Back up or rebuild the state store of a library.", rich_markup_mode=None)
    store_app.callback()(_store)
    store_app.command("rebuild")(_rebuild)
    store_app.command("backup")(_back_up)
    app.add_typer(store_app)


def _store() -> None:
    """Back up or rebuild the state store of a library."""


def _back_up(to: Target, output: Output = None, state: State = None, as_json: Json = False) -> int:
    """Copy the state store of a library, also while a run or the service uses it."""
    options = library_options(output, state, start())
    path = state_path(options)
    refuse_link(options)
    with translated_errors(path):
        exists = path.exists()
    if not exists:
        raise StoreError(f"{options.output} has no state store at {path}", next_step="name the library with -o")
    copied_bytes = back_up_store(path, to)
    if as_json:
        print_json({"store": str(path), "backup": str(to), "bytes": copied_bytes})
    else:
        typer.echo(f"copied {path} to {to}: {size_text(copied_bytes)}")
    return 0


def _rebuild(output: Output = None, state: State = None, as_json: Json = False, quiet: Quiet = False) -> int:
    """Create the state store anew from the receipts of the library. The old store is kept under another name."""
    options = library_options(output, state, start(quiet=quiet))

    async def work() -> int:
        with open_count(SystemClock(), silent=quiet or as_json) as count:
            report = await rebuild_store(options, count)
        if as_json:
            print_json(report.as_json())
        else:
            typer.echo(render_rebuild(report))
        return report.exit_code

    return run_async(work)
