"""`serve`, `pause` and `resume`: the service, and the switch that works without it."""

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer

from downloader.cli.flags import Json, Output, State, print_json, start
from downloader.clock import SystemClock
from downloader.engine import decide_options
from downloader.errors import SettingsError
from downloader.library.pause_file import pause_library, resume_library
from downloader.quantities import parse_duration
from downloader.service.schedule import local_zone
from downloader.service.service import MirrorService, ServiceSettings
from downloader.service.signals import serve_until_signal
from downloader.settings import parse_flags, resolve_options

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the manifests.")]
Grace = Annotated[str, typer.Option("--grace", metavar="DURATION", help="How long SIGTERM lets what is in flight end.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line these verbs."""
    app.command("serve")(_serve)
    app.command("pause")(_pause)
    app.command("resume")(_resume)


def _serve(
    folder: Folder,
    output: Output = None,
    state: State = None,
    grace: Grace = "30s",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings in the log.")] = False,
) -> int:
    """Mirror every manifest of a folder on its schedule, until told to stop."""
    settings = start(quiet=quiet, verbose=not quiet)
    flags = parse_flags({"output": output, "state": state})
    grace_seconds = _parse_grace(grace)

    async def work() -> None:
        service = MirrorService(
            ServiceSettings(
                folder=folder, decide=partial(decide_options, flags, settings), clock=SystemClock(), zone=local_zone()
            )
        )
        await serve_until_signal(service, (), grace_seconds)

    anyio.run(work)
    return 0


def _pause(output: Output = None, as_json: Json = False) -> int:
    """Let the service claim nothing more for a library, until `tciad resume`."""
    library = _library(output)
    changed = pause_library(library, SystemClock().now())
    _tell(library, as_json=as_json, paused=True, changed=changed)
    return 0


def _resume(output: Output = None, as_json: Json = False) -> int:
    """Let the service go on with a library."""
    library = _library(output)
    changed = resume_library(library)
    _tell(library, as_json=as_json, paused=False, changed=changed)
    return 0


def _tell(library: Path, *, as_json: bool, paused: bool, changed: bool) -> None:
    if as_json:
        print_json({"library": str(library), "paused": paused, "changed": changed})
        return
    state = "paused" if paused else "not paused"
    typer.echo(f"{library} is {state}" if changed else f"{library} was {state} already")


def _library(output: Path | None) -> Path:
    settings = start()
    return resolve_options(parse_flags({"output": output}), settings, {}).output


def _parse_grace(text: str) -> float:
    try:
        return 0.0 if text == "0" else parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"--grace: {error}") from error
