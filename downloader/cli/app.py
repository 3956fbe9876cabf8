"""The command `tciad`: gathers the verbs, and turns whatever ends one of them into an exit code."""

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

VERBS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mirroring": ("run", "plan", "get"),
        "asking": ("query", "doctor"),
        "inspecting": ("status", "failures"),
        "mending": ("verify", "retry", "adopt", "store"),
        "arranging": ("relayout",),
        "reporting": ("report",),
        "serving": ("serve", "pause", "resume"),
        "trying": ("sandbox", "schema"),
    }
)
"""The modules beside this one, and the verbs that each adds."""


def make_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The command line, as far as it is needed to run one with these arguments; all of it where they name no verb.

    To import everything takes longer than most commands that only ask (docs/decisions/0010).
    """
    app = typer.Typer(
        name="tciad",
        help="Mirrors medical image archives and proves every image.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    first = arguments[0] if arguments else ""
    named = [group for group, verbs in VERBS.items() if first in verbs]
    for group in named or ([] if first == "--version" else VERBS):
        import_module(f"{__package__}.{group}").add_to(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tciad {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
) -> None:
    """Mirrors medical image archives and proves every image."""


def run_command_line(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command and return its exit code (docs/commands.md#exit-codes). Every error is reported on stderr in a sentence."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="tciad", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        typer.echo(f"tciad: {printable(error.format_message()).rstrip('.')}; see `tciad --help`", err=True)
        return ExitCode.USAGE
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except Interrupted as interrupted:
        return interrupted.exit_code
    except TciadError as error:
        report_error(error)
        return error.exit_code
    except ReaderGone:
        return ExitCode.BROKEN_PIPE
    except Exception:
        structlog.get_logger(__name__).exception("tciad met a fault of its own", next_step="please report it with this log")
        return ExitCode.FAULT
    return code if isinstance(code, int) else ExitCode.SUCCESS


def report_error(error: TciadError) -> None:
    """One line on stderr for each line of the error."""
    for line in str(error).splitlines():
        typer.echo(f"tciad: {printable(line)}", err=True)
