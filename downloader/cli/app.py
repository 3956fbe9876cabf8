"""The command `tciad`: the table of its verbs, and the exit code of each error that ends one."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

import structlog
import typer

from downloader import __version__
from downloader.cli.interruption import Interrupted
from downloader.cli.streams import ReaderGone
from downloader.errors import ExitCode, TciadError
from downloader.ui.texts import printable

VERBS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "run": "run",
        "plan": "plan",
        "get": "get",
        "query": "query",
        "doctor": "doctor",
        "status": "status",
        "failures": "failures",
        "verify": "verify",
        "retry": "retry",
        "adopt": "adopt",
        "store": "store",
        "relayout": "relayout",
        "report": "report",
        "serve": "serve",
        "pause": "pause",
        "resume": "pause",
        "sandbox": "sandbox",
        "schema": "schema",
    }
)
"""The verbs in the order of `tciad --help`, and the module beside this one that adds each."""


def make_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The command line with the verb that these arguments name; with all verbs if they name none.

    Importing all of them takes longer than most commands that only read (docs/decisions/0010).
    """
    app = typer.Typer(
        name="tciad",
        help="Mirror medical image archives, and prove every image.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    first = arguments[0] if arguments else ""
    modules = [VERBS[first]] if first in VERBS else [] if first == "--version" else dict.fromkeys(VERBS.values())
    for module in modules:
        import_module(f"{__package__}.{module}").add_to(app)
    return app


def _show_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"tciad {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
) -> None:
    """Mirror medical image archives, and prove every image."""


def run_command_line(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command and return its exit code (docs/commands.md#exit-codes). Errors are reported on stderr, one line each."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="tciad", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        typer.echo(f"tciad: {printable(error.format_message()).rstrip('.')}; see `tciad --help`", err=True)
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):  # the latter if SIGINT comes before typer, or after it
        return ExitCode.INTERRUPTED
    except Interrupted as interrupted:
        return interrupted.exit_code
    except TciadError as error:
        report_error(error)
        return error.exit_code
    except ReaderGone:
        return ExitCode.BROKEN_PIPE
    except Exception:
        structlog.get_logger(__name__).exception("internal error", next_step="please report it with this log")
        return ExitCode.FAULT
    return code if isinstance(code, int) else ExitCode.SUCCESS


def report_error(error: TciadError) -> None:
    """Print an error on stderr."""
    for line in str(error).splitlines():
        typer.echo(f"tciad: {printable(line)}", err=True)
