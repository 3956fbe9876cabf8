"""`serve`, `pause` and `resume`: the service, and the switch that works without it."""

from functools import partial
from pathlib import Path
from typing import Annotated, Final

import anyio
import typer

from downloader.cli.flags import Json, Output, State, path_of, print_json, run_async, start
from downloader.clock import Clock, SystemClock
from downloader.config.quantities import parse_duration
from downloader.config.settings import Settings, parse_flags, read_secret, resolve_options
from downloader.engine.library_state import library_state
from downloader.engine.mirror import decide_options
from downloader.errors import SettingsError
from downloader.redaction import register_secrets
from downloader.results.amounts import count_text
from downloader.service.open_files import raise_open_file_limit
from downloader.service.schedule import local_zone
from downloader.service.service import MirrorService, ServiceSettings
from downloader.service.signals import serve_until_signal
from downloader.web.address import DEFAULT_LISTEN, OFF, parse_listen
from downloader.web.auth import SHORTEST_TOKEN, Guard
from downloader.web.connections import limits_for
from downloader.web.metrics import Metrics
from downloader.web.server import HttpServer
from downloader.web.wrong_tokens import WrongTokens

_HOW_TO_MAKE_ONE: Final = "`openssl rand -hex 32 > FILE`"

Folder = Annotated[Path, typer.Argument(metavar="DIR", parser=path_of, help="Folder of the manifests.")]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen", metavar="HOST:PORT", help=f"Where page, API and metrics are; {OFF}: nowhere.", show_default=DEFAULT_LISTEN
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", parser=path_of, help="What everybody has to know who asks page, API or metrics."
    ),
]
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
    listen: Listen = None,
    token_file: TokenFile = None,
    grace: Grace = "30s",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings in the log.")] = False,
) -> int:
    """Mirror every manifest of a folder on its schedule, until told to stop."""
    settings = start(quiet=quiet, verbose=not quiet)
    flags = parse_flags({"output": output, "state": state})
    grace_seconds = _parse_grace(grace)
    clock = SystemClock()
    guard = _decide_guard(listen, token_file, settings, clock)
    limits = limits_for(raise_open_file_limit())

    async def work() -> None:
        metrics = Metrics()
        service = MirrorService(
            ServiceSettings(
                folder=folder,
                decide=partial(decide_options, flags, settings),
                clock=clock,
                zone=local_zone(),
                observers=(metrics,),
            )
        )
        parts = (HttpServer(guard, metrics, clock, limits),) if guard else ()
        await serve_until_signal(service, parts, grace_seconds)

    anyio.run(work)
    return 0


def _decide_guard(listen: str | None, token_file: Path | None, settings: Settings, clock: Clock) -> Guard | None:
    """Where the service listens, and for whom; None where nowhere. Whoever is not on this machine needs a token."""
    text = listen or settings.listen or DEFAULT_LISTEN
    if text == OFF:
        return None
    address = parse_listen(text, "--listen" if listen else "TCIAD_LISTEN")
    secret = read_secret(token_file, "--token-file") if token_file else settings.serve_token
    token = secret.get_secret_value() if secret else ""
    register_secrets(token)
    if not token and not address.is_loopback:
        raise SettingsError(
            f"--listen {address}: others can get there, so a token is wanted",
            next_step=f"write a long random one into a file, as {_HOW_TO_MAKE_ONE} does, and name it with --token-file",
        )
    if token and len(token) < SHORTEST_TOKEN:
        raise SettingsError(
            f"{'--token-file' if token_file else 'TCIAD_SERVE_TOKEN'}: the token has {count_text(len(token), 'character')}, "
            f"which can be guessed; the fewest are {SHORTEST_TOKEN}",
            next_step=f"make one with {_HOW_TO_MAKE_ONE}",
        )
    return Guard(address=address, token=token, wrong_tokens=WrongTokens(clock))


def _pause(output: Output = None, as_json: Json = False) -> int:
    """Let the service claim nothing more for a library, until `tciad resume`."""
    library = _library(output)
    changed = run_async(partial(library_state(library).pause, SystemClock().now()))
    _tell(library, as_json=as_json, paused=True, changed=changed)
    return 0


def _resume(output: Output = None, as_json: Json = False) -> int:
    """Let the service go on with a library."""
    library = _library(output)
    changed = run_async(library_state(library).resume)
    _tell(library, as_json=as_json, paused=False, changed=changed)
    return 0


def _tell(library: Path, *, as_json: bool, paused: bool, changed: bool) -> None:
    if as_json:
        print_json({"library": str(library), "paused": paused, "changed": changed})
        return
    if changed:
        typer.echo(f"{library} is {'paused' if paused else 'no longer paused'}")
    else:
        typer.echo(f"{library} was {'paused already' if paused else 'not paused'}")


def _library(output: Path | None) -> Path:
    settings = start()
    return resolve_options(parse_flags({"output": output}), settings, {}).output


def _parse_grace(text: str) -> float:
    try:
        return 0.0 if text == "0" else parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"--grace: {error}") from error
