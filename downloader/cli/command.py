"""The steps that all verbs share: read the environment, set up the log, run to the end or to a signal, print the result."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import typer

from downloader.cli.interruption import until_signal
from downloader.config.options import RunOptions
from downloader.config.settings import Settings, load_settings, parse_flags, resolve_options
from downloader.errors import SettingsError
from downloader.ui.log import configure_log
from downloader.ui.texts import json_text

Result = TypeVar("Result")


def start(*, quiet: bool = False, verbose: bool = False) -> Settings:
    """Read the environment and set up the log.

    Raises:
        SettingsError: a variable has an invalid value.
    """
    settings = load_settings()
    level = "warning" if quiet or not verbose else "info"
    if "log_level" in settings.model_fields_set and not quiet and not verbose:
        level = settings.log_level.value
    configure_log(settings.log_format.value, level)
    return settings


def library_options(output: Path | None, state: Path | None, settings: Settings) -> RunOptions:
    """The options of a verb that works on a library without a manifest.

    Raises:
        SettingsError: a flag has an invalid value.
    """
    return resolve_options(parse_flags({"output": output, "state": state}), settings, {})


def refuse_unknown_manifest(name: str | None, known: Sequence[str]) -> None:
    """Check the value of `--manifest` against the manifests of the library.

    Raises:
        SettingsError: the library has no manifest of this name.
    """
    if name is not None and name not in known:
        raise SettingsError(f"--manifest: the library has no manifest {name!r}; it has {', '.join(known) or 'none yet'}")


def run_async(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run `work()` on a new event loop until it is done or a signal comes."""
    return anyio.run(until_signal, work)


def print_json(document: Any) -> None:  # noqa: ANN401 - anything that JSON can hold
    """Print one JSON document on stdout."""
    typer.echo(json_text(document))


def print_reports(documents: Sequence[Any]) -> None:
    """Print one JSON document: that of the one manifest, or a list of those of several."""
    print_json(documents[0] if len(documents) == 1 else documents)
