"""docs/faults.md tells of every trap, and of tests that are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from downloader.sandbox import FaultKind

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
TRAPS = 35
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@cache
def functions_of(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_trap_is_told_once() -> None:
    """In order, each with a test."""
    rows = re.findall(r"^\| (\d+) \| .+ \|$", TEXT, re.MULTILINE)
    assert [int(number) for number in rows] == list(range(1, TRAPS + 1))
    for row in re.findall(r"^\| .+ \|$", TEXT, re.MULTILINE):
        assert "`tests/" in row or row.startswith(("| trap", "| fault", "| input")), row


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_is_named_is_there(path: str, name: str) -> None:
    """By file and function."""
    assert name in functions_of(path)


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_of_the_sandbox_is_played(kind: FaultKind) -> None:
    """By a test of the whole way, not of the sandbox alone."""
    folders = ("faults", "acceptance", "archive", "web", "service")
    texts = (path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / "tests" / folder).rglob("*.py"))
    assert any(f"FaultKind.{kind.name}" in text for text in texts)
