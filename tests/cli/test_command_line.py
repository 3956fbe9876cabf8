"""The command line imports only the verb that is called, and its help is complete."""

import pytest
import typer
from typer.main import get_command

from downloader.cli.app import VERBS, make_app, run_command_line
from downloader.errors import ExitCode


def verbs_of(app: typer.Typer) -> set[str]:
    """The verbs that the command line offers."""
    return set(get_command(app).commands)  # type: ignore[attr-defined]


def test_all_verbs_are_there_unless_one_is_named() -> None:
    """For help, and to suggest a verb when one is misspelled."""
    assert verbs_of(make_app()) == verbs_of(make_app(["--help"])) == verbs_of(make_app(["statsu"])) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_module_in_the_table_adds_the_verb(verb: str) -> None:
    """Without the verb, only `tciad --help` would list it. A module may have several verbs, as `pause` and `resume`."""
    assert verbs_of(make_app([verb, "--help"])) == {other for other in VERBS if VERBS[other] == VERBS[verb]}


def test_the_help_of_run_lists_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """With its meaning, in the words of the code."""
    assert run_command_line(make_app(["run"]), ["run", "--help"]) == ExitCode.SUCCESS
    _, _, listed = capsys.readouterr().out.partition("Exit codes:")
    expected = " ".join(f"{code.value} {code.__doc__}" for code in ExitCode)
    assert " ".join(listed.split()) == expected


class InterruptedApp(typer.Typer):
    """SIGINT comes before typer handles it."""

    def __call__(self, *_: object, **__: object) -> None:
        """Raise as Python's own handler of SIGINT does."""
        raise KeyboardInterrupt


def test_sigint_before_the_command_begins_ends_with_its_exit_code() -> None:
    """No traceback: no work has begun."""
    assert run_command_line(InterruptedApp(), []) == ExitCode.INTERRUPTED
