"""Documents that cannot go stale: what the code has, they name."""

import re
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from downloader import errors
from downloader.cli.app import make_app
from downloader.config.settings import Settings
from downloader.errors import ExitCode, TciadError
from downloader.manifest.schema import manifest_schema

ROOT = Path(__file__).parents[2]
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
NOT_TOLD = {"TciadError", "UsageError", "ArchiveError", "TransferError"}


def subclasses(cls: type[TciadError]) -> set[str]:
    return {cls.__name__}.union(*(subclasses(child) for child in cls.__subclasses__()))


@pytest.mark.parametrize("name", sorted(subclasses(errors.TciadError) - NOT_TOLD))
def test_every_error_is_told_with_what_to_do(name: str) -> None:
    """The table has every error."""
    assert f"`{name}`" in COMMANDS
    assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("verb", sorted(command.name or "" for command in make_app().registered_commands))
def test_every_verb_is_told(verb: str) -> None:
    """In the list of commands, and in the README."""
    assert f"tciad {verb}" in COMMANDS
    assert f"tciad {verb}" in (ROOT / "README.md").read_text()


def flags_of(command: object, name: str = "tciad") -> dict[str, set[str]]:
    """The long flags of each verb, those of groups as `store rebuild`."""
    if isinstance(command, TyperGroup):
        return {
            verb: flags for short, child in command.commands.items() for verb, flags in flags_of(child, f"{name} {short}").items()
        }
    assert isinstance(command, TyperCommand)
    names = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return {name: {option for option in names if option.startswith("--")} - {"--help"}}


def test_every_flag_is_told() -> None:
    """The table at the end lists each verb's flags, no more and no less; what a flag means stands above it."""
    meanings, _, table = COMMANDS.partition("## Flags of each command")
    told = {
        verb: set(re.findall(r"`(--[a-z0-9-]+)`", flags))
        for verb, flags in re.findall(r"^\| `(tciad [a-z ]+)` \| (.*) \|$", table, re.MULTILINE)
    }
    assert told == flags_of(get_command(make_app()))
    unexplained = {flag for flags in told.values() for flag in flags if not re.search(rf"`[^`]*{flag}\b", meanings)}
    assert not unexplained


def keys_in(schema: object) -> set[str]:
    """Every key that a JSON schema knows, however deep."""
    if isinstance(schema, list):
        return set().union(*map(keys_in, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())) | set().union(*map(keys_in, schema.values()))


def test_every_key_of_a_manifest_is_told() -> None:
    """A reader of the page needs no schema."""
    page = (ROOT / "docs" / "manifest.md").read_text()
    keys = keys_in(manifest_schema())
    assert {"select", "patient_id", "bandwidth", "max_shrink", "cron"} <= keys
    assert not {key for key in keys if not re.search(rf"\b{key}\b", page)}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_variable_is_told(name: str) -> None:
    """Files of secrets share one row."""
    assert f"`TCIAD_{name.upper().removesuffix('_FILE')}`" in COMMANDS


def exit_codes_in(text: str) -> list[tuple[str, str]]:
    """The rows of a table of exit codes: code and meaning."""
    return re.findall(r"^\| ([0-9]+) \| (.*) \|$", text, re.MULTILINE)


def test_every_exit_code_is_told() -> None:
    """commands.md in the words of the code; README lists the same codes."""
    assert exit_codes_in(COMMANDS) == [(str(code.value), code.__doc__) for code in ExitCode]
    assert [code for code, _ in exit_codes_in((ROOT / "README.md").read_text())] == [str(code.value) for code in ExitCode]
