"""`tciad pause` and `tciad resume`: the switch that holds the service, which works also while no service runs."""

from functools import partial
from pathlib import Path

import typer

from downloader.cli.command import library_options, print_json, run_async, start
from downloader.cli.flags import Json, Output
from downloader.clock import SystemClock
from downloader.engine.library_state import library_state


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("pause")(_pause)
    app.command("resume")(_resume)


def _pause(output: Output = None, as_json: Json = False) -> int:
    """Stop the service from claiming series for a library. `tciad resume` ends the pause."""
    library = library_options(output, None, start()).output
    changed = run_async(partial(library_state(library).pause, SystemClock().now()))
    _report(library, as_json=as_json, paused=True, changed=changed)
    return 0


def _resume(output: Output = None, as_json: Json = False) -> int:
    """Let the service claim series for a library again."""
    library = library_options(output, None, start()).output
    changed = run_async(library_state(library).resume)
    _report(library, as_json=as_json, paused=False, changed=changed)
    return 0


def _report(library: Path, *, as_json: bool, paused: bool, changed: bool) -> None:
    if as_json:
        print_json({"library": str(library), "paused": paused, "changed": changed})
        return
    if changed:
        typer.echo(f"{library} is {'paused' if paused else 'no longer paused'}")
    else:
        typer.echo(f"{library} was {'already paused' if paused else 'not paused'}")
