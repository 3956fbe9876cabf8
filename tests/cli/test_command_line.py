"""The command line imports what the verb at hand needs; which module that is stands in one table."""

import pytest
import typer
from typer.main import get_command

from downloader.cli.app import VERBS, make_app


def verbs_of(app: typer.Typer) -> set[str]:
    """What the command line offers."""
    return set(get_command(app).commands)  # type: ignore[attr-defined]


def test_all_verbs_are_there_unless_one_is_named() -> None:
    """For help, and for whoever has mistyped one."""
    everything = {verb for verbs in VERBS.values() for verb in verbs}
    assert verbs_of(make_app()) == verbs_of(make_app(["--help"])) == verbs_of(make_app(["statsu"])) == everything


@pytest.mark.parametrize(("group", "verbs"), VERBS.items())
def test_a_module_adds_the_verbs_that_the_table_says(group: str, verbs: tuple[str, ...]) -> None:
    """A verb that is missing there could only be found by those who ask for help."""
    for verb in verbs:
        assert verbs_of(make_app([verb, "--help"])) == set(verbs), group
