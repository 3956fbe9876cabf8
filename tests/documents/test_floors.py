"""CONTRIBUTING shows the floors that the import linter checks, and every room explains itself."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "downloader"
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
FEWEST_LINES = 4
LOOSE_MODULES = {"__main__", "errors", "clock", "completeness", "concurrency", "own_folder", "pacing", "redaction"}


def layers() -> list[str]:
    """The names in the layers contract, from the top down."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (floors,) = [contract for contract in contracts if contract["type"] == "layers"]
    assert floors["exhaustive"]
    return [name for layer in floors["layers"] for name in layer.split(" | ")]


def test_contributing_shows_the_floors_that_are_checked() -> None:
    """In the same order, each with what it is."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## The floors")[1].split("```")[1]
    shown = [line.split(maxsplit=1) for line in section.strip().splitlines()]
    assert [words[0] for words in shown] == layers()
    assert all(len(words) == 2 for words in shown if words[0] != "__main__")


def test_few_modules_lie_loose() -> None:
    """Everything else has a room."""
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} == LOOSE_MODULES


def test_no_two_public_classes_share_a_name() -> None:
    """A name in a traceback, or in a search, means one thing. The sandbox stands apart."""
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if PACKAGE / "sandbox" in path.parents:
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    doubled = {name: where for name, where in places.items() if len(where) > 1}
    assert doubled == {}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_each_room_explains_itself(room: Path) -> None:
    """What it does, how, and what it does not promise; modules that it names are there."""
    told = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    assert len(told.splitlines()) >= FEWEST_LINES
    for name in re.findall(r"`([\w/]+\.py)`", told):
        assert any((folder / name).exists() for folder in (room, PACKAGE)), name


def test_the_table_of_tests_names_folders_that_are_there() -> None:
    """Where behaviour is tested."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Where behaviour is tested")[1].split("\n## ")[0]
    for name in re.findall(r"`(tests/[\w/]+)`", section):
        assert (ROOT / name).is_dir(), name
