"""Modules, functions and ports stay small enough to be read."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parents[2] / "downloader"
MODULES: Final = sorted(PACKAGE.rglob("*.py"))
LONGEST_MODULE_LINES: Final = 400
LONGEST_FUNCTION_LINES: Final = 40
"""Without the docstring, which lists arguments and errors one a line."""
LARGEST_PORT_METHODS: Final = 12
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def nodes_of(module: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(module.read_text()))


def lines_of(function: FunctionNode) -> int:
    """The lines from the signature to the end, without the docstring."""
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring_lines = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring_lines


def is_port(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_modules_functions_and_ports_are_small(module: Path) -> None:
    """A module has one reason to change, a function fits on a screen, and no client sees a port of more than a few methods."""
    assert len(module.read_text().splitlines()) <= LONGEST_MODULE_LINES
    for node in nodes_of(module):
        if isinstance(node, FunctionNode):
            assert lines_of(node) <= LONGEST_FUNCTION_LINES, node.name
        if isinstance(node, ast.ClassDef) and is_port(node):
            methods = [one.name for one in node.body if isinstance(one, FunctionNode)]
            assert len(methods) <= LARGEST_PORT_METHODS, node.name
