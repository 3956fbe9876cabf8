"""`tciad serve`: the service that mirrors every manifest of a folder on its schedule."""

from functools import partial
from pathlib import Path
from typing import Annotated, Final

import anyio
import typer

from downloader.cli.command import start
from downloader.cli.flags import Output, State, path_of
from downloader.clock import Clock, SystemClock
from downloader.config.quantities import parse_duration
from downloader.config.settings import Settings, parse_flags, read_secret
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

_CREATE_COMMAND: Final = "`openssl rand -hex 32 > FILE`"

Folder = Annotated[Path, typer.Argument(metavar="DIR", parser=path_of, help="Folder with the manifests.")]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help=f"Address of page, API and metrics, or {OFF}.",
        show_default=DEFAULT_LISTEN,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", parser=path_of, help="File with the token that HTTP clients must send."),
]
Grace = Annotated[str, typer.Option("--grace", metavar="DURATION", help="How long SIGTERM lets series in flight finish.")]


def add_to(app: typer.Typer) -> None:
    """Give the command line this verb."""
    app.command("serve")(_serve)


def _serve(
    folder: Folder,
    output: Output = None,
    state: State = None,
    listen: Listen = None,
    token_file: TokenFile = None,
    grace: Grace = "30s",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings only.")] = False,
) -> int:
    """Mirror all manifests of a folder on their schedules. Runs until it is stopped."""
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
    """The address to listen on and the token to demand; None if the service does not listen.

    Raises:
        SettingsError: the address is invalid, other machines can reach it without a token, or the token is too short.
    """
    text = listen or settings.listen or DEFAULT_LISTEN
    if text == OFF:
        return None
    address = parse_listen(text, "--listen" if listen else "TCIAD_LISTEN")
    secret = read_secret(token_file, "--token-file") if token_file else settings.serve_token
    token = secret.get_secret_value() if secret else ""
    register_secrets(token)
    if not token and not address.is_loopback:
        raise SettingsError(
            f"--listen {address}: other machines can reach this address, so clients must send a token",
            next_step=f"create one with {_CREATE_COMMAND} and name the file with --token-file",
        )
    if token and len(token) < SHORTEST_TOKEN:
        raise SettingsError(
            f"{'--token-file' if token_file else 'TCIAD_SERVE_TOKEN'}: the token is too short, it has "
            f"{count_text(len(token), 'character')} (minimum {SHORTEST_TOKEN})",
            next_step=f"create one with {_CREATE_COMMAND}",
        )
    return Guard(address=address, token=token, wrong_tokens=WrongTokens(clock))


def _parse_grace(text: str) -> float:
    try:
        return 0.0 if text == "0" else parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"--grace: {error}") from error
