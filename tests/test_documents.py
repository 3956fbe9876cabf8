"""Documents that cannot go stale: what the code has, they name."""

import re
from pathlib import Path

import pytest

from downloader import errors
from downloader.cli.app import app
from downloader.errors import TciadError
from downloader.settings import Settings

ROOT = Path(__file__).parent.parent
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
NOT_TOLD = {"TciadError", "UsageError", "ArchiveError", "TransferError"}


def subclasses(cls: type[TciadError]) -> set[str]:
    return {cls.__name__}.union(*(subclasses(child) for child in cls.__subclasses__()))


@pytest.mark.parametrize("name", sorted(subclasses(errors.TciadError) - NOT_TOLD))
def test_every_error_is_told_with_what_to_do(name: str) -> None:
    """Whoever meets an error finds it in the table."""
    assert f"`{name}`" in COMMANDS
    assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("verb", sorted(command.name or "" for command in app.registered_commands))
def test_every_verb_is_told(verb: str) -> None:
    """In the list of commands, and in the README."""
    assert f"tciad {verb}" in COMMANDS
    assert f"tciad {verb}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_variable_is_told(name: str) -> None:
    """Files of secrets share one row."""
    assert f"`TCIAD_{name.upper().removesuffix('_FILE')}`" in COMMANDS


def test_both_tables_of_exit_codes_say_the_same() -> None:
    """README and commands.md list the same codes."""
    codes = [re.findall(r"^\| ([0-9, ]+) \| ", text, re.MULTILINE) for text in (COMMANDS, (ROOT / "README.md").read_text())]
    assert codes[0] == codes[1] == ["0", "1", "2", "3", "4", "5", "6", "130, 143"]
