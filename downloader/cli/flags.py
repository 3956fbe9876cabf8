"""Flags that several verbs share, and what is made of them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
import typer

from downloader.cli.interruption import until_signal
from downloader.config.settings import Settings, load_settings
from downloader.ui.log import configure_log
from downloader.ui.texts import json_text

Result = TypeVar("Result")


def path_of(text: str) -> Path:
    """A path that somebody gave: an empty one, as of a variable that is not set, would mean the working directory."""
    if not text:
        raise typer.BadParameter("the path is empty")
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", parser=path_of, help="The library; wins over the manifest.")
]
State = Annotated[
    Path | None, typer.Option("--state", metavar="FILE", parser=path_of, help="The state store, if not inside the library.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, and only warnings in the log.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="One log line for each series.")]


def start(*, quiet: bool = False, verbose: bool = False) -> Settings:
    """Read the environment and set up the log.

    Raises:
        SettingsError: the environment says something that cannot be.
    """
    settings = load_settings()
    level = "warning" if quiet or not verbose else "info"
    if "log_level" in settings.model_fields_set and not quiet and not verbose:
        level = settings.log_level.value
    configure_log(settings.log_format.value, level)
    return settings


def run_async(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run `work()` on a new event loop until it is done or a signal comes."""
    return anyio.run(until_signal, work)


def print_json(document: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """One JSON document on stdout."""
    typer.echo(json_text(document))
