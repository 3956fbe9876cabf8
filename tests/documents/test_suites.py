"""README's test command, the Makefile, CI and CONTRIBUTING agree about what is tested, and how."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MARKERS: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"][
    "markers"
]
LONG = ["long", *(line.partition(":")[0] for line in MARKERS if ": long;" in line)]


def command_of_the_readme() -> list[str]:
    """The steps of README's test command."""
    (command,) = re.findall(r"^python3 .*pytest.*$", README, re.MULTILINE)
    return [step.strip() for step in command.split("&&")]


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, as README would write them."""
    found = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found, target
    written = found[1].replace("$(BIN)", ".venv-test/bin").replace("$(VENV)", ".venv-test").replace("$(PYTHON)", "python3")
    return [line.strip().replace("--quiet", "-q") for line in written.splitlines()]


def test_the_readme_installs_and_tests_as_make_does() -> None:
    """`make setup` and `make test` are README's command in another place."""
    *setup, _touch = recipe("$(BIN)/pytest")
    assert [*setup, *recipe("test")] == command_of_the_readme()


def test_ci_runs_every_test_once() -> None:
    """README's command runs the ordinary ones; the long ones follow, with no tool missing."""
    (pattern,) = re.findall(r"sed -n '(.*)' README\.md", CI)
    assert pattern == r"s/^\(python3 .*pytest.*\)$/\1/p"
    commands = CI.splitlines()
    required = commands.index("export TEST_TCIAD_TOOLS=required")
    ordinary = commands.index('bash -euo pipefail -c "$test_command"')
    assert required < ordinary < commands.index(".venv-test/bin/pytest -n auto -m long")
    assert recipe("test-all") == ['.venv-test/bin/pytest -n auto -m "long or not long"']


@pytest.mark.parametrize("marker", LONG)
def test_every_long_kind_is_described_and_used(marker: str) -> None:
    """CONTRIBUTING has a row for it, and a test carries it."""
    assert f"\n| `{marker}` |" in CONTRIBUTING
    assert any(f"pytest.mark.{marker}" in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
